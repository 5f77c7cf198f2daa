"""How a follower takes what an API server may say: errors inside a watch, broken objects, kinds that fail alone.

The server here speaks the list and watch of the Kubernetes API over plain HTTP and says what a test wants; what a
real one says is in tests/e2e/test_follow.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

import tidewaiter.rules.cluster.follow
from tidewaiter.rules.cluster.access import Access
from tidewaiter.rules.cluster.client import Client
from tidewaiter.rules.cluster.credentials import FixedHeaders
from tidewaiter.rules.cluster.follow import Follower, KindState
from tidewaiter.rules.inventory import CannotBeRead
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.policy.compiled import Policy

pytestmark = pytest.mark.slow

Object = dict[str, Any]
MAPS, SERVICES = "/api/v1/configmaps", "/api/v1/services"


def config_map(name: str, version: int = 1, **data: str) -> Object:
    metadata = {"name": name, "namespace": "shop", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class ApiServer:
    """Serves ConfigMaps and Services; what a path in `failing` is asked for is answered with that status."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Object]] = {MAPS: [], SERVICES: []}
        self.failing: dict[str, int] = {}
        self.lists: list[str] = []
        self.version = 100
        """Where the store is; each list is one further."""
        self.watches: list[tuple[str, str]] = []
        self._open: dict[str, list[asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for path in list(self._open):
            self.cut(path)
        self._server.close()

    def tell(self, path: str, kind: str, obj: Object) -> None:
        """Send an event to every watch of a path."""
        self.send(path, json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    def send(self, path: str, data: bytes) -> None:
        for writer in self._open.get(path, ()):
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def cut(self, path: str) -> None:
        for writer in self._open.pop(path, ()):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                url = urlsplit(head.split(b" ", 2)[1].decode())
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                if url.path in self.failing:
                    status = self.failing[url.path]
                    self._answer(
                        writer, {"kind": "Status", "message": "no", "code": status}, status
                    )
                elif "watch" in query:
                    self.watches.append((url.path, query["resourceVersion"]))
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n"
                    )
                    self._open.setdefault(url.path, []).append(writer)
                    return
                elif query.get("limit") == "1":
                    metadata = {"resourceVersion": str(self.version)}
                    self._answer(writer, {"metadata": metadata, "items": []}, 200)
                else:
                    self._answer(writer, self._content(url.path), 200)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    def _content(self, path: str) -> Object:
        verbs = ["list", "watch"]
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return {"kind": "APIGroupList", "groups": []}
        if path == "/api/v1":
            resources = [
                {"name": name, "kind": kind, "namespaced": True, "verbs": verbs}
                for name, kind in (("configmaps", "ConfigMap"), ("services", "Service"))
            ]
            return {"kind": "APIResourceList", "resources": resources}
        self.lists.append(path)
        metadata = {"resourceVersion": str(self.version + len(self.lists))}
        kind = "ConfigMapList" if path == MAPS else "ServiceList"
        return {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": self.objects[path]}

    @staticmethod
    def _answer(writer: asyncio.StreamWriter, content: Object, status: int) -> None:
        body = json.dumps(content).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )


async def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < end, "it does not hold in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def following(server: ApiServer) -> AsyncIterator[tuple[Follower, LiveInventory]]:
    inventory = LiveInventory()
    access = Access("test", f"http://127.0.0.1:{server.port}", None, FixedHeaders({}))
    async with Client(access, timeout=2) as client:
        follower = Follower(client, inventory, Policy())
        task = asyncio.create_task(follower.run())
        try:
            await until(lambda: follower.synced or task.done())
            await until(lambda: server.failing or len(server.watches) >= 2)
            yield follower, inventory
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def run(test: Callable[[ApiServer], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with ApiServer() as server:
            await asyncio.wait_for(test(server), 40)

    asyncio.run(whole())


def state(follower: Follower, kind: str) -> KindState:
    return next(each for each in follower.state().kinds if each.kind_id == kind)


def names(inventory: LiveInventory) -> list[str]:
    return [each.name for each in inventory.of_kind("ConfigMap")]


def test_a_watch_goes_on_from_the_last_event_or_bookmark() -> None:
    async def test(server: ApiServer) -> None:
        async with following(server) as (_, inventory):
            server.tell(MAPS, "ADDED", config_map("a", 205))
            await until(lambda: names(inventory) == ["a"])
            server.tell(MAPS, "BOOKMARK", {"metadata": {"resourceVersion": "300"}})
            await asyncio.sleep(0.05)
            server.version = 300
            server.cut(MAPS)
            await until(lambda: (MAPS, "300") in server.watches)
            assert server.lists.count(MAPS) == 1

    run(test)


def test_a_server_whose_store_was_put_back_is_read_again() -> None:
    async def test(server: ApiServer) -> None:
        server.objects[MAPS] = [config_map("a")]
        server.version = 1000
        async with following(server) as (follower, inventory):
            assert names(inventory) == ["a"]
            server.objects[MAPS] = [config_map("b")]
            server.version = 50
            server.cut(MAPS)
            await until(lambda: names(inventory) == ["b"])
            assert state(follower, "ConfigMap").relists == 1

    run(test)


def test_an_error_event_of_410_lists_again() -> None:
    async def test(server: ApiServer) -> None:
        server.objects[MAPS] = [config_map("a")]
        async with following(server) as (follower, inventory):
            assert names(inventory) == ["a"]
            server.objects[MAPS] = [config_map("b")]
            server.tell(MAPS, "ERROR", {"kind": "Status", "code": 410, "message": "too old"})
            await until(lambda: names(inventory) == ["b"])
            assert state(follower, "ConfigMap").relists == 1
            assert state(follower, "ConfigMap").restarts == 1
            assert state(follower, "Service").restarts == 0

    run(test)


@pytest.mark.parametrize(
    "line", [b"no json\n", b'{"type": 3}\n', b"[]\n", b'{"type":"ERROR","object":{"code":500}}\n']
)
def test_nonsense_in_a_watch_ends_nothing(line: bytes) -> None:
    async def test(server: ApiServer) -> None:
        async with following(server) as (_, inventory):
            server.send(MAPS, line)
            server.cut(MAPS)
            await until(lambda: [path for path, _ in server.watches].count(MAPS) > 1)
            server.tell(MAPS, "ADDED", config_map("a", 205))
            await until(lambda: names(inventory) == ["a"])

    run(test)


def test_an_object_that_cannot_be_kept_makes_its_kind_unknown_until_it_goes() -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    poison = {**config_map("deep"), "kind": "Service", "spec": deep}

    async def test(server: ApiServer) -> None:
        server.objects[SERVICES] = [poison]
        async with following(server) as (follower, inventory):
            assert follower.synced
            with pytest.raises(CannotBeRead, match="not all of them could be taken in"):
                inventory.of_kind("Service")
            assert names(inventory) == []
            server.tell(SERVICES, "DELETED", {**config_map("deep", 300), "kind": "Service"})
            await until(lambda: "Service" not in inventory.unreadable)

    run(test)


@pytest.mark.slow
def test_a_kind_that_fails_from_the_start_holds_up_nothing() -> None:
    async def test(server: ApiServer) -> None:
        server.failing[SERVICES] = 503
        server.objects[MAPS] = [config_map("a")]
        async with following(server) as (follower, inventory):
            assert names(inventory) == ["a"]
            with pytest.raises(CannotBeRead, match="answers with 503"):
                inventory.of_kind("Service")
            assert "503" in state(follower, "Service").error
            server.failing.clear()
            await until(lambda: "Service" not in inventory.unreadable)
            assert state(follower, "Service").synced

    run(test)


@pytest.mark.slow
def test_a_kind_that_falls_silent_alone_is_not_known_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tidewaiter.rules.cluster.follow, "GIVE_UP_SECONDS", 0.5)

    async def test(server: ApiServer) -> None:
        async with following(server) as (follower, inventory):
            server.failing[SERVICES] = 503
            server.cut(SERVICES)
            await until(lambda: "Service" in inventory.unreadable)
            assert "ceased to answer" in state(follower, "Service").unreadable
            assert inventory.complete
            server.failing.clear()
            await until(lambda: "Service" not in inventory.unreadable)

    run(test)


def test_another_policy_has_its_kinds_read_again() -> None:
    async def test(server: ApiServer) -> None:
        server.objects[MAPS] = [config_map("a", text="x\n" * 5)]
        async with following(server) as (follower, inventory):
            [before] = inventory.of_kind("ConfigMap")
            assert before.object["data"] == {"text": "***"}
            spec = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
            policy_object = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingAdmissionPolicy",
                "metadata": {"name": "x"},
                "spec": spec,
            }
            row = {"object": policy_object, "file": "p.yaml", "document": 0, "prefix": ""}
            follower.adopt(Policy({"admissionObjects": [row]}))
            with pytest.raises(CannotBeRead, match="have not been read yet"):
                inventory.of_kind("ConfigMap")
            await until(lambda: "ConfigMap" not in inventory.unreadable)
            [after] = inventory.of_kind("ConfigMap")
            assert after.object["data"] == {"text": "x\n" * 5}
            assert server.lists.count(SERVICES) == 1

    run(test)
