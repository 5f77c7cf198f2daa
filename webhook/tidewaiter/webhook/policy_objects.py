"""Policies that are objects of the cluster: watched, joined with the policy file, and told what came of them.

Every replica watches and joins them by itself, so that all come to the same policy; the replica that holds the Lease
writes the status of the objects. Without definitions of the kinds there are none, until there are.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cluster.access import find_access
from tidewaiter.rules.cluster.client import Client, Refused, backoff
from tidewaiter.rules.cluster.follow import Follower
from tidewaiter.rules.cluster.lease import Lease, candidate
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.objects import KINDS, POLICY, place_of, shown, version_of
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.settings import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.cluster.access import Access
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.objects import Object, Place, Verdict
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.policy_watch import PolicyWatch
    from tidewaiter.webhook.settings import Settings

LEASE = "tidewaiter-policy-status"
MANAGER = "tidewaiter-policy-status"
CONDITION = "Accepted"
_SETTLES = 0.05
"""Seconds in which changes that come together are taken together."""
_LONGEST_MESSAGE = 4096
_FORBIDDEN = frozenset({401, 403})
_GONE = 404


class PolicyStore:
    """The policies of the cluster as last heard of; `changed` is set when one of them is another."""

    def __init__(self) -> None:
        """Know of none."""
        self.changed = asyncio.Event()
        self.touched = asyncio.Event()
        """Set when anything at all is heard of one, its status included."""
        self._objects: dict[Place, dict[str, Any]] = {}
        self._unreadable: dict[str, str] = {}
        self._complete = False

    @property
    def objects(self) -> list[dict[str, Any]]:
        """All of them."""
        return list(self._objects.values())

    @property
    def complete(self) -> bool:
        """Whether all have been read once."""
        return self._complete

    @complete.setter
    def complete(self, value: bool) -> None:
        self._complete = value
        self.changed.set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._objects)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """By kind, why not all of its objects are known."""
        return {kind: why for kind, why in self._unreadable.items() if kind in KINDS}

    def counts(self) -> dict[str, int]:
        """Return how many there are of each kind."""
        found: dict[str, int] = {}
        for kind, _, _ in self._objects:
            found[kind] = found.get(kind, 0) + 1
        return found

    def set_pod_specs(self, pod_specs: dict[str, str]) -> None:
        """Do nothing: policies have no pods."""

    def put(self, resource: Resource) -> None:
        """Take in a new or changed object."""
        if resource.kind_id not in KINDS:
            return
        place = place_of(resource.object)
        before = self._objects.get(place)
        self._objects[place] = resource.object
        self.touched.set()
        if before is None or version_of(before) != version_of(resource.object):
            self.changed.set()

    def remove(self, kind_id: str, namespace: str, name: str) -> None:
        """Forget an object that is gone."""
        if self._objects.pop((kind_id, namespace, name), None) is not None:
            self.changed.set()

    def retain(self, kind_id: str, places: set[tuple[str, str]]) -> None:
        """Forget the objects of a kind but those at these places."""
        # Objects in no namespace are told of by another word than none.
        kept = {(namespace if kind_id == POLICY else "", name) for namespace, name in places}
        for place in [each for each in self._objects if each[0] == kind_id]:
            if place[1:] not in kept:
                self.remove(*place)

    def cannot_read(self, kind_id: str, reason: str) -> None:
        """Note that not all objects of a kind are known."""
        self._unreadable[kind_id] = reason

    def can_read(self, kind_id: str) -> None:
        """Note that all objects of a kind are known."""
        self._unreadable.pop(kind_id, None)


class PolicyObjects:
    """Keeps the policy in step with the objects of the cluster, and their status with the policy."""

    def __init__(self, access: Access, policy: PolicyWatch, metrics: Metrics) -> None:
        """Prepare; nothing is asked before `run`."""
        self.is_synced = False
        self._access = access
        self._policy = policy
        self._metrics = metrics
        self._store = PolicyStore()
        self._client = Client(access)
        self._follower = Follower(self._client, self._store, Policy(), kinds=KINDS)
        self._judged = asyncio.Event()
        self._told: set[str] = set()

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        lease = Lease(self._client, self._access.namespace or "default", LEASE, candidate())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follower.run())
                tasks.create_task(self._take_changes())
                tasks.create_task(lease.lead(self._write_statuses))
        finally:
            await self._client.close()

    def notes(self) -> dict[str, str]:
        """Return what `/readyz?verbose` says of the objects."""
        notes = {}
        if error := self._follower.state().error:
            notes["policy objects"] = error
        notes.update(self._store.unreadable)
        for place, verdict in self._policy.verdicts.items():
            if not verdict.is_accepted:
                notes[shown(place)] = f"not accepted: {verdict.message}"
        return notes

    async def _take_changes(self) -> None:
        """Bring each change into force, many at once where they come at once."""
        while True:
            await self._store.changed.wait()
            if not self._store.complete:
                self._store.changed.clear()
                continue
            await asyncio.sleep(_SETTLES)
            self._store.changed.clear()
            await self._policy.take(self._store.objects)
            if not self.is_synced:
                self.is_synced = True
                logger.info("policy objects: %d have been read", self._store.count)
            self._show()
            self._judged.set()

    def _show(self) -> None:
        counts = {(kind, state): 0 for kind in KINDS for state in ("accepted", "refused")}
        for place, verdict in self._policy.verdicts.items():
            counts[place[0], "accepted" if verdict.is_accepted else "refused"] += 1
        for (kind, state), number in counts.items():
            self._metrics.policy_objects.labels(kind.partition(".")[0], state).set(number)

    async def _write_statuses(self) -> None:
        """Write what is not as it should be, whenever something may not be."""
        failures = 0
        while True:
            self._judged.clear()
            self._store.touched.clear()
            failures = 0 if await self._write_all() else failures + 1
            waiting = [
                asyncio.create_task(each.wait()) for each in (self._judged, self._store.touched)
            ]
            try:
                await asyncio.wait(
                    waiting,
                    timeout=backoff(failures) if failures else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                for each in waiting:
                    each.cancel()

    async def _write_all(self) -> bool:
        """Write the status of each object that has another; tell whether nothing is left to be written."""
        is_done = True
        verdicts = self._policy.verdicts
        for value in self._store.objects:
            verdict = verdicts.get(place_of(value))
            if verdict is None or self._policy.judged.get(place_of(value)) != version_of(value):
                continue  # its verdict is still to come
            status = status_of(value, verdict)
            if status == mapping(value.get("status")):
                continue
            try:
                await self._write(value, status)
            except Refused as refused:
                if refused.status == _GONE:
                    continue
                is_done = False
                self._tell(str(refused) if refused.status in _FORBIDDEN else refused.reason)
            except ClusterError:
                is_done = False
        return is_done

    async def _write(self, value: Object, status: Mapping[str, Any]) -> None:
        kind, namespace, name = place_of(value)
        where = f"namespaces/{namespace}/policies" if kind == POLICY else "clusterpolicies"
        metadata: dict[str, Any] = {"name": name, "uid": mapping(value.get("metadata")).get("uid")}
        if namespace:
            metadata["namespace"] = namespace
        body = {
            "apiVersion": value["apiVersion"],
            "kind": value["kind"],
            "metadata": metadata,
            "status": status,
        }
        await self._client.apply(
            f"/apis/tidewaiter.dev/v1/{where}/{name}/status", body, manager=MANAGER
        )

    def _tell(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            logger.warning("the status of a policy cannot be written: %s", why)


def open_policy_objects(
    settings: Settings, policy: PolicyWatch, metrics: Metrics
) -> PolicyObjects | None:
    """Return what follows the policies of the cluster, None where it is not asked for. Raises ClusterError."""
    if settings.policy_objects == "never" or settings.inventory != CLUSTER:
        return None
    return PolicyObjects(find_access(settings.kubeconfig or None), policy, metrics)


def status_of(value: Object, verdict: Verdict) -> dict[str, Any]:
    """Return the status of an object; the time of its condition stays while the condition does."""
    generation = mapping(value.get("metadata")).get("generation")
    state = "True" if verdict.is_accepted else "False"
    message = verdict.message
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[: _LONGEST_MESSAGE - 3]}..."
    before = next(
        (
            mapping(each)
            for each in sequence(mapping(value.get("status")).get("conditions"))
            if mapping(each).get("type") == CONDITION
        ),
        {},
    )
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = text(before.get("lastTransitionTime")) if before.get("status") == state else ""
    condition = {
        "type": CONDITION,
        "status": state,
        "reason": verdict.reason,
        "message": message,
        "lastTransitionTime": since or now,
        "observedGeneration": generation,
    }
    return {"observedGeneration": generation, "conditions": [condition]}
