"""The server's life: listen, follow the files and the cluster, and at SIGTERM end without dropping a request."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config

from tidewaiter.rules.errors import InputError
from tidewaiter.webhook.connections import (
    HANDSHAKE_TIMEOUT,
    SHUTDOWN_TIMEOUT,
    Connection,
    Connections,
)
from tidewaiter.webhook.keep_running import keep_running
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.memory import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tidewaiter.webhook.app import Application
    from tidewaiter.webhook.certificates import Certificates
    from tidewaiter.webhook.own_certificates import Renewal
    from tidewaiter.webhook.serving import Serving

_BACKLOG = 2048
_ACCEPTED = 0.5
"""Seconds in which connections that the kernel accepted before the end reach the server."""


class Server:
    """One server, from the first connection to the last."""

    def __init__(
        self,
        serving: Serving,
        application: Application,
        certificates: Certificates | None,
        renewal: Renewal | None = None,
    ) -> None:
        """Hold the parts; nothing is opened yet."""
        self._serving = serving
        self._settings = serving.settings
        self._certificates = certificates
        self._renewal = renewal
        self._connections = Connections(self._settings, serving.metrics)
        self._config = Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._config.load()
        self._ending = asyncio.Event()
        self._hurried = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises InputError where the address cannot be listened at."""
        loop = asyncio.get_running_loop()
        settle()
        sockets = _listen(self._settings.host, self._settings.port)
        servers = [
            await loop.create_server(
                lambda: Connection(self._config, self._connections, loop),
                sock=each,
                backlog=_BACKLOG,
                ssl=self._certificates.context if self._certificates else None,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if self._certificates else None,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT if self._certificates else None,
            )
            for each in sockets
        ]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        scheme = "https" if self._certificates else "http"
        for each in sockets:
            logger.info("listening on %s://%s", scheme, _shown(each.getsockname()))
        parts: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("the limits of connections", self._connections.sweep),
            ("the reading of changed files", self._follow_files),
            ("the inventory", self._serving.inventory.run),
        ]
        if self._serving.background_audit is not None:
            parts.append(("the background audit", self._serving.background_audit.run))
        if self._serving.policy_objects is not None:
            parts.append(("the following of policies", self._serving.policy_objects.run))
        if self._renewal is not None:
            parts.append(("the renewal of certificates", self._renewal.run))
        tasks = [asyncio.create_task(keep_running(what, run)) for what, run in parts]
        try:
            await self._ending.wait()
            await self._drain(servers)
        finally:
            for task in tasks:
                task.cancel()
            for server in servers:
                server.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drain(self, servers: list[asyncio.Server]) -> None:
        """Say that this server is not ready, wait until nobody sends here any more, then answer what is left."""
        settings = self._settings
        self._serving.draining = True
        logger.info(
            "shutting down: not ready from now on, listening for %gs more", settings.drain_grace
        )
        self._connections.say_goodbye()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), settings.drain_grace)
        for server in servers:
            server.close()
        # What was accepted or sent just before is answered too.
        await asyncio.sleep(_ACCEPTED)
        self._connections.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.drain_timeout):
                await self._connections.closed()
        if self._connections.open:
            logger.warning("%d connections are cut off", self._connections.open)
            self._connections.abort()

    def _end(self) -> None:
        if self._ending.is_set():
            self._hurried.set()
        self._ending.set()

    async def _follow_files(self) -> None:
        """Look at the policy and the certificate, by turns of the clock and at once on SIGHUP."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reload.wait(), self._settings.reload_interval)
            self._reload.clear()
            await self._serving.policy.reload()
            if self._certificates is not None:
                self._certificates.reload()


def _listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to an address; an empty host is every address. Raises InputError."""
    try:
        if not host:
            family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
            return [
                socket.create_server(
                    ("", port),
                    family=family,
                    backlog=_BACKLOG,
                    dualstack_ipv6=family == socket.AF_INET6,
                )
            ]
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return [socket.create_server(address[:2], family=family, backlog=_BACKLOG)]
    except OSError as error:
        msg = f"cannot listen at {host or '*'}:{port}: {error.strerror}"
        raise InputError(msg) from None


def _shown(address: Any) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
