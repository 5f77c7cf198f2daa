"""A client of the Kubernetes API: one request, paged lists, watch streams, server-side apply.

What the server says is tried again where that is safe: 429 and 5xx, and a lost connection, for requests that
may be made twice; 401 once, after the credentials have been renewed.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import asyncio
import random
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from tidewaiter.rules.cluster.access import find_access
from tidewaiter.rules.cluster.credentials import ExecPlugin
from tidewaiter.rules.cluster.proxy import is_local
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping, text
from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType
    from typing import Self

    from tidewaiter.rules.cluster.access import Access

    Params = Mapping[str, str | int]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Accept of a list of which the metadata are enough."""
WATCH_METADATA_ONLY = METADATA_ONLY.replace("MetadataList", "Metadata")
"""Accept of a watch likewise."""
PAGE_LIMIT = 500
"""Objects of one page of a list: what kubectl asks for."""
PAGE_COST = 8
"""A page of a long list costs the API server about as much as this many lists of a namespace."""
PAGE_BYTES = 32 * 2**20
"""Above this a page is asked for again with fewer objects: a hundred Secrets may hold 100 MB."""
_ATTEMPTS = 5
_TIMEOUT = 60.0
_CONNECT_TIMEOUT = 10.0
_LONGEST_WAIT = 30.0
_RESTARTS = 3
_EXPIRED = 410
_AGAIN = frozenset({429, 500, 502, 503, 504})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
_RETIRED = 4


class Refused(ClusterError):
    """The API server answered with an error: the HTTP status, the reason, and the Status object.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """

    status: int = 0
    reason: str = ""
    body: dict[str, Any] = {}  # noqa: RUF012 - never written to


class Unreachable(ClusterError):
    """The API server cannot be reached, or its answer broke off."""


class _TooLarge(Exception):
    """An answer has more bytes than were asked for."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. Each object has its apiVersion and kind, which the API leaves out of lists.

    `number` counts from 0. A page with number 0 after another says that the list had to be started again, and
    what came before is to be forgotten.
    """

    number: int
    items: list[dict[str, Any]]
    resource_version: str
    remaining: int | None = None


