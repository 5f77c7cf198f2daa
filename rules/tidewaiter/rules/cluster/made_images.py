"""The images that a pod has and its controller's template has not: sidecars put in, debugging containers, old ones.

A scan judges them once for all pods of a controller that have the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import compress, decompress

import orjson

from tidewaiter.rules import engine
from tidewaiter.rules.manifest.pod_images import pod_images
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.finding import Report
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.policy.compiled import Policy

    Stated = tuple[str, str]
    """What an image is for, and the image."""


class MadeImages:
    """Collects the images while a cluster is read, and judges them when registries have been asked."""

    def __init__(self, policy: Policy) -> None:
        """Judge by this policy, which speaks of images."""
        self._policy = policy
        self._names = frozenset(
            name for name, entry in policy.entries.items() if entry.needs_images
        )
        self._templates: dict[str, frozenset[Stated]] = {}
        self._alike: dict[tuple[str, Puller | None, tuple[Stated, ...]], list[Resource]] = {}
        """By controller, who pulls, and the place and image of each: what has them, by name."""
        self._packed: dict[tuple[str, Puller | None, tuple[Stated, ...]], bytes] = {}
        """The first of these, whole."""

    def know(self, uid: str, workload: Workload) -> None:
        """Take note of the images of a template, by the uid of what has it."""
        self._templates[uid] = frozenset(
            (each.owner, str(each.image)) for each in pod_images(workload)
        )

    def add(
        self, workload: Workload, stub: Resource, owner: str, puller: Puller | None
    ) -> list[str]:
        """Take note of what the controller `owner` made; return the images that are to be asked about."""
        known = self._templates.get(owner, frozenset())
        found = [
            each for each in pod_images(workload) if (each.owner, str(each.image)) not in known
        ]
        if not found:
            return []
        key = owner, puller, tuple((each.pointer, str(each.image)) for each in found)
        if key not in self._packed:
            self._packed[key] = compress(orjson.dumps(workload.resource.object), 1)
        self._alike.setdefault(key, []).append(stub)
        return [each.image for each in found if isinstance(each.image, str) and each.image.strip()]

    def forget(self, kind_id: str) -> None:
        """Forget a kind, of which the list begins anew."""
        for key in [key for key, alike in self._alike.items() if alike[0].kind_id == kind_id]:
            del self._alike[key], self._packed[key]

    def judged(
        self, inventory: Inventory, today: str, *, inline: bool
    ) -> Iterator[tuple[str, list[Resource], Workload, Report]]:
        """Yield each controller, what it made, the first of it, and what the rules say of these images there."""
        for key, alike in self._alike.items():
            whole = orjson.loads(decompress(self._packed[key]))
            resource = Resource(whole, pod_specs=self._policy.pod_specs)
            if resource.workload is None:
                continue
            report = engine.judge(
                [resource],
                self._policy,
                inventory,
                today=today,
                inline=inline,
                rules=engine.CROSS,
                names=self._names,
            )
            places = {pointer for pointer, _ in key[2]}
            findings = tuple(each for each in report.findings if each.pointer in places)
            yield key[0], alike, resource.workload, replace(report, findings=findings)
