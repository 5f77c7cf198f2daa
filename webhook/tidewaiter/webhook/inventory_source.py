"""Where the other objects are known from: a cluster, a file, or nowhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.settings import NONE

if TYPE_CHECKING:
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.settings import Settings


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

    def measure(self, metrics: Metrics) -> None:
        """Bring the metrics up to date."""
        ...

    def notes(self) -> dict[str, str]:
        """Return what `/readyz?verbose` says beside whether it is read."""
        ...


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

    def measure(self, metrics: Metrics) -> None:
        """Say how much there is."""
        for kind, count in self.inventory.counts().items():
            metrics.inventory_objects.labels(kind).set(count)
        metrics.inventory_synced.set(1)

    def notes(self) -> dict[str, str]:
        """Say where it is from."""
        return {"inventory from": self._what}


def open_inventory(settings: Settings, pod_specs: dict[str, str]) -> InventorySource:
    """Return the inventory that the settings ask for. Raises InputError and ClusterError."""
    if settings.inventory == NONE:
        return FixedInventory(
            LiveInventory(complete=False, pod_specs=pod_specs),
            "none; rules that ask about other objects answer unknown",
        )
    return _from_files(settings.inventory, pod_specs)


def _from_files(path: str, pod_specs: dict[str, str]) -> InventorySource:
    from tidewaiter.rules.loading.resources import read_resources
    from tidewaiter.rules.loading.sources import discover, read_file

    if not os.path.exists(path):
        raise InputError(
            "there is no such inventory; --inventory takes cluster, none or a path", file=path
        )
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