class Client:
    """Speaks to one cluster; close it, or use it as an async context manager.

    Every method raises ClusterError: Refused with the status where the server answers with an error, Unreachable
    where it does not answer.
    """

    def __init__(self, access: Access, *, timeout: float = _TIMEOUT) -> None:
        """Connect at the first request; `timeout` is for one attempt at an answer, in seconds."""
        self.access = access
        self._timeout = timeout
        self._retired: list[httpx.AsyncClient] = []
        self._http = self._connections()

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; streams end. Another request opens new ones."""
        closing, self._retired, self._http = (
            [*self._retired, self._http],
            [],
            self._connections(),
        )
        for each in closing:
            await each.aclose()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Params | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        idempotent: bool | None = None,
        attempts: int = _ATTEMPTS,
        timeout: float | None = None,  # noqa: ASYNC109 - of one attempt, not of the call
        max_bytes: int | None = None,
    ) -> Any:
        """Send a request and return the object that is the answer.

        `idempotent` says that the request may be made twice, as GET, PUT, DELETE and apply may by themselves.
        """
        if idempotent is None:
            idempotent = method in _IDEMPOTENT or content_type == APPLY
        headers = {"Accept": accept}
        content = None
        if body is not None:
            headers["Content-Type"] = content_type
            content = body if isinstance(body, bytes) else orjson.dumps(body)
        attempt, renewed = 1, False
        while True:
            try:
                async with asyncio.timeout(timeout or self._timeout):
                    request = await self._request(method, path, params, headers, content)
                    return await self._answer(request, max_bytes)
            except Refused as refused:
                if refused.status == 401 and not renewed:
                    renewed = True
                    await self._renew()
                    continue
                # 429 says that nothing was done, so that anything may be made again.
                if refused.status not in _AGAIN or not (idempotent or refused.status == 429):
                    raise
                if attempt >= attempts:
                    raise
                wait = _retry_after(refused)
            except Unreachable as error:
                if not idempotent or attempt >= attempts or _is_final(error):
                    raise
                wait = None
            except TimeoutError as error:
                if not idempotent or attempt >= attempts:
                    msg = f"{self.access.server} has not answered in {timeout or self._timeout:g} s"
                    raise Unreachable(msg) from error
                wait = None
            await asyncio.sleep(backoff(attempt) if wait is None else wait + backoff(0))
            attempt += 1

    async def pages(
        self,
        path: str,
        limit: int = PAGE_LIMIT,
        *,
        params: Params | None = None,
        consistent: bool = False,
        accept: str = JSON,
    ) -> AsyncIterator[Page]:
        """Read a list page by page.

        Where the state that the list began with has expired (410), it goes on from the place reached with what is
        there now; with `consistent`, or where the server offers no such thing, it starts again with a page
        number 0, three times at most.
        """
        number, restarts, token = 0, 0, ""
        while True:
            query: dict[str, str | int] = {**(params or {}), "limit": limit}
            if token:
                query["continue"] = token
                # A continued list takes no other state than its own.
                query.pop("resourceVersion", None)
                query.pop("resourceVersionMatch", None)
            try:
                found = await self.request(
                    "GET", path, params=query, accept=accept, max_bytes=PAGE_BYTES * 2
                )
            except _TooLarge:
                if limit == 1:
                    msg = f"one object of {path} has more than {PAGE_BYTES * 2} bytes"
                    raise ClusterError(msg) from None
                limit = max(1, limit // 4)
                continue
            except Refused as refused:
                if refused.status != _EXPIRED or not token:
                    raise
                token = "" if consistent else _continue_token(refused.body)
                if not token:
                    if restarts == _RESTARTS:
                        raise
                    restarts, number = restarts + 1, 0
                continue
            page = _page(found, number, path)
            token = _continue_token(found)
            yield page
            if not token:
                return
            number += 1

    async def stream(
        self,
        path: str,
        params: Params | None = None,
        *,
        accept: str = JSON,
        idle: float = 330.0,
    ) -> AsyncIterator[bytes]:
        """Yield the lines of an answer that goes on, such as a watch; it ends when the server ends it.

        `idle` is the time without a byte after which the connection counts as lost: above the server's own
        `timeoutSeconds`, or the time between two bookmarks. Nothing is tried again but 401.
        """
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        for renewed in (False, True):
            try:
                async with asyncio.timeout(self._timeout):
                    request = await self._request("GET", path, params, headers, None, idle)
                    response = await self._send(request)
            except TimeoutError as error:
                msg = f"{self.access.server} has not answered in {self._timeout:g} s"
                raise Unreachable(msg) from error
            if response.status_code != 401 or renewed:
                break
            await response.aclose()
            await self._renew()
        try:
            if response.status_code >= 400:
                raise _refused(response, await self._content(response, None), request)
            parts: list[bytes] = []
            async for chunk in _chunks(response, self.access.server):
                head, *lines = chunk.split(b"\n")
                parts.append(head)
                for line in lines:
                    yield b"".join(parts)
                    parts = [line]
            if rest := b"".join(parts):
                yield rest
        finally:
            await response.aclose()

    async def apply(
        self,
        path: str,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = True,
        params: Params | None = None,
    ) -> Any:
        """Create or change the object at a path by server-side apply, as one field manager.

        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        query: dict[str, str | int] = {
            "fieldManager": manager,
            "force": "true" if force else "false",
            **(params or {}),
        }
        return await self.request("PATCH", path, dict(obj), params=query, content_type=APPLY)

    def _connections(self) -> httpx.AsyncClient:
        access = self.access
        try:
            return httpx.AsyncClient(
                verify=access.tls if access.tls is not None else False,
                proxy=access.proxy or None,
                trust_env=False,
                http1=True,
                timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT),
                # Each watch holds a connection.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                headers={
                    "User-Agent": f"tidewaiter/{__version__}",
                    # Compressing costs both ends more than sending inside one machine.
                    "Accept-Encoding": "identity" if is_local(access.server) else "gzip",
                },
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise ClusterError(f"the proxy of {access.name} cannot be used: {error}") from error

    async def _request(
        self,
        method: str,
        path: str,
        params: Params | None,
        headers: Mapping[str, str],
        content: bytes | None,
        idle: float | None = None,
    ) -> httpx.Request:
        access = self.access
        credentials = access.credentials
        if isinstance(credentials, ExecPlugin):  # a program may take its time
            own = await asyncio.to_thread(credentials.headers)
        else:
            own = credentials.headers()
        extensions: dict[str, Any] = {
            "timeout": {"connect": _CONNECT_TIMEOUT, "read": idle, "write": None, "pool": None}
        }
        if access.server_name:
            extensions["sni_hostname"] = access.server_name
        return self._http.build_request(
            method,
            access.server + path,
            params={key: str(value) for key, value in params.items()} if params else None,
            headers=[*headers.items(), *own.items(), *access.headers],
            content=content,
            extensions=extensions,
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise _unreachable(error, self.access.server) from error

    async def _answer(self, request: httpx.Request, max_bytes: int | None) -> Any:
        response = await self._send(request)
        try:
            content = await self._content(response, max_bytes)
        finally:
            await response.aclose()
        if response.status_code >= 400:
            raise _refused(response, content, request)
        if not 200 <= response.status_code < 300:
            msg = f"{self.access.server} answered {request.url.path} with {response.status_code}"
            raise ClusterError(msg)
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError:
            found = None
        # As of a proxy that has its own to say: it must not be taken for an object without fields.
        if not isinstance(found, dict):
            msg = f"{self.access.server} answered {request.url.path} with no JSON object"
            raise ClusterError(msg)
        return found

    async def _content(self, response: httpx.Response, max_bytes: int | None) -> bytes:
        parts, size = [], 0
        async for chunk in _chunks(response, self.access.server):
            parts.append(chunk)
            size += len(chunk)
            if max_bytes is not None and size > max_bytes:
                raise _TooLarge
        return b"".join(parts)

    async def _renew(self) -> None:
        """Renew the credentials, and the connections, which may have been opened with the old certificate."""
        self.access.credentials.refuse()
        self._retired.append(self._http)
        self._http = self._connections()
        if len(self._retired) > _RETIRED:
            await self._retired.pop(0).aclose()


def open_client(kubeconfig: str | None = None, context: str | None = None) -> Client:
    """Return a client of the cluster that kubectl would speak to; see `find_access`."""
    return Client(find_access(kubeconfig, context))


def backoff(attempt: int, *, first: float = 0.25, most: float = 10.0) -> float:
    """Return the seconds to wait after a failed attempt: twice as long each time, a random half of it.

    Without chance all clients of a server that comes back would come back together.
    """
    longest = min(most, first * 2.0 ** min(attempt, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


async def _chunks(response: httpx.Response, server: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError) as error:
        raise _unreachable(error, server) from error


def _page(found: Any, number: int, path: str) -> Page:
    """Return a page of a list. Anything else, as what a proxy has to say, must not be taken for an empty one."""
    kind, version = text(mapping(found).get("kind")), mapping(found).get("apiVersion")
    items = mapping(found).get("items")
    if not kind.endswith("List") or not isinstance(items, list | None):
        raise ClusterError(f"the list {path} is no list")
    if not all(isinstance(item, dict) for item in items or ()):
        raise ClusterError(f"the list {path} holds what is no object")
    for item in items or ():
        # Kept where a list mixes kinds, as that of kind List does.
        item.setdefault("kind", kind.removesuffix("List"))
        item.setdefault("apiVersion", version)
    metadata = mapping(found.get("metadata"))
    remaining = metadata.get("remainingItemCount")
    return Page(
        number,
        items or [],
        str(metadata.get("resourceVersion", "")),
        remaining if isinstance(remaining, int) else None,
    )


def _continue_token(answer: Mapping[str, Any]) -> str:
    metadata = answer.get("metadata")
    return str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""


def _refused(response: httpx.Response, content: bytes, request: httpx.Request) -> Refused:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    status = body if isinstance(body, dict) else {}
    said = str(status.get("message") or content[:200].decode(errors="replace").strip())
    refused = Refused(
        f"{request.method} {request.url.path}: {response.status_code}{f': {said}' if said else ''}"
    )
    refused.status = response.status_code
    refused.reason = str(status.get("reason") or "")
    details = status.get("details")
    after = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    header = response.headers.get("Retry-After", "")
    if header.isascii() and header.isdigit():
        after = int(header)
    refused.body = {**status, "retryAfterSeconds": after if isinstance(after, int) else None}
    return refused


def _retry_after(refused: Refused) -> float | None:
    stated = refused.body.get("retryAfterSeconds")
    return None if stated is None else min(float(stated), _LONGEST_WAIT)


def _unreachable(error: Exception, server: str) -> Unreachable:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(
                f"the certificate of {server} is not trusted: {cause.verify_message}"
            )
        cause = cause.__cause__ or cause.__context__
    what = str(error) or type(error).__name__
    return Unreachable(f"{server} cannot be reached: {what}")


def _is_final(error: Unreachable) -> bool:
    """Say whether trying again can change nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError | httpx.UnsupportedProtocol):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
