"""Game days with the cluster itself: its API server, its store, and the way there."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.e2e.client import Refused
from tests.e2e.faults.game_day import shortened
from tests.e2e.faults.gate import asking_for, gate, registered
from tests.e2e.faults.proxy import Proxy
from tests.webhook.running import PRIVILEGED, running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.api_server import Cluster
    from tests.webhook.running import Webhook


def test_the_api_server_restarts(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The API server is gone and comes back."""
    with gate(cluster, shop, tmp_path) as webhook, asking_for(cluster, shop) as asked:
        cluster.stop()
        stopped = time.monotonic()
        sees = asked.until_failing(stopped)
        until(lambda: webhook.metric("tidewaiter_watch_restarts_total") > 0, 30)
        assert webhook.request("GET", "/readyz").status == 200
        assert webhook.review(PRIVILEGED)["allowed"] is False
        cluster.start()
        back = time.monotonic()
        seconds = asked.until_whole(back, within=30)
        sees = shortened([sees])
        seconds = max(seconds, _seconds_until_heard(cluster, webhook, shop, back))
    note(f"no answer from the API server: `{sees}`", asked, seconds, within=40)


def test_etcd_is_gone_for_a_while(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """etcd is gone for a while and comes back."""
    with gate(cluster, shop, tmp_path) as webhook, asking_for(cluster, shop) as asked:
        cluster.stop_etcd()
        sees = asked.until_failing(time.monotonic())
        assert webhook.request("GET", "/readyz").status == 200
        assert webhook.review(PRIVILEGED)["allowed"] is False
        cluster.start_etcd()
        back = time.monotonic()
        seconds = asked.until_whole(back, within=60)
        seconds = max(seconds, _seconds_until_heard(cluster, webhook, shop, back))
    note(f"`{shortened([sees])}`", asked, seconds, within=60)


def test_etcd_loses_its_data(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """etcd comes back empty, and the registration of the webhook is applied again.

    Whatever the cluster held is gone, the registration with it: until that is there again nobody asks the webhook.
    """
    admin = cluster.server.admin
    metadata = {"name": "ghost", "namespace": shop}
    admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    options = ["--inventory", "cluster", "--kubeconfig", str(cluster.server.kubeconfig)]
    options += ["--background-audit", "0s"]
    with running(tmp_path, *options, authority=cluster.server.authority) as webhook:
        until(lambda: webhook.request("GET", "/readyz").status == 200, 60)
        before = webhook.metric("tidewaiter_inventory_objects", kind="Secret")
        assert before >= 1
        cluster.stop()
        cluster.stop_etcd()
        cluster.lose_data()
        cluster.start_etcd()
        cluster.start()
        back = time.monotonic()
        until(lambda: webhook.metric("tidewaiter_inventory_objects", kind="Secret") == 0, 60)
        forgotten = time.monotonic() - back
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shop}}
        cluster.server.admin.create(namespace)
        with registered(cluster, shop, webhook.port), asking_for(cluster, shop) as asked:
            asked.until_whole(time.monotonic(), within=30)
            heard = _seconds_until_heard(cluster, webhook, shop, back)
    sees = (
        "an empty cluster. Nothing is judged before the registration is applied again; "
        "the background audit reports what came in meanwhile"
    )
    note(sees, asked, max(forgotten, heard), within=90)


def test_the_watches_are_cut(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The watches are cut, and cannot be begun again for a while."""
    port = urlsplit(cluster.server.url).port
    assert port is not None
    with Proxy(port).running() as proxy:
        options = ("--kubeconfig", str(_by_way_of(proxy, cluster, tmp_path)))
        with gate(cluster, shop, tmp_path, *options) as webhook, asking_for(cluster, shop) as asked:
            proxy.cut()
            until(lambda: webhook.metric("tidewaiter_watch_restarts_total") > 20, 30)
            cut = time.monotonic()
            asked.until_whole(cut, within=10)
            assert webhook.request("GET", "/readyz").status == 200
            proxy.mend()
            back = time.monotonic()
            seconds = _seconds_until_heard(cluster, webhook, shop, back)
            asked.until_whole(back, within=10)
    assert asked.failures() == []
    sees = "verdicts as before, by what was last known of the cluster"
    note(sees, asked, seconds, within=40)


def test_the_watches_stall(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The watches stay open and nothing comes any more."""
    port = urlsplit(cluster.server.url).port
    assert port is not None
    with Proxy(port).running() as proxy:
        access = ("--kubeconfig", str(_by_way_of(proxy, cluster, tmp_path)))
        with (
            gate(cluster, shop, tmp_path, *access, "--max-inventory-age", "3s") as webhook,
            asking_for(cluster, shop) as asked,
        ):
            proxy.stall()
            until(lambda: webhook.metric("tidewaiter_inventory_stale") == 1, 60)
            asked.until_whole(time.monotonic(), within=10)
            proxy.mend()
            back = time.monotonic()
            seconds = _seconds_until_heard(cluster, webhook, shop, back)
    assert asked.failures() == []
    sees = "verdicts as before; after `--max-inventory-age` what is missing is `unknown`"
    note(sees, asked, seconds, within=60)


def test_the_cluster_changes_fast(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The cluster changes as fast as the API server takes it."""
    stopping = threading.Event()

    def change() -> None:
        client = cluster.server.admin
        while not stopping.is_set():
            metadata = {"name": f"churn-{secrets.token_hex(4)}", "namespace": "default"}
            made = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
            client.create(made)
            client.delete(made)

    with gate(cluster, shop, tmp_path), asking_for(cluster, shop) as asked:
        threads = [threading.Thread(target=change) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(4)
            seconds = asked.until_whole(time.monotonic(), within=10)
        finally:
            stopping.set()
            for thread in threads:
                thread.join(30)
    assert asked.failures() == []
    note("verdicts as ever", asked, seconds, within=10)


def _by_way_of(proxy: Proxy, cluster: Cluster, folder: Path) -> Path:
    text = cluster.server.kubeconfig.read_text(encoding="utf-8")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        text.replace(cluster.server.url, f"https://127.0.0.1:{proxy.port}"), encoding="utf-8"
    )
    return kubeconfig


def _seconds_until_heard(cluster: Cluster, webhook: Webhook, namespace: str, since: float) -> float:
    """Make a Secret and wait until a review finds it; return the seconds since a moment."""
    name = f"made-{secrets.token_hex(4)}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
    }

    def is_made() -> bool:
        try:
            cluster.server.admin.create(secret)
        except Refused as refused:
            return refused.code == 409
        except OSError:
            return False
        return True

    def is_found() -> bool:
        warned = webhook.review(_needs(namespace, name), namespace=namespace).get("warnings", [])
        return not any(name in each for each in warned)

    until(is_made, 60)
    until(is_found, 90)
    return time.monotonic() - since


def _needs(namespace: str, secret: str) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "registry.example/app:1.0",
        "envFrom": [{"secretRef": {"name": secret}}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [container]},
    }
