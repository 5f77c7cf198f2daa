"""Where the other objects are known from: a cluster, a file, or nowhere."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Protocol

from tidewaiter.rules.errors import ClusterError, InputError
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.memory import settle
from tidewaiter.webhook.settings import CLUSTER, NONE

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.settings import Settings

_LOOK = 1.0
"""Seconds between two looks at how old the inventory is."""


class InventorySource(Protocol):
    """An inventory, and what keeps it true."""

    inventory: LiveInventory

    @property
    def is_synced(self) -> bool:
        """Whether everything has been read at least once."""
        ...

    async def run(self) -> None:
        """Keep the inventory true until cancelled."""
        ...

    def adopt(self, policy: Policy) -> None:
        """Keep what another policy reads."""
        ...

    def measure(self, metrics: Metrics) -> None:
        """Bring the metrics up to date."""
        ...

    def notes(self) -> dict[str, str]:
        """Return what `/readyz?verbose` says beside whether it is read."""
        ...


def open_inventory(settings: Settings, policy: Policy) -> InventorySource:
    """Return the inventory that the settings ask for. Raises InputError and ClusterError."""
    if settings.inventory == NONE:
        return FixedInventory(
            LiveInventory(complete=False, pod_specs=policy.pod_specs),
            "none; rules that ask about other objects answer unknown",
        )
    if settings.inventory == CLUSTER:
        return ClusterInventory(settings, policy)
    return _from_files(settings.inventory, policy)


def own_namespace(settings: Settings) -> str:
    """Return the namespace that the webhook runs in, empty outside a cluster."""
    from tidewaiter.rules.cluster.access import SERVICE_ACCOUNT

    if settings.service[1]:
        return settings.service[1]
    try:
        with open(os.path.join(SERVICE_ACCOUNT, "namespace"), encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


class FixedInventory:
    """An inventory that does not change while the server runs; without objects, absence means nothing."""

    is_synced = True

    def __init__(self, inventory: LiveInventory, what: str) -> None:
        """Keep the inventory; `what` says of it what the log does."""
        self.inventory = inventory
        self._what = what
        logger.info("inventory: %s", what)

    async def run(self) -> None:
        """Do nothing: nothing changes."""

    def adopt(self, policy: Policy) -> None:
        """Take on the policy's kinds of workloads."""
        self.inventory.set_pod_specs(policy.pod_specs)

    def measure(self, metrics: Metrics) -> None:
        """Say how much there is."""
        for kind, count in self.inventory.counts().items():
            metrics.inventory_objects.labels(kind).set(count)
        metrics.inventory_synced.set(1)

    def notes(self) -> dict[str, str]:
        """Say where it is from."""
        return {"inventory from": self._what}


