"""The policy in force: read at the start, and again whenever its files change.

A change with a mistake in it leaves the last good policy in force, and says so in the log, in `/readyz?verbose`
and in the metrics. Files are looked at by polling: a ConfigMap is replaced by swapping a symbolic link above the
file, which a watch of the file itself would never see.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.errors import TidewaiterError
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.file import load_policy, policy_warnings
from tidewaiter.rules.policy.image_authorities import named_files
from tidewaiter.rules.record import record
from tidewaiter.webhook.admission import Reviewer
from tidewaiter.webhook.image_policy import ImageReviewer
from tidewaiter.webhook.images import check_images
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.memory import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.webhook.inventory_source import InventorySource
    from tidewaiter.webhook.metrics import Metrics

_HASH = 16
"""Hexadecimal digits of a policy's hash that are shown: enough to tell policies apart."""


@record
class LoadedPolicy:
    """A policy ready to judge by."""

    policy: Policy
    name: str
    hash: str
    reviewer: Reviewer
    image_reviewer: ImageReviewer


class PolicyWatch:
    """The policy's file, what it last meant, and what is wrong with it now."""

    def __init__(
        self,
        path: str,
        source_for: Callable[[Policy], InventorySource],
        metrics: Metrics,
        own_namespace: str = "",
    ) -> None:
        """Load the policy. Raises PolicyError where it has a mistake: there is no good one to stay with.

        `source_for` returns the inventory to judge by, given the policy, which says what must be known.
        `own_namespace` is that of the webhook.
        """
        self._path = path
        self._own_namespace = own_namespace
        self._metrics = metrics
        self._named: tuple[str, ...] = ()
        self._stamp = self._look()
        self.mistake = ""
        """What is wrong with the file as it stands; empty where it is in force."""
        plain, policy = self._read()
        self.source = source_for(policy)
        self.current = self._made(plain, policy)
        self._show()

    async def reload(self) -> bool:
        """Take a changed file into force; tell whether there was one."""
        stamp = await asyncio.to_thread(self._look)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            plain, policy = await asyncio.to_thread(self._read)
            loaded = self._made(plain, policy)
        except TidewaiterError as error:
            self._stays(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a defect in reading must not end the one policy that holds
            self._stays(f"it cannot be used: {type(error).__name__}")
            return False
        self.mistake = ""
        self._metrics.policy_reloads.labels("success").inc()
        changed = loaded.hash != self.current.hash
        self.current = loaded
        self.source.adopt(policy)
        settle()
        self._show()
        return changed

    def _stays(self, mistake: str) -> None:
        self.mistake = mistake
        self._metrics.policy_reloads.labels("failure").inc()
        self._metrics.policy_valid.set(0)
        logger.error("the policy is not replaced, the last good one stays: %s", mistake)

    def _show(self) -> None:
        loaded = self.current
        self._metrics.show_policy(loaded.name, loaded.hash, time.time())
        self._metrics.policy_valid.set(1)
        where = self._path or "no policy file, the default policy"
        logger.info("policy %s (%s) is in force: %s", loaded.name, loaded.hash, where)

    def _read(self) -> tuple[PlainPolicy, Policy]:
        plain: PlainPolicy = load_policy(self._path, use_cache=False) if self._path else {}
        for warning in policy_warnings(plain):
            logger.warning("%s: %s", self._path, warning)
        self._named = (*plain.get("admissionPolicies", ()), *named_files(plain.get("images", ())))
        policy = Policy(plain)
        _prepare(policy)
        if policy.images is not None:
            check_images(policy.images, policy.file)
        return plain, policy

    def _made(self, plain: PlainPolicy, policy: Policy) -> LoadedPolicy:
        """Return the policy ready to judge by; not in the thread that reads, since the inventory has no locks."""
        policy_hash = hash_of(plain)
        inventory = self.source.inventory
        return LoadedPolicy(
            policy,
            plain.get("name") or "default",
            policy_hash,
            Reviewer(policy, inventory, policy_hash=policy_hash, own_namespace=self._own_namespace),
            ImageReviewer(policy, policy_hash=policy_hash, own_namespace=self._own_namespace),
        )

    def _look(self) -> tuple[tuple[str, int, int, int], ...]:
        """Return what changes when any file of the policy does."""
        if not self._path:
            return ()
        base = self._path if os.path.isdir(self._path) else os.path.dirname(self._path)
        roots = [self._path, *(os.path.join(base, name) for name in self._named)]
        stamps = []
        for path in sorted({file for root in roots for file in _files(root)}):
            try:
                found = os.stat(path)
            except OSError:
                continue
            stamps.append((path, found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)


def hash_of(plain: PlainPolicy) -> str:
    """Return what names a policy by its content, wherever its file stands."""
    content: dict[str, Any] = {**plain}
    content.pop("file", None)
    text = json.dumps(content, sort_keys=True, default=str).encode()
    return hashlib.sha256(text).hexdigest()[:_HASH]


def _prepare(policy: Policy) -> None:
    """Import the rules now, which the first review would wait for otherwise."""
    for name in policy.settings().rules:
        policy.rule(name)


def _files(root: str) -> list[str]:
    if not os.path.isdir(root):
        return [root]
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(root, followlinks=True)
        for name in names
    ]
