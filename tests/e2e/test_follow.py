"""An inventory follows a real API server: what changes, what breaks, and what comes back."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.api_server import ApiServer, Cluster, running_cluster
from tests.e2e.binaries import binaries
from tests.e2e.client import Refused
from tests.e2e.conftest import built, make_namespace
from tidewaiter.rules.cluster.access import Access, find_access
from tidewaiter.rules.cluster.client import Client
from tidewaiter.rules.cluster.credentials import bearer
from tidewaiter.rules.cluster.follow import Follower, read_once
from tidewaiter.rules.cluster.snapshot import save
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.inventory import CannotBeRead
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.policy.compiled import Policy

Object = dict[str, Any]
PATIENCE = 30.0
TIDEWAITER = str(Path(sys.executable).parent / "tidewaiter")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server of this module's own, which it may end."""
    programs = built(binaries)
    with running_cluster(programs, tmp_path_factory.mktemp("followed")) as running:
        yield running


@pytest.fixture
def shop(cluster: Cluster) -> str:
    """The name of a new namespace."""
    return make_namespace(cluster.server, "shop")


def config_map(namespace: str, name: str, **data: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def widgets(group: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [version],
        },
    }


async def until(holds: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Wait until something holds, and return how long that took."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds, "it does not hold in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - start


@asynccontextmanager
async def following(
    access: Access, *, synced: bool = True, page_limit: int = 200
) -> AsyncIterator[tuple[Follower, LiveInventory]]:
    inventory = LiveInventory()
    async with Client(access, timeout=10) as client:
        follower = Follower(client, inventory, Policy(), page_limit=page_limit)
        task = asyncio.create_task(follower.run())
        try:
            if synced:
                await until(lambda: follower.synced or task.done())
            yield follower, inventory
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def as_admin(server: ApiServer) -> Access:
    return find_access(str(server.kubeconfig))


async def do(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a blocking client beside the follower."""
    return await asyncio.to_thread(function, *arguments)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 150))


def restarts(follower: Follower, kind: str) -> tuple[int, int]:
    found = next(each for each in follower.state().kinds if each.kind_id == kind)
    return found.restarts, found.relists


def test_what_is_there_is_read_and_what_changes_is_seen_within_a_second(
    cluster: Cluster, shop: str
) -> None:
    admin = cluster.server.admin
    admin.create(config_map(shop, "before", color="blue"))

    async def test() -> None:
        async with following(as_admin(cluster.server)) as (follower, inventory):
            state = follower.state()
            assert state.synced
            assert state.objects == inventory.count > 0
            assert inventory.get("Namespace", None, shop) is not None
            found = inventory.get("ConfigMap", shop, "before")
            assert found is not None
            assert found.object["data"] == {"color": "blue"}
            assert "managedFields" not in found.object["metadata"]

            def color() -> object:
                one = inventory.get("ConfigMap", shop, "after")
                return one is not None and one.object.get("data") == {"color": "red"}

            # Other programs take their share of the machine: the best of three counts.
            seen: dict[str, list[float]] = {"created": [], "changed": [], "deleted": []}
            for _ in range(3):
                await do(admin.create, config_map(shop, "after"))
                seen["created"].append(
                    await until(lambda: inventory.get("ConfigMap", shop, "after"))
                )
                await do(admin.apply, config_map(shop, "after", color="red"))
                seen["changed"].append(await until(color))
                await do(admin.delete, config_map(shop, "after"))
                seen["deleted"].append(
                    await until(lambda: not inventory.get("ConfigMap", shop, "after"))
                )
            assert max(min(times) for times in seen.values()) < 1
            kinds = {each.kind_id: each for each in follower.state().kinds}
            assert kinds["ConfigMap"].synced
            assert kinds["ConfigMap"].connected
            assert kinds["ConfigMap"].age is not None
            assert kinds["ConfigMap"].age < 5
            assert "Event" not in kinds
            with pytest.raises(CannotBeRead):
                inventory.of_kind("Event")

    run(test())


def test_lists_of_many_pages_are_read_whole(cluster: Cluster, shop: str) -> None:
    for number in range(60):
        cluster.server.admin.create(config_map(shop, f"c{number}"))

    async def test() -> None:
        async with following(as_admin(cluster.server), page_limit=7) as (_, inventory):
            assert len(inventory.of_kind("ConfigMap", shop)) == 60
        async with Client(as_admin(cluster.server)) as client:
            objects, unreadable = await read_once(client, Policy(), page_limit=7)
            names = [each.name for each in objects if each.namespace == shop]
            assert len([name for name in names if name.startswith("c")]) == 60
            assert unreadable["Event"] == "tidewaiter does not follow them"

    run(test())


def test_a_restart_of_the_api_server_loses_nothing(cluster: Cluster, shop: str) -> None:
    admin = cluster.server.admin
    admin.create(config_map(shop, "goes"))

    async def test() -> None:
        async with following(as_admin(cluster.server)) as (follower, inventory):
            await until(lambda: inventory.get("ConfigMap", shop, "goes"))
            await do(cluster.stop)
            await until(lambda: not any(each.connected for each in follower.state().kinds))
            assert follower.synced
            assert inventory.get("ConfigMap", shop, "goes") is not None
            await do(cluster.start)
            await do(admin.delete, config_map(shop, "goes"))
            await do(admin.create, config_map(shop, "comes"))
            await until(lambda: inventory.get("ConfigMap", shop, "comes"))
            await until(lambda: not inventory.get("ConfigMap", shop, "goes"))
            assert restarts(follower, "ConfigMap")[0] >= 1
            assert inventory.complete

    run(test())


def test_what_etcd_has_forgotten_is_listed_again(cluster: Cluster, shop: str) -> None:
    """The watch is cut, and what happens meanwhile is compacted away."""
    admin = cluster.server.admin

    async def test() -> None:
        async with (
            Proxy(cluster.server.url) as proxy,
            following(proxy.access(cluster.server)) as (
                follower,
                inventory,
            ),
        ):
            await do(admin.create, config_map(shop, "one"))
            await until(lambda: inventory.get("ConfigMap", shop, "one"))
            _, before = restarts(follower, "ConfigMap")
            await proxy.cut()
            await do(admin.delete, config_map(shop, "one"))
            await do(admin.create, config_map(shop, "two"))
            # A new process has only what etcd still has.
            await do(cluster.stop)
            await do(cluster.start)
            await do(cluster.compact)
            await do(admin.create, config_map(shop, "three"))
            await proxy.join()
            await until(lambda: inventory.get("ConfigMap", shop, "three"))
            await until(lambda: inventory.get("ConfigMap", shop, "two"))
            # What is gone goes after the last page.
            await until(lambda: inventory.get("ConfigMap", shop, "one") is None)
            await until(lambda: restarts(follower, "ConfigMap")[1] > before)

    run(test())


def test_a_watch_that_is_cut_goes_on_where_it_was(cluster: Cluster, shop: str) -> None:
    admin = cluster.server.admin

    async def test() -> None:
        async with (
            Proxy(cluster.server.url) as proxy,
            following(proxy.access(cluster.server)) as (
                follower,
                inventory,
            ),
        ):
            await do(admin.create, config_map(shop, "one"))
            await until(lambda: inventory.get("ConfigMap", shop, "one"))
            lists = restarts(follower, "ConfigMap")[1]
            await proxy.cut()
            await until(lambda: restarts(follower, "ConfigMap")[0] >= 1)
            await do(admin.delete, config_map(shop, "one"))
            await do(admin.create, config_map(shop, "two"))
            assert inventory.get("ConfigMap", shop, "two") is None
            await proxy.join()
            await until(lambda: inventory.get("ConfigMap", shop, "two"))
            assert inventory.get("ConfigMap", shop, "one") is None
            assert restarts(follower, "ConfigMap")[1] == lists
            assert follower.state().restarts >= 1

    run(test())


def test_custom_kinds_are_followed_while_they_are_defined(cluster: Cluster, shop: str) -> None:
    admin = cluster.server.admin
    group = f"g{secrets.token_hex(4)}.example.com"
    widget = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "one", "namespace": shop},
        "spec": {"password": "hunter2"},
    }
    kind = f"Widget.{group}"

    def create() -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                admin.create(widget)
                return
            except (KeyError, Refused):
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def there(inventory: LiveInventory) -> bool:
        return kind not in inventory.unreadable and inventory.get(kind, shop, "one") is not None

    async def test() -> None:
        async with following(as_admin(cluster.server)) as (follower, inventory):
            assert not inventory.of_kind(kind)
            for _ in range(2):
                await do(admin.create, widgets(group))
                await do(create)
                await until(lambda: there(inventory))
                assert kind in inventory.kinds_in(shop)
                assert "spec" not in inventory.of_kind(kind)[0].object
                await do(admin.delete, widgets(group))
                await until(lambda: kind not in {each.kind_id for each in follower.state().kinds})
                assert not inventory.of_kind(kind)
                await until(lambda: is_gone(cluster, group))

    run(test())


def test_of_custom_kinds_that_no_rule_reads_the_server_sends_the_metadata_alone(
    cluster: Cluster, shop: str
) -> None:
    admin = cluster.server.admin
    group = f"g{secrets.token_hex(4)}.example.com"
    admin.create(widgets(group))

    def widget(name: str, text: str = "x") -> Object:
        metadata = {"name": name, "namespace": shop, "labels": {"app": "a"}}
        spec = {"text": text}
        return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": metadata, "spec": spec}

    end = time.monotonic() + PATIENCE
    while True:
        try:
            admin.create(widget("one", "x" * 1_000_000))
            break
        except (KeyError, Refused):
            assert time.monotonic() < end
            time.sleep(0.1)
    kind = f"Widget.{group}"

    async def test(policy: Policy) -> int:
        sent = 0
        async with Client(as_admin(cluster.server), timeout=10) as client:
            inventory = LiveInventory(pod_specs=policy.pod_specs)
            client_pages, client_stream = client.pages, client.stream

            async def pages(path: str, *arguments: Any, **named: Any) -> AsyncIterator[Any]:
                nonlocal sent
                async for page in client_pages(path, *arguments, **named):
                    if path.endswith("/widgets"):
                        sent += len(json.dumps(page.items))
                    yield page

            async def stream(path: str, *arguments: Any, **named: Any) -> AsyncIterator[bytes]:
                nonlocal sent
                lines = client_stream(path, *arguments, **named)
                try:
                    async for line in lines:
                        if path.endswith("/widgets"):
                            sent += len(line)
                        yield line
                finally:
                    await lines.aclose()  # type: ignore[attr-defined]

            client.pages, client.stream = pages, stream  # type: ignore[method-assign]
            follower = Follower(client, inventory, policy)
            task = asyncio.create_task(follower.run())
            try:
                await until(lambda: follower.synced)
                await do(admin.create, widget("two", "y" * 1_000_000))
                await until(lambda: inventory.get(kind, shop, "two") is not None)
                found = inventory.of_kind(kind)
                assert [each.name for each in found] == ["one", "two"]
                assert [each.object["apiVersion"] for each in found] == [f"{group}/v1"] * 2
                assert [each.object["metadata"]["labels"] for each in found] == [{"app": "a"}] * 2
                await do(admin.delete, widget("two"))
                await until(lambda: len(inventory.of_kind(kind)) == 1)
                assert restarts(follower, kind) == (0, 0)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return sent

    assert asyncio.run(asyncio.wait_for(test(Policy()), 60)) < 50_000
    # A kind that the policy calls a workload is read whole.
    games: Any = [{"apiVersion": f"{group}/v1", "kind": "Widget", "podSpec": "/spec"}]
    policy = Policy({"workloads": games})
    assert asyncio.run(asyncio.wait_for(test(policy), 60)) > 2_000_000
    objects, _ = asyncio.run(_read_once(cluster.server))
    (one,) = [each for each in objects if each.kind_id == kind]
    assert "spec" not in one.object
    assert one.namespace == shop


async def _read_once(server: ApiServer) -> Any:
    async with Client(as_admin(server)) as client:
        return await read_once(client, Policy())


def is_gone(cluster: Cluster, group: str) -> bool:
    try:
        cluster.server.admin.read(widgets(group))
    except Refused:
        return True
    return False


def test_what_may_not_be_listed_is_not_known_and_holds_up_nothing(
    cluster: Cluster, shop: str
) -> None:
    admin = cluster.server.admin
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "reads-config-maps"},
        "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "reads-config-maps"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {
            "kind": "ClusterRole",
            "name": "reads-config-maps",
            "apiGroup": "rbac.authorization.k8s.io",
        },
    }
    admin.create(role)
    admin.create(binding)
    admin.create(config_map(shop, "one"))
    known = as_admin(cluster.server)
    jane = Access("jane", known.server, known.tls, bearer(cluster.server.user_token))

    async def test() -> None:
        async with following(jane) as (follower, inventory):
            await until(lambda: "ConfigMap" not in inventory.unreadable)
            assert follower.synced
            assert inventory.get("ConfigMap", shop, "one") is not None
            with pytest.raises(CannotBeRead, match="does not let tidewaiter list them"):
                inventory.get("Secret", shop, "one")
            kinds = {each.kind_id: each for each in follower.state().kinds}
            assert not kinds["Secret"].synced
            assert "does not let" in kinds["Secret"].unreadable
            assert kinds["ConfigMap"].unreadable == ""

    run(test())


def test_it_waits_for_a_cluster_that_is_not_there_yet(cluster: Cluster) -> None:
    async def test() -> None:
        async with Proxy(cluster.server.url) as proxy:
            await proxy.cut()
            async with following(proxy.access(cluster.server), synced=False) as (follower, _):
                await until(lambda: follower.state().error)
                assert not follower.synced
                await proxy.join()
                await until(lambda: follower.synced)
                assert follower.state().error == ""

    run(test())


def test_lint_asks_the_cluster_and_a_snapshot_says_the_same(
    cluster: Cluster, shop: str, tmp_path: Path
) -> None:
    admin = cluster.server.admin
    labels = {"app": "api"}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": shop},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "api", "image": "api"}]},
            },
        },
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "api", "namespace": shop},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }
    file = tmp_path / "api.json"
    file.write_text(json.dumps(manifest))

    def lint(*inventory: str) -> list[str]:
        command = [TIDEWAITER, "lint", str(file), "--only", "pdb", "--format", "json"]
        done = subprocess.run(
            [*command, "--inventory", *inventory], capture_output=True, check=False
        )
        assert done.stderr == b""
        return [each["rule"] for each in json.loads(done.stdout)["findings"]]

    async def save_now(path: Path) -> str:
        async with Client(as_admin(cluster.server)) as client:
            save(str(path), *await read_once(client, Policy()))
        return str(path)

    asked = ("cluster", "--kubeconfig", str(cluster.server.kubeconfig))
    assert lint(*asked) == ["pdb"]
    assert lint(asyncio.run(save_now(tmp_path / "before"))) == ["pdb"]
    admin.create(budget)
    assert lint(*asked) == []
    assert lint(asyncio.run(save_now(tmp_path / "after"))) == []


def test_a_cluster_that_goes_away_while_it_is_read_is_one_error(cluster: Cluster) -> None:
    async def test() -> None:
        async with (
            Proxy(cluster.server.url) as proxy,
            Client(proxy.access(cluster.server)) as client,
        ):
            proxy.bytes_left = 150_000
            with pytest.raises(ClusterError, match=r"cannot be reached|broke"):
                await read_once(client, Policy())

    run(test())


class Proxy:
    """A TCP proxy before the API server that can be cut."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self.port = 0
        self.bytes_left = sys.maxsize
        """How much more goes through before the proxy is cut."""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self.cut()
        self._server.close()

    def access(self, server: ApiServer) -> Access:
        known = as_admin(server)
        return Access("proxied", f"https://127.0.0.1:{self.port}", known.tls, known.credentials)

    async def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._is_cut = True
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def join(self) -> None:
        """Serve again."""
        self._is_cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(
            self._pump(reader, far_writer), self._pump(far_reader, writer), return_exceptions=True
        )
        self._open -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.bytes_left -= len(data)
                if self.bytes_left < 0:
                    await self.cut()
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()
