"""The webhook's inventory from a file: manifests, or a snapshot of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidewaiter.rules.cluster.snapshot import save
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.inventory import CannotBeRead
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.webhook.inventory_source import open_inventory
from tidewaiter.webhook.settings import Settings

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "api", "namespace": "shop"},
}


def test_a_snapshot_is_served_with_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "cluster.snapshot"
    save(str(path), [Resource(SERVICE)], {"Secret": "the cluster does not let it"})
    source = open_inventory(Settings(inventory=str(path)), Policy())
    assert source.is_synced
    assert source.inventory.complete
    assert source.inventory.get("Service", "shop", "api") is not None
    with pytest.raises(CannotBeRead, match="the cluster does not let it"):
        source.inventory.get("Secret", "shop", "api")


def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.snapshot"
    save(str(path), [Resource(SERVICE)], {})
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cut short or damaged"):
        open_inventory(Settings(inventory=str(path)), Policy())
