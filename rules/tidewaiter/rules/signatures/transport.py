"""One HTTP request to a registry: a bounded answer, or one of the errors of `registry_errors`.

There are no cookies, no proxies, no compression and no redirects here. Each reach has connections of its own,
so that a host which a registry names is never served by a connection opened for the user.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import httpcore

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.addresses import GuardedNetwork, reach
from tidewaiter.rules.signatures.registry_errors import BadAnswer, NoConnection, Unreachable
from tidewaiter.rules.signatures.turns import Turns
from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tidewaiter.rules.signatures.addresses import Reach

Trust = Literal["named", "public", "private", "loopback"]
"""Who names a host: the user (`named`), or a registry that has itself an address of this reach."""

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
CALL_TIMEOUT = 20.0
"""Seconds for one request with its whole answer, which a slow trickle of bytes cannot lengthen."""
CONNECTIONS = 64
"""Requests at a time to one place, and connections that are kept for others."""
MOST_REQUESTS = 512
"""Requests at a time to all places."""
KEPT_FOR = 20.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, its body read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    peer: Reach
    """Where the answer came from."""


class Transport:
    """Connections to registries."""

    def __init__(self, *, certificates: str = "", loopback: bool = True) -> None:
        """Trust these authorities (PEM) beside the system's; `loopback` may be spoken to if named."""
        self._certificates = certificates
        self._loopback = loopback
        self._idle: dict[tuple[Trust, str], list[httpcore.AsyncHTTPConnection]] = {}
        self._turns = Turns(CONNECTIONS)
        self._all = asyncio.Semaphore(MOST_REQUESTS)

    async def aclose(self) -> None:
        """Close every connection."""
        idle, self._idle = list(self._idle.values()), {}
        for connections in idle:
            for connection in connections:
                await connection.aclose()

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        trust: Trust,
        limit: int,
        content: bytes = b"",
        connect: float = CONNECT_TIMEOUT,
    ) -> Answer:
        """Send a request and read at most `limit` bytes of its answer; `connect` is in seconds."""
        if not url.isascii():
            raise BadAnswer(f"{_shown(url)} is no address of a registry")
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await self._send(method, url, headers, trust, limit, content, connect)
        except TimeoutError:
            raise Unreachable(f"{_host(url)} has not answered after {CALL_TIMEOUT:g} s") from None
        except (httpcore.ConnectTimeout, httpcore.ConnectError) as error:
            raise NoConnection(f"{_host(url)} cannot be reached: {_reason(error)}") from None
        except httpcore.TimeoutException:
            raise Unreachable(f"{_host(url)} does not answer in time") from None
        except httpcore.UnsupportedProtocol:
            raise BadAnswer(f"{_shown(url)} is no address of a registry") from None
        except httpcore.ProtocolError as error:
            raise Unreachable(f"{_host(url)} does not speak HTTP here: {error}") from None
        except ValueError as error:
            raise BadAnswer(f"a registry names an address that is none: {error}") from None
        except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
            raise Unreachable(f"{_host(url)} cannot be reached: {_reason(error)}") from None

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        trust: Trust,
        limit: int,
        content: bytes,
        connect: float,
    ) -> Answer:
        all_headers = [
            (b"Host", _host(url).encode()),
            (b"User-Agent", f"tidewaiter/{__version__}".encode()),
            (b"Accept-Encoding", b"identity"),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ]
        if content:
            all_headers.append((b"Content-Length", str(len(content)).encode()))
        timeouts = {"connect": connect, "read": READ_TIMEOUT, "write": READ_TIMEOUT}
        request = httpcore.Request(
            method,
            url,
            headers=all_headers,
            content=content or None,
            extensions={"timeout": timeouts},
        )
        origin = request.url.origin
        async with (
            self._turns.of(str(origin)),
            self._all,
            self._connection(trust, origin) as connection,
        ):
            response = await connection.handle_async_request(request)
            answered = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            if answered.get("content-encoding", "identity") not in {"identity", ""}:
                raise BadAnswer(f"{_host(url)} answers compressed, which was not asked for")
            peer = _peer(response)
            body = bytearray()
            async for piece in response.aiter_stream():
                body += piece
                if len(body) > limit:
                    raise BadAnswer(f"{_shown(url)} has more than {limit} bytes, the limit")
            await response.aclose()
            return Answer(response.status, answered, bytes(body), peer)

    @asynccontextmanager
    async def _connection(
        self, trust: Trust, origin: httpcore.Origin
    ) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """Lend a connection, and keep it if it is of further use.

        The library's own pool looks at each of its connections for each request, which costs more than
        the request where many are open.
        """
        key = (trust, str(origin))
        connection = await self._kept(key) or httpcore.AsyncHTTPConnection(
            origin,
            # Reading the system's authorities takes longer than a verification on loopback.
            ssl_context=_tls(self._certificates) if origin.scheme == b"https" else _no_tls(),
            keepalive_expiry=KEPT_FOR,
            network_backend=GuardedNetwork(self._permitted(trust)),
        )
        try:
            yield connection
        except BaseException:
            await connection.aclose()
            raise
        if not connection.is_idle():
            await connection.aclose()
            return
        self._idle.setdefault(key, []).append(connection)
        while sum(map(len, self._idle.values())) > CONNECTIONS:
            await self._drop_one()

    async def _drop_one(self) -> None:
        key = next(iter(self._idle))
        idle = self._idle[key]
        connection = idle.pop(0) if idle else None
        if not idle:
            del self._idle[key]
        if connection is not None:
            await connection.aclose()

    async def _kept(self, key: tuple[Trust, str]) -> httpcore.AsyncHTTPConnection | None:
        idle = self._idle.get(key, [])
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    def _permitted(self, trust: Trust) -> frozenset[Reach]:
        if trust == "named":
            named: set[Reach] = {"public", "private"}
            return frozenset(named | {"loopback"} if self._loopback else named)
        return frozenset({"public", trust})


@lru_cache(maxsize=16)
def _tls(certificates: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificates:
        try:
            context.load_verify_locations(cadata=certificates)
        except (ssl.SSLError, ValueError):
            raise InputError("the registry's authorities are no PEM certificates") from None
    return context


@lru_cache(maxsize=1)
def _no_tls() -> ssl.SSLContext:
    """A context that trusts nobody, for connections that have no TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _peer(response: httpcore.Response) -> Reach:
    stream = response.extensions.get("network_stream")
    address = stream.get_extra_info("server_addr") if stream is not None else None
    return reach(str(address[0])) if address else "forbidden"


def _port(url: str) -> str:
    """The port as the Host header has it: only where it is not the scheme's own."""
    parsed = httpcore.URL(url)
    usual = {b"http": 80, b"https": 443}.get(parsed.scheme)
    return "" if parsed.port in {None, usual} else f":{parsed.port}"


def _host(url: str) -> str:
    host = httpcore.URL(url).host.decode("latin-1")
    return f"[{host}]{_port(url)}" if ":" in host else f"{host}{_port(url)}"


def _shown(url: str) -> str:
    """A URL without its query, which may hold signed secrets of a storage."""
    return url.partition("?")[0]


def _reason(error: BaseException) -> str:
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
        if isinstance(inner, OSError) and inner.strerror:
            break
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(inner, ssl.SSLError):  # whose numbers are not those of the system's errors
        return f"TLS is not spoken there or fails ({inner.reason or 'the connection was closed'})"
    if isinstance(inner, socket.gaierror) and inner.strerror:
        return inner.strerror
    if isinstance(inner, OSError) and inner.errno:
        return os.strerror(inner.errno)
    return str(inner) or str(error) or type(error).__name__
