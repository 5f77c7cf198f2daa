"""A TCP proxy on loopback that can be cut, or stall, as a network does; with several targets a load balancer."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Proxy:
    """Passes connections on to the targets in turn, like a Service to its endpoints."""

    def __init__(self, *targets: int) -> None:
        self.targets = list(targets)
        """Ports on loopback; change them as endpoints come and go."""
        self.port = 0
        self._cut = False
        self._flowing = asyncio.Event()
        self._turn = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self._call(self._do_cut)

    def stall(self) -> None:
        """Keep connections, and pass nothing on."""
        self._call(self._flowing.clear)

    def mend(self) -> None:
        """Pass everything on again; what stalled arrives late."""
        self._call(self._do_mend)

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Listen until the block is left."""
        started = threading.Event()
        thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        thread.start()
        started.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)

    def _call(self, what: Callable[[], object]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(what)
        self._loop.call_soon_threadsafe(done.set)
        done.wait(10)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._flowing.set()
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        )
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        self._do_cut()
        self._flowing.set()
        if tasks := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=5))
        self._loop.close()

    def _do_cut(self) -> None:
        self._cut = True
        for each in self._open:
            each.transport.abort()

    def _do_mend(self) -> None:
        self._cut = False
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        self._open.add(writer)
        with suppress(OSError):
            target = await self._connect()
            if target is not None:
                there, back = target
                self._open.add(back)
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
                self._open.discard(back)
        self._open.discard(writer)
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        targets = list(self.targets)
        self._turn += 1
        first = self._turn % len(targets)
        for port in (*targets[first:], *targets[:first]):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await source.read(65536):
                await self._flowing.wait()
                target.write(part)
                await target.drain()
        with suppress(OSError, RuntimeError):
            target.close()
