"""The limits of a connection: how long a client may take, how much it may send before a request, how many there are.

uvicorn's protocol reads HTTP/1.1; it waits for ever for a request that never ends. Here one sweep over all
connections, twice a second, ends what takes too long, so that a request costs no timer of its own.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from uvicorn.config import Config

    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.settings import Settings

WAITING, READING, ANSWERING = "waiting", "reading", "answering"
"""What a connection is at: between requests, within one, or with its answer."""

SWEEP = 0.5
HANDSHAKE_TIMEOUT = 10.0
SHUTDOWN_TIMEOUT = 2.0
"""Seconds that a client has to agree to the end of a TLS connection."""
_HEADERS = 64 * 2**10
"""Bytes of a request line and headers; those of the API server take less than one KiB."""
_LAST_WORD = 1.0
"""Seconds in which a client that connected just before the end must begin its request."""
_ANSWER_TIMEOUT = 30.0
"""Seconds in which a client must have read its answer."""


class Connections:
    """All connections of a server, and the limits that hold for them."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Begin with none."""
        self.state = ServerState()
        self.draining = False
        """Whether each answer says that the connection ends."""
        self._closing_idle = False
        self._settings = settings
        self._metrics = metrics
        self._waiting: dict[Connection, None] = {}
        """In the order in which they began to wait."""
        self._changed = asyncio.Event()
        self._closing: dict[Connection, float] = {}

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self.state.connections)

    def admit(self, connection: Connection) -> bool:
        """Make room for a new connection by closing the one that waits for longest; tell whether there is room."""
        self._metrics.connections.set(self.open)
        if self.open > self._settings.max_connections:
            self._metrics.refused.labels("too_many_connections").inc()
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            self.close(longest)
        self._waiting[connection] = None
        return True

    def wait(self, connection: Connection) -> None:
        """Note that a connection has no request."""
        self._waiting[connection] = None

    def work(self, connection: Connection) -> None:
        """Note that a connection has one."""
        self._waiting.pop(connection, None)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self._waiting.pop(connection, None)
        self._closing.pop(connection, None)
        self._changed.set()
        self._metrics.connections.set(self.open)

    def close(self, connection: Connection) -> None:
        """Close a connection, after what is still to be sent."""
        self._waiting.pop(connection, None)
        self._closing.setdefault(connection, time.monotonic())
        connection.transport.close()

    def refuse(self, reason: str) -> None:
        """Count a request that got no verdict."""
        self._metrics.refused.labels(reason).inc()

    def say_goodbye(self) -> None:
        """Say with each answer from now on that the connection ends."""
        self.draining = True
        for connection in self._each():
            if connection.cycle is not None and not connection.cycle.response_started:
                connection.cycle.keep_alive = False

    def drain(self) -> None:
        """Close each connection after its answer, and those that wait for a while already.

        A client that has just connected is about to send its request.
        """
        self._closing_idle = True
        self._check_all()

    async def closed(self) -> None:
        """Wait until none is open."""
        while self.open:
            self._changed.clear()
            await self._changed.wait()

    def abort(self) -> None:
        """Cut off what is left."""
        for connection in self._each():
            connection.transport.abort()

    async def sweep(self) -> None:
        """End what takes too long, for as long as the server runs."""
        while True:
            self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            self._check_all()
            began = time.monotonic()
            await asyncio.sleep(SWEEP)
            self._forgive(time.monotonic() - began - SWEEP)

    def _forgive(self, late: float) -> None:
        """Take from each connection's age the time in seconds in which the server itself was held up.

        What a client has sent meanwhile is still to be read.
        """
        if late > 0:
            for connection in self._each():
                connection.since += late

    def _check_all(self) -> None:
        now = time.monotonic()
        for connection in self._each():
            self._check(connection, now)

    def _each(self) -> list[Connection]:
        return [each for each in self.state.connections if isinstance(each, Connection)]

    def _check(self, connection: Connection, now: float) -> None:
        age = now - connection.since
        if connection in self._closing:
            if now - self._closing[connection] > _ANSWER_TIMEOUT:
                connection.transport.abort()
        elif connection.phase == WAITING:
            limit = (
                self._settings.idle_timeout if connection.served else self._settings.read_timeout
            )
            if self._closing_idle:
                limit = min(limit, _LAST_WORD)
            if age > limit:
                self.close(connection)
        elif connection.phase == READING and age > self._settings.read_timeout:
            self.refuse("slow_client")
            connection.reply(408, "the request did not arrive in time")
        elif connection.phase == ANSWERING and age > _ANSWER_TIMEOUT + self._settings.read_timeout:
            connection.transport.abort()


class Connection(HttpToolsProtocol):
    """One connection, with the time since it began what it is at."""

    def __init__(
        self, config: Config, all_connections: Connections, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Belong to a server."""
        super().__init__(config, all_connections.state, {}, loop)
        self._all = all_connections
        self.phase = WAITING
        self.since = time.monotonic()
        self.served = False
        """Whether it has had an answer before."""
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection in, or turn it away where there are too many."""
        super().connection_made(transport)
        self.since = time.monotonic()
        if not self._all.admit(self):
            self.reply(503, "too many connections", "retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._all.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read on, up to the limit on headers."""
        if self.transport.is_closing() or self.parser is None:
            return
        super().data_received(data)
        if self._header_bytes >= 0 and self.phase == READING:
            self._header_bytes += len(data)
            if self._header_bytes > _HEADERS:
                self._all.refuse("headers_too_large")
                self.reply(431, "the headers are too large")

    def on_message_begin(self) -> None:
        """Begin a request: its time counts from its first byte."""
        super().on_message_begin()
        self.phase, self.since, self._header_bytes = READING, time.monotonic(), 0
        self.scope["state"]["began"] = self.since
        self._all.work(self)

    def on_headers_complete(self) -> None:
        """Hand the request over; a server that ends takes no further one on this connection."""
        self._header_bytes = -1
        super().on_headers_complete()
        if self._all.draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self.phase = ANSWERING
        elif not self.transport.is_closing():
            self._wait()

    def on_response_complete(self) -> None:
        """Note that the answer is sent; a body that comes after it is read and thrown away."""
        super().on_response_complete()
        self.served = True
        if self.phase == ANSWERING and not self.transport.is_closing():
            self._wait()

    def reply(self, status: int, message: str, header: str = "") -> None:
        """Answer without the application, and close."""
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            body = f'{{"message":"{message}"}}'
            self.transport.write(
                f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n{header}connection: close\r\n\r\n{body}".encode()
            )
        self._all.close(self)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        del msg
        self._all.refuse("http")
        self.reply(400, "this is no request of HTTP/1.1")

    def timeout_keep_alive_handler(self) -> None:
        """Leave idle connections to the sweep."""

    def _wait(self) -> None:
        self.phase, self.since = WAITING, time.monotonic()
        self._all.wait(self)


_REASONS: dict[int, Any] = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
