"""The client against a server that behaves badly: what is tried again, what is not, and what is told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tidewaiter.rules.cluster import client as client_module
from tidewaiter.rules.cluster.access import Access
from tidewaiter.rules.cluster.client import Client, Refused, Unreachable
from tidewaiter.rules.cluster.credentials import FixedHeaders
from tidewaiter.rules.cluster.discovery import discover
from tidewaiter.rules.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LIST = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": []}
Answer = tuple[int, dict[str, str], bytes]
CUT: Answer = (0, {}, b"")
"""The server closes the connection without an answer."""


class Request:
    """What the server was asked."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *rest = head.decode().split("\r\n")
        self.method, self.target, _ = line.split(" ")
        self.headers = dict(row.lower().split(": ", 1) for row in rest if row)
        self.body = body


def answer(status: int, body: object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(body).encode()


def status(code: int, reason: str = "", **fields: object) -> Answer:
    return answer(code, {"kind": "Status", "reason": reason, "message": f"is {reason}", **fields})


def with_server(
    answers: Callable[[Request], Answer] | list[Answer],
    test: Callable[[Client], Awaitable[Any]],
    credentials: Any = None,
) -> tuple[Any, list[Request]]:
    """Run a test against a server on loopback; return what the test does, and the requests."""
    asked: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = Request(head.rstrip(), b"")
                request.body = await reader.readexactly(
                    int(request.headers.get("content-length", 0))
                )
                asked.append(request)
                code, headers, body = (
                    answers(request)
                    if callable(answers)
                    else answers[min(len(asked), len(answers)) - 1]
                )
                if not code:
                    break
                lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        access = Access(
            "test", f"http://127.0.0.1:{port}/base", None, credentials or FixedHeaders()
        )
        try:
            async with Client(access, timeout=2) as client:
                return await test(client)
        finally:
            server.close()

    return asyncio.run(run()), asked


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "backoff", lambda attempt, **_: 0.0)


def get(client: Client) -> Awaitable[Any]:
    return client.request("GET", "/api/v1/pods", params={"limit": 3})


@pytest.mark.parametrize("trouble", [status(429), status(500), status(503), status(504), CUT])
def test_what_may_pass_is_tried_again(trouble: Answer) -> None:
    found, asked = with_server([trouble, trouble, answer(200, LIST)], get)
    assert found == LIST
    assert [each.target for each in asked] == ["/base/api/v1/pods?limit=3"] * 3


@pytest.mark.parametrize(
    "trouble", [status(400), status(403), status(404), status(409), status(422)]
)
def test_what_will_not_pass_is_not(trouble: Answer) -> None:
    with pytest.raises(Refused) as caught:
        with_server([trouble], get)
    assert caught.value.status == trouble[0]


def test_an_object_is_not_created_twice() -> None:
    async def create(client: Client) -> None:
        await client.request("POST", "/api/v1/pods", {})

    for trouble in (CUT, status(500)):
        with pytest.raises(ClusterError):
            with_server([trouble, answer(201, {})], create)
    # 429 says that nothing was done.
    _, asked = with_server([status(429), answer(201, {})], create)
    assert len(asked) == 2


def test_attempts_come_to_an_end() -> None:
    asked: list[Request] = []

    def refuse(request: Request) -> Answer:
        asked.append(request)
        return status(503, "ServiceUnavailable")

    with pytest.raises(Refused, match="503: is ServiceUnavailable"):
        with_server(refuse, get)
    assert len(asked) == 5


def test_the_server_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    with_server(
        [answer(429, {}, Retry_After="3"), answer(429, {}, Retry_After="9999"), answer(200, LIST)],
        get,
    )
    assert waited == [3.0, 30.0]


class Renewed:
    """Credentials that are good after they were refused once."""

    def __init__(self) -> None:
        self.token = "old"

    def headers(self) -> dict[str, str]:
        return {"Authorization": self.token}

    def refuse(self) -> None:
        self.token = "new"


def test_refused_credentials_are_renewed_once() -> None:
    def judge(request: Request) -> Answer:
        return answer(200, LIST) if request.headers["authorization"] == "new" else status(401)

    found, asked = with_server(judge, get, Renewed())
    assert (found, len(asked)) == (LIST, 2)
    with pytest.raises(Refused) as caught:
        with_server([status(401)], get, Renewed())
    assert caught.value.status == 401


def test_a_server_that_says_nothing_is_given_up() -> None:
    async def ask(client: Client) -> None:
        await client.request("GET", "/x", timeout=0.05, attempts=2)

    async def run() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        access = Access("test", f"http://127.0.0.1:{port}", None, FixedHeaders())
        async with Client(access) as client:
            await ask(client)

    with pytest.raises(Unreachable, match="has not answered"):
        asyncio.run(run())


def test_a_server_that_is_not_there_is_told() -> None:
    async def run() -> None:
        access = Access("test", "http://127.0.0.1:9", None, FixedHeaders())
        async with Client(access) as client:
            await get(client)

    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 cannot be reached"):
        asyncio.run(run())