class ClusterInventory:
    """The objects of a cluster, by its watches.

    Where the cluster is silent the last known state goes on to answer, since an object that was seen is likely to be
    there still. When the silence has lasted for longer than the settings allow, what is missing from the inventory is
    no longer taken for absent: rules that miss something answer unknown.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        """Find the way into the cluster; nothing is asked before `run`. Raises ClusterError."""
        from tidewaiter.rules.cluster.access import find_access
        from tidewaiter.rules.cluster.client import Client
        from tidewaiter.rules.cluster.follow import Follower

        try:
            access = find_access(settings.kubeconfig or None)
        except ClusterError as error:
            raise ClusterError(
                f"{error.message}; --inventory none serves without a cluster",
                file=error.file,
                line=error.line,
                pointer=error.pointer,
            ) from None
        logger.info("inventory: the cluster at %s (%s)", access.server, access.name)
        self.inventory = LiveInventory(pod_specs=policy.pod_specs)
        self._max_age = settings.max_inventory_age
        self._client = Client(access)
        self._follower = Follower(self._client, self.inventory, policy)
        self._is_stale = False
        self._restarts: dict[str, int] = {}
        self.is_synced = False

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follower.run())
                tasks.create_task(self._watch_age())
        finally:
            await self._client.close()

    def adopt(self, policy: Policy) -> None:
        """Read again what the policy reads otherwise than the one before."""
        self._follower.adopt(policy)

    def measure(self, metrics: Metrics) -> None:
        """Say what is known, for how long nothing was heard, and how often a watch was begun again."""
        state = self._follower.state()
        metrics.inventory_objects.clear()
        for kind in state.kinds:
            metrics.inventory_objects.labels(kind.kind_id).set(kind.objects)
            before = self._restarts.get(kind.kind_id, 0)
            # A kind that came back counts from zero again.
            more = kind.restarts - before if kind.restarts >= before else kind.restarts
            metrics.watch_restarts.labels(kind.kind_id).inc(more)
            self._restarts[kind.kind_id] = kind.restarts
        metrics.inventory_age.set(state.age or 0)
        metrics.inventory_synced.set(self.is_synced)
        metrics.inventory_stale.set(self._is_stale)

    def notes(self) -> dict[str, str]:
        """Say how much is known, and what is not."""
        state = self._follower.state()
        age = "nothing heard yet" if state.age is None else f"last heard of {state.age:.0f}s ago"
        notes = {"inventory from": f"the cluster, {state.objects} objects, {age}"}
        if state.error:
            notes["cluster"] = state.error
        if self._is_stale:
            notes["inventory"] = "stale: what is missing from it is taken for unknown"
        for kind in state.kinds:
            if why := kind.unreadable or kind.error:
                notes[kind.kind_id] = why
            elif not kind.synced:
                notes[kind.kind_id] = "not read yet"
        return notes

    async def _watch_age(self) -> None:
        while True:
            self._check_age()
            await asyncio.sleep(_LOOK)

    def _check_age(self) -> None:
        if not self.is_synced:
            if not self._follower.synced:
                return
            self.is_synced = True
            settle()
            logger.info("inventory: %d objects have been read", self.inventory.count)
        age = self._follower.state().age
        is_stale = bool(self._max_age) and age is not None and age > self._max_age
        if is_stale != self._is_stale:
            self._is_stale = is_stale
            if is_stale:
                logger.warning(
                    "inventory: the cluster is silent for %.0f s; what is missing is unknown", age
                )
            else:
                logger.info("inventory: the cluster is heard of again")
        if self.inventory.complete == is_stale:
            self.inventory.complete = not is_stale


def _from_files(path: str, policy: Policy) -> InventorySource:
    from tidewaiter.rules.cluster.snapshot import is_snapshot, load
    from tidewaiter.rules.loading.resources import read_resources
    from tidewaiter.rules.loading.sources import discover, read_file

    if not os.path.exists(path):
        msg = "there is no such inventory; --inventory takes cluster, none or a path"
        raise InputError(msg, file=path)
    pod_specs = policy.pod_specs
    if os.path.isfile(path) and is_snapshot(path):
        return _from_snapshot(path, policy)
    if is_snapshot(path):
        snapshot = load(path)
        inventory = LiveInventory(
            (Resource(each, pod_specs=pod_specs) for each in snapshot.objects),
            complete=True,
            pod_specs=pod_specs,
        )
        for kind, why in snapshot.unreadable.items():
            inventory.cannot_read(kind, why)
        return FixedInventory(inventory, f"{inventory.count} objects of the snapshot {path}")
    found = discover([path], ())
    for error in found.errors:
        raise error
    resources: list[Resource] = []
    for file in found.files:
        content = read_resources(
            read_file(file.path), file.path, explicit=file.explicit, pod_specs=pod_specs
        )
        for mistake in content.errors:
            raise mistake
        resources += content.resources
    inventory = LiveInventory(resources, complete=True, pod_specs=pod_specs)
    return FixedInventory(inventory, f"{inventory.count} objects of {path}")


def _from_snapshot(path: str, policy: Policy) -> InventorySource:
    from tidewaiter.rules.cluster.snapshot import load

    snapshot, pod_specs = load(path), policy.pod_specs
    inventory = LiveInventory(
        (Resource(each, pod_specs=pod_specs) for each in snapshot.objects),
        complete=True,
        pod_specs=pod_specs,
    )
    for kind, reason in snapshot.unreadable.items():
        inventory.cannot_read(kind, reason)
    return FixedInventory(inventory, f"{inventory.count} objects of the snapshot {path}")
