"""The client of the Kubernetes API against a real API server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api_server import Cluster, running_cluster
from tests.e2e.binaries import binaries
from tests.e2e.conftest import built
from tidewaiter.rules.cluster.client import METADATA_ONLY, Client, Refused, Unreachable, open_client
from tidewaiter.rules.cluster.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.e2e.api_server import ApiServer

Object = dict[str, Any]


def with_client(server: ApiServer, test: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with open_client(str(server.kubeconfig)) as client:
            return await test(client)

    return asyncio.run(run())


def config_map(name: str, namespace: str, **data: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def collection(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def fill(server: ApiServer, namespace: str) -> list[str]:
    names = [f"c{number}" for number in range(7)]
    for name in names:
        server.admin.create(config_map(name, namespace))
    return names


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_a_list_is_whole_whatever_the_size_of_its_pages(
    api_server: ApiServer, namespace: str, limit: int
) -> None:
    names = fill(api_server, namespace)

    async def read(client: Client) -> list[Object]:
        return [
            item async for page in client.pages(collection(namespace), limit) for item in page.items
        ]

    found = with_client(api_server, read)
    assert [each["metadata"]["name"] for each in found] == names
    assert {(each["apiVersion"], each["kind"]) for each in found} == {("v1", "ConfigMap")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of this module's own, whose etcd may be told to forget."""
    programs = built(binaries)
    # The API server's cache remembers what etcd has forgotten, for a time.
    flags = ("--watch-cache=false",)
    with running_cluster(programs, tmp_path_factory.mktemp("compacted"), flags) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("consistent", [True, False])
def test_a_list_whose_state_is_compacted_away_on_the_way_is_read_to_its_end(
    cluster: Cluster, *, consistent: bool
) -> None:
    api_server, namespace = cluster.server, f"consistent-{consistent}".lower()
    api_server.admin.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    )
    names = fill(api_server, namespace)

    async def read(client: Client) -> list[tuple[int, list[str]]]:
        pages = []
        async for page in client.pages(collection(namespace), 3, consistent=consistent):
            pages.append((page.number, [each["metadata"]["name"] for each in page.items]))
            if len(pages) == 1:
                for number in range(2):  # the state of the list must not be the newest one
                    await asyncio.to_thread(
                        api_server.admin.create, config_map(f"z{number}", namespace)
                    )
                await asyncio.to_thread(cluster.compact)
        return pages

    pages = with_client(api_server, read)
    # Read from its beginning again, or on from where it was with what has come since.
    assert [number for number, _ in pages] == ([0, 0, 1, 2] if consistent else [0, 1, 2])
    found = [name for _, names in (pages[1:] if consistent else pages) for name in names]
    assert found == [*names, "z0", "z1"]


def test_only_the_metadata_of_a_list_come_where_no_more_is_asked_for(
    api_server: ApiServer, namespace: str
) -> None:
    api_server.admin.create(config_map("c", namespace, key="value"))

    async def read(client: Client) -> list[Object]:
        pages = client.pages(collection(namespace), accept=METADATA_ONLY)
        return [item async for page in pages for item in page.items]

    (found,) = with_client(api_server, read)
    assert found["metadata"]["name"] == "c"
    assert "data" not in found


def test_an_applied_field_belongs_to_its_manager(api_server: ApiServer, namespace: str) -> None:
    path = f"{collection(namespace)}/c"

    async def test(client: Client) -> Object:
        await client.apply(path, config_map("c", namespace, ours="1"), manager="tidewaiter")
        with pytest.raises(Refused) as caught:
            await client.apply(
                path, config_map("c", namespace, ours="2"), manager="other", force=False
            )
        assert (caught.value.status, caught.value.reason) == (409, "Conflict")
        await client.apply(path, config_map("c", namespace, theirs="3"), manager="other")
        # What is no longer applied goes, and what another manager owns stays.
        found: Object = await client.apply(
            path, config_map("c", namespace, new="4"), manager="tidewaiter"
        )
        return found

    assert with_client(api_server, test)["data"] == {"theirs": "3", "new": "4"}


def test_a_watch_is_read_line_by_line(api_server: ApiServer, namespace: str) -> None:
    fill(api_server, namespace)

    async def watch(client: Client) -> list[Object]:
        params: dict[str, str | int] = {
            "watch": "true",
            "resourceVersion": "0",
            "timeoutSeconds": 1,
        }
        return [json.loads(line) async for line in client.stream(collection(namespace), params)]

    events = with_client(api_server, watch)
    assert sorted(each["object"]["metadata"]["name"] for each in events) == [
        f"c{number}" for number in range(7)
    ]


def test_what_the_server_refuses_is_told_with_its_reason(
    api_server: ApiServer, namespace: str
) -> None:
    async def read(client: Client) -> None:
        await client.request("GET", f"{collection(namespace)}/missing")

    with pytest.raises(Refused, match=r'404: configmaps "missing" not found') as caught:
        with_client(api_server, read)
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")


def test_discovery_knows_what_the_server_serves(api_server: ApiServer) -> None:
    found = with_client(api_server, discover)
    deployment = found.find("Deployment.apps")
    assert deployment is not None
    assert deployment.path("shop", "api") == "/apis/apps/v1/namespaces/shop/deployments/api"
    assert deployment.is_watchable
    assert not found.find("TokenReview.authentication.k8s.io").is_listable
    assert not found.find("Namespace").namespaced
    assert found.find("HorizontalPodAutoscaler.autoscaling").version == "v2"
    assert found.find("HorizontalPodAutoscaler.autoscaling", "autoscaling/v1") is not None
    assert found.failed == ()


def test_discovery_without_aggregation_says_the_same(api_server: ApiServer) -> None:
    class Old(Client):
        """A client that asks as if the server knew only the old form."""

        async def request(self, method: str, path: str, body: object = None, **more: Any) -> Any:
            return await super().request(
                method, path, body, **{**more, "accept": "application/json"}
            )

    async def read(client: Client) -> tuple[set[Any], set[Any]]:
        async with Old(client.access) as old:
            return set((await discover(client)).resources), set((await discover(old)).resources)

    new, old = with_client(api_server, read)
    assert new == old


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    api_server: ApiServer, tmp_path: Path
) -> None:
    content = json.loads(api_server.kubeconfig.read_text(encoding="utf-8"))
    del content["clusters"][0]["cluster"]["certificate-authority"]
    path = tmp_path / "kubeconfig"

    def read() -> Any:
        path.write_text(json.dumps(content), encoding="utf-8")

        async def run() -> Any:
            async with open_client(str(path)) as client:
                return await client.request("GET", "/version")

        return asyncio.run(run())

    with pytest.raises(Unreachable, match="is not trusted"):
        read()
    content["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    assert read()["major"] == "1"
    content["clusters"][0]["cluster"] = {
        "server": api_server.url,
        "certificate-authority": str(api_server.ca_file),
        "tls-server-name": "another.example",
    }
    with pytest.raises(Unreachable, match="is not trusted"):
        read()
