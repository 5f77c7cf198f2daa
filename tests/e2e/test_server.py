"""The webhook and its cluster: ready when it has read it, and steady when the API server goes away."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api_server import Cluster, running_cluster
from tests.e2e.binaries import binaries
from tests.e2e.conftest import built, make_namespace
from tests.webhook.running import PRIVILEGED, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.webhook.running import Webhook


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server of this module's own, which it may end."""
    programs = built(binaries)
    with running_cluster(programs, tmp_path_factory.mktemp("server")) as running_one:
        yield running_one


@pytest.fixture
def shop(cluster: Cluster) -> str:
    """The name of a new namespace with a Secret in it."""
    name = make_namespace(cluster.server, "shop")
    metadata = {"name": "present", "namespace": name}
    cluster.server.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    return name


def test_the_api_servers_going_away_changes_no_verdict(
    cluster: Cluster, shop: str, tmp_path: Path
) -> None:
    options = ("--inventory", "cluster", "--kubeconfig", str(cluster.server.kubeconfig))
    with running(tmp_path, *options, "--background-audit", "0s") as webhook:
        until(lambda: webhook.request("GET", "/readyz").status == 200, 60)
        assert webhook.metric("tidewaiter_inventory_synced") == 1
        assert webhook.metric("tidewaiter_inventory_objects", kind="Secret") >= 1
        assert _status(webhook, shop, "present") == ""
        assert _status(webhook, shop, "absent") == "violation"
        cluster.stop()
        try:
            until(lambda: webhook.metric("tidewaiter_watch_restarts_total") > 0, 30)
            until(lambda: "\n   Secret: " in webhook.request("GET", "/readyz?verbose").text, 30)
            assert webhook.request("GET", "/readyz").status == 200
            assert webhook.review(PRIVILEGED)["allowed"] is False
            assert _status(webhook, shop, "present") == ""
            assert _status(webhook, shop, "absent") == "violation"
        finally:
            cluster.start()
        metadata = {"name": "absent", "namespace": shop}
        cluster.server.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        until(lambda: _status(webhook, shop, "absent") == "", 60)
        assert webhook.end() == 0


def test_an_inventory_that_is_too_old_proves_no_absence(
    cluster: Cluster, shop: str, tmp_path: Path
) -> None:
    options = ("--inventory", "cluster", "--kubeconfig", str(cluster.server.kubeconfig))
    # A healthy cluster is heard of once a minute; here that counts as silence.
    with running(
        tmp_path, *options, "--max-inventory-age", "4s", "--background-audit", "0s"
    ) as webhook:
        until(lambda: webhook.metric("tidewaiter_inventory_stale") == 1, 60)
        assert webhook.request("GET", "/readyz").status == 200
        assert "inventory: stale" in webhook.request("GET", "/readyz?verbose").text
        assert _status(webhook, shop, "present") == ""
        assert _status(webhook, shop, "absent") == "unknown"
        assert "the cluster is silent" in webhook.log


def test_without_the_cluster_it_is_not_ready_and_judges_what_it_can(
    cluster: Cluster, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    text = cluster.server.kubeconfig.read_text()
    kubeconfig.write_text(text.replace(cluster.server.url, "https://127.0.0.1:9"))
    options = ("--inventory", "cluster", "--kubeconfig", str(kubeconfig))
    with running(tmp_path, *options, "--background-audit", "0s") as webhook:
        answer = webhook.request("GET", "/readyz")
        assert answer.status == 503
        assert "inventory: not read yet\n" in answer.text
        assert webhook.review(PRIVILEGED)["allowed"] is False
        assert webhook.end() == 0


def _status(webhook: Webhook, namespace: str, secret: str) -> str:
    """Return what rule `reference-exists` says of a pod that needs a Secret, as the audit log has it."""
    container: dict[str, Any] = {
        "name": "app",
        "image": "registry.example/app:1.0",
        "envFrom": [{"secretRef": {"name": secret}}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [container]},
    }
    uid = secrets.token_hex()
    webhook.review(pod, uid=uid)
    # The lines of earlier reviews may come late.
    until(lambda: any(line["uid"] == uid for line in webhook.audit))
    (line,) = (line for line in webhook.audit if line["uid"] == uid)
    for found in line["rules"]:
        if found["rule"] == "reference-exists" and "envFrom" in found["pointer"]:
            status: str = found["status"]
            return status
    return ""
