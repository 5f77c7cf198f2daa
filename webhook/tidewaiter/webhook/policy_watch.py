"""The policy in force: read at the start, and again whenever its files or the objects joined with them change.

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
from tidewaiter.rules.policy.objects import join, place_of, shown, version_of
from tidewaiter.rules.record import record
from tidewaiter.webhook.admission import Reviewer
from tidewaiter.webhook.image_policy import ImageReviewer
from tidewaiter.webhook.images import check_images
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.memory import settle
from tidewaiter.webhook.policy_requests import PolicyRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.objects import Joined, Object, Place, Verdict
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
        self._file: PlainPolicy = {}
        self._objects: Sequence[Object] = ()
        self._in_force: Mapping[Place, Object] = {}
        self._takes_objects = False
        self._file_is_wrong = False
        self._turn = asyncio.Lock()
        self.verdicts: Mapping[Place, Verdict] = {}
        """What came of each object of the cluster."""
        self.judged: Mapping[Place, tuple[object, object]] = {}
        """Uid and generation of each object that the verdicts are on."""
        self.mistake = ""
        """What is wrong with the file as it stands; empty where it is in force."""
        file = self._read()
        joined, policy = self._joined(file, ())
        self.source = source_for(policy)
        self.current = self._adopted(file, (), joined, policy)
        self._show()

    async def reload(self) -> bool:
        """Take a changed file into force; tell whether there was one."""
        async with self._turn:
            stamp = await asyncio.to_thread(self._look)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            return await self._replace(self._objects, reads=True)

    async def take(self, objects: Sequence[Object]) -> bool:
        """Take the policies of the cluster into force, in place of those before; tell whether that changed anything."""
        async with self._turn:
            self._takes_objects = True
            return await self._replace(objects, reads=False)

    async def _replace(self, objects: Sequence[Object], *, reads: bool) -> bool:
        try:
            file = await asyncio.to_thread(self._read) if reads else self._file
            joined, policy = await asyncio.to_thread(self._joined, file, objects)
            loaded = self._adopted(file, objects, joined, policy)
        except TidewaiterError as error:
            self._file_is_wrong |= reads
            self._stays(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a defect in reading must not end the one policy that holds
            self._file_is_wrong |= reads
            self._stays(f"it cannot be used: {type(error).__name__}")
            return False
        if reads or not self._file_is_wrong:
            self._file_is_wrong, self.mistake = False, ""
        changed = loaded.hash != self.current.hash
        if reads or changed:
            self._metrics.policy_reloads.labels("success").inc()
        self.current = loaded
        if reads or changed:
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
        self._metrics.policy_valid.set(not self.mistake)
        where = self._path or "no policy file, the default policy"
        logger.info("policy %s (%s) is in force: %s", loaded.name, loaded.hash, where)

    def _read(self) -> PlainPolicy:
        plain: PlainPolicy = load_policy(self._path, use_cache=False) if self._path else {}
        for warning in policy_warnings(plain):
            logger.warning("%s: %s", self._path, warning)
        files = named_files(plain.get("images", ()), plain.get("imageSettings"))
        self._named = (*plain.get("admissionPolicies", ()), *files)
        images = Policy(plain).images
        if images is not None:
            check_images(images, plain.get("file", ""))
        return plain

    def _joined(self, file: PlainPolicy, objects: Sequence[Object]) -> tuple[Joined, Policy]:
        joined = join(file, objects, self._in_force, _problem_of_images)
        policy = Policy(joined.plain)
        _prepare(policy)
        if policy.images is not None:
            policy.images.decides = True
        return joined, policy

    def _adopted(
        self, file: PlainPolicy, objects: Sequence[Object], joined: Joined, policy: Policy
    ) -> LoadedPolicy:
        """Return the policy ready to judge by; not in the thread that reads, since the inventory has no locks."""
        policy_hash = hash_of(joined.plain)
        inventory = self.source.inventory
        requests = None
        if self._takes_objects:
            requests = PolicyRequests(file, tuple(joined.in_force.values()), _problem_of_images)
        loaded = LoadedPolicy(
            policy,
            joined.plain.get("name") or "default",
            policy_hash,
            Reviewer(
                policy,
                inventory,
                policy_hash=policy_hash,
                own_namespace=self._own_namespace,
                policy_requests=requests,
            ),
            ImageReviewer(policy, policy_hash=policy_hash, own_namespace=self._own_namespace),
        )
        self._tell(joined)
        self._file, self._objects = file, objects
        self._in_force, self.verdicts = joined.in_force, joined.verdicts
        self.judged = {place_of(each): version_of(each) for each in objects}
        return loaded

    def _tell(self, joined: Joined) -> None:
        """Log what came of objects where it is other than before."""
        for place, verdict in joined.verdicts.items():
            if verdict == self.verdicts.get(place):
                continue
            if verdict.is_accepted:
                logger.info("%s is in force", shown(place))
            else:
                logger.error("%s is not accepted: %s", shown(place), verdict.message)
        for place in self.verdicts.keys() - joined.verdicts.keys():
            logger.info("%s is gone", shown(place))

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


def _problem_of_images(plain: PlainPolicy) -> str:
    """Say what is wrong with the keys that a policy names, empty where nothing is."""
    images = Policy({"images": plain.get("images", [])}).images
    if images is None:
        return ""
    try:
        check_images(images, "")
    except TidewaiterError as error:
        return error.message
    return ""


def _prepare(policy: Policy) -> None:
    """Import the rules now, which the first review would wait for otherwise."""
    for name in policy.all_rules:
        policy.rule(name)


def _files(root: str) -> list[str]:
    if not os.path.isdir(root):
        return [root]
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(root, followlinks=True)
        for name in names
    ]