def test_an_answer_that_is_no_json_is_told() -> None:
    with pytest.raises(ClusterError, match="no JSON"):
        with_server([(200, {"Content-Type": "application/json"}, b"<html>")], get)
    with pytest.raises(Refused, match="502: bad gateway"):
        with_server([(502, {"Content-Type": "text/html"}, b"bad gateway")], get)


async def all_pages(client: Client, **options: Any) -> list[tuple[int, list[str]]]:
    return [
        (page.number, [each["metadata"]["name"] for each in page.items])
        async for page in client.pages("/api/v1/pods", 2, **options)
    ]


def paged(request: Request) -> Answer:
    """Answer a list of five pods by pages; the first token runs out once it is used."""
    query = dict(part.split("=") for part in request.target.partition("?")[2].split("&"))
    start = query.get("continue", "0")
    if start == "expired":
        return status(410, "Expired", metadata={"continue": "2"})
    first = int(start)
    names = [f"p{number}" for number in range(5)][first : first + int(query["limit"])]
    last = first + len(names)
    metadata = {"resourceVersion": "7", "continue": str(last) if last < 5 else ""}
    return answer(
        200, {**LIST, "metadata": metadata, "items": [{"metadata": {"name": n}} for n in names]}
    )


def test_a_list_is_read_by_pages() -> None:
    found, asked = with_server(paged, all_pages)
    assert found == [(0, ["p0", "p1"]), (1, ["p2", "p3"]), (2, ["p4"])]
    assert len(asked) == 3


def expiring(times: int) -> Callable[[Request], Answer]:
    """Answer as `paged` does, but tell that the first token has expired so many times."""
    left = times

    def serve(request: Request) -> Answer:
        nonlocal left
        code, headers, body = paged(request)
        if left and "continue" not in request.target:
            left -= 1
            body = body.replace(b'"continue": "2"', b'"continue": "expired"')
        return code, headers, body

    return serve


def test_a_list_whose_state_has_expired_goes_on_where_it_was() -> None:
    found, _ = with_server(expiring(9), all_pages)
    assert found == [(0, ["p0", "p1"]), (1, ["p2", "p3"]), (2, ["p4"])]


def test_one_that_must_be_consistent_begins_again() -> None:
    found, _ = with_server(expiring(2), lambda client: all_pages(client, consistent=True))
    assert [number for number, _ in found] == [0, 0, 0, 1, 2]
    assert [name for _, names in found[2:] for name in names] == ["p0", "p1", "p2", "p3", "p4"]
    with pytest.raises(Refused) as caught:
        with_server(expiring(9), lambda client: all_pages(client, consistent=True))
    assert caught.value.status == 410


def test_objects_that_are_too_large_for_a_page_come_in_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "PAGE_BYTES", 75)
    found, _ = with_server(paged, all_pages)
    assert [names for _, names in found] == [["p0"], ["p1"], ["p2"], ["p3"], ["p4"]]


def test_lines_of_a_stream_are_whole_however_they_arrive() -> None:
    lines = [b'{"type":"ADDED"}', b"x" * 100_000, b"", b"last"]

    async def read(client: Client) -> list[bytes]:
        return [line async for line in client.stream("/watch", {"watch": "true"})]

    found, _ = with_server([(200, {}, b"\n".join(lines))], read)
    assert found == lines
    with pytest.raises(Refused) as caught:
        with_server([status(410, "Expired")], read)
    assert (caught.value.status, caught.value.reason) == (410, "Expired")


GROUP = {"name": "apps", "versions": [{"version": "v1"}, {"version": "v1beta1"}]}
DEPLOYMENT = {
    "kind": "Deployment",
    "name": "deployments",
    "namespaced": True,
    "verbs": ["list", "watch"],
}


def test_an_old_server_is_asked_group_by_group_and_what_is_down_is_told() -> None:
    answers = {
        "/base/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/base/apis": {
            "kind": "APIGroupList",
            "groups": [
                {**GROUP, "preferredVersion": {"version": "v1beta1"}},
                {"name": "down.example", "versions": [{"version": "v1"}]},
            ],
        },
        "/base/api/v1": {
            "kind": "APIResourceList",
            "resources": [{"kind": "Pod", "name": "pods/log"}, {"kind": "Pod", "name": "pods"}],
        },
        "/base/apis/apps/v1": {"kind": "APIResourceList", "resources": [DEPLOYMENT]},
        "/base/apis/apps/v1beta1": {"kind": "APIResourceList", "resources": [DEPLOYMENT]},
    }

    def serve(request: Request) -> Answer:
        found = answers.get(request.target)
        return answer(200, found) if found else status(503)

    found, _ = with_server(serve, discover)
    assert found.failed == ("down.example",)
    deployment = found.find("Deployment.apps")
    assert deployment is not None
    assert deployment.api_version == "apps/v1beta1"
    assert deployment.is_watchable
    assert deployment.path("a b", "c") == "/apis/apps/v1beta1/namespaces/a%20b/deployments/c"
    assert [each.kind_id for each in found.preferred()] == ["Pod", "Deployment.apps"]
    assert found.find("Deployment.apps", "apps/v1") is not None
    assert found.find("Pod", "apps/v1") is None
