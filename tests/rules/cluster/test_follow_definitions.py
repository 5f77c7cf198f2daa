"""Kinds that are asked for by name come and go with their definitions, whatever discovery says of them meanwhile.

The server is that of `test_follow`; on a real one see tests/e2e/test_policy_objects.py.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.rules.cluster.test_follow import ApiServer, until
from tidewaiter.rules.cluster.access import Access
from tidewaiter.rules.cluster.client import Client
from tidewaiter.rules.cluster.credentials import FixedHeaders
from tidewaiter.rules.cluster.discovery import defined_resource
from tidewaiter.rules.cluster.follow import Follower
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.definition import definitions
from tidewaiter.rules.policy.objects import CLUSTER_POLICY, KINDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

Object = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/tidewaiter.dev/v1/clusterpolicies"


def definition(*, is_established: bool = True, is_served: bool = True) -> Object:
    made = {**definitions()[0]}
    made["spec"] = {
        **made["spec"],
        "versions": [{**each, "served": is_served} for each in made["spec"]["versions"]],
    }
    status = "True" if is_established else "False"
    made["status"] = {"conditions": [{"type": "Established", "status": status}]}
    return made


def cluster_policy(name: str) -> Object:
    metadata = {"name": name, "uid": name, "generation": 1, "resourceVersion": "1"}
    return {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "ClusterPolicy",
        "metadata": metadata,
        "spec": {},
    }


class Definer(ApiServer):
    """Serves definitions and ClusterPolicies, of which its discovery says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.objects = {DEFINITIONS: [definition()], POLICIES: [cluster_policy("strict")]}

    def _content(self, path: str) -> Object:
        group = "apiextensions.k8s.io"
        version = {"groupVersion": f"{group}/v1", "version": "v1"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/api/v1":
            resource = {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["get"]}
            return {"kind": "APIResourceList", "resources": [resource]}
        if path == "/apis":
            row = {"name": group, "versions": [version], "preferredVersion": version}
            return {"kind": "APIGroupList", "groups": [row]}
        if path == f"/apis/{group}/v1":
            resource = {
                "name": "customresourcedefinitions",
                "kind": "CustomResourceDefinition",
                "namespaced": False,
                "verbs": ["list", "watch"],
            }
            return {"kind": "APIResourceList", "resources": [resource]}
        self.lists.append(path)
        metadata = {"resourceVersion": str(self.version + len(self.lists))}
        return {"kind": "List", "metadata": metadata, "items": self.objects.get(path, [])}


@asynccontextmanager
async def following(server: Definer) -> AsyncIterator[tuple[Follower, LiveInventory]]:
    inventory = LiveInventory()
    access = Access("test", f"http://127.0.0.1:{server.port}", None, FixedHeaders({}))
    async with Client(access, timeout=2) as client:
        follower = Follower(client, inventory, Policy(), kinds=KINDS)
        task = asyncio.create_task(follower.run())
        try:
            yield follower, inventory
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def run(test: Callable[[Definer], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with Definer() as server:
            await asyncio.wait_for(test(server), 40)

    asyncio.run(whole())


def count(inventory: LiveInventory) -> int:
    return inventory.counts().get(CLUSTER_POLICY, 0)


def test_what_is_defined_is_read_before_all_is_synced() -> None:
    async def test(server: Definer) -> None:
        async with following(server) as (follower, inventory):
            await until(lambda: follower.synced)
            assert count(inventory) == 1

    run(test)


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_nothing_is_synced_while_what_is_defined_cannot_be_read(status: int) -> None:
    async def test(server: Definer) -> None:
        server.failing[POLICIES] = status
        async with following(server) as (follower, inventory):
            await until(lambda: DEFINITIONS in server.lists)
            await asyncio.sleep(0.5)
            assert not follower.synced
            server.failing.clear()
            await until(lambda: follower.synced)
            assert count(inventory) == 1

    run(test)


@pytest.mark.parametrize(
    "unserved", [[], [definition(is_established=False)], [definition(is_served=False)]]
)
def test_what_is_not_defined_holds_up_nothing_and_is_read_once_it_is(
    unserved: list[Object],
) -> None:
    async def test(server: Definer) -> None:
        server.objects[DEFINITIONS] = unserved
        async with following(server) as (follower, inventory):
            await until(lambda: follower.synced and server.watches)
            assert count(inventory) == 0
            server.tell(DEFINITIONS, "ADDED", definition())
            await until(lambda: count(inventory) == 1)

    run(test)


def test_what_the_server_forgets_while_it_is_defined_holds_on() -> None:
    async def test(server: Definer) -> None:
        async with following(server) as (follower, inventory):
            await until(lambda: follower.synced and len(server.watches) == 2)
            server.failing[POLICIES] = 404
            server.cut(POLICIES)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                assert count(inventory) == 1
                await asyncio.sleep(0.01)
            server.objects[POLICIES] = []
            server.failing.clear()
            await until(lambda: count(inventory) == 0)

    run(test)


def test_what_is_no_longer_defined_goes() -> None:
    async def test(server: Definer) -> None:
        async with following(server) as (follower, inventory):
            await until(lambda: follower.synced and len(server.watches) == 2)
            server.tell(DEFINITIONS, "DELETED", definition())
            await until(lambda: count(inventory) == 0)

    run(test)


def test_a_definition_says_where_its_objects_are() -> None:
    found = [defined_resource({**each, "status": definition()["status"]}) for each in definitions()]
    assert [each.path() for each in found if each is not None] == [
        "/apis/tidewaiter.dev/v1/clusterpolicies",
        "/apis/tidewaiter.dev/v1/policies",
    ]
    assert defined_resource({}) is None
