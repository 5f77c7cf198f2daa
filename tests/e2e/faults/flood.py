"""Reviews sent by the clock, whatever the answers do: an open loop, which ends by itself."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from typing import Any

from tests.webhook.running import review_of

_PATIENCE = 20.0


class _Connection(asyncio.Protocol):
    """Sends one request at a time and gives back the answer when it is whole."""

    def __init__(self) -> None:
        self._answer = bytearray()
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or self._waiting is None or self._waiting.done():
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) >= int(length or b"0"):
            self._waiting.set_result(bytes(self._answer))
            self._answer.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(b"")

    async def ask(self, request: bytes) -> bytes:
        """Return the whole answer, or nothing where the connection ends."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(_PATIENCE):
            return await self._waiting


async def flood(
    port: int, tls: ssl.SSLContext, value: dict[str, Any], rate: int, seconds: float
) -> Counter[str]:
    """Return how many were `denied`, `allowed`, turned away by `429`, or got `nothing`."""
    loop = asyncio.get_running_loop()
    body = json.dumps(review_of(value)).encode()
    head = f"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n"
    request = head.encode() + b"content-type: application/json\r\n\r\n" + body
    free: list[_Connection] = []
    counted: Counter[str] = Counter()

    async def connect() -> _Connection:
        return (await loop.create_connection(_Connection, "127.0.0.1", port, ssl=tls))[1]

    async def send() -> None:
        try:
            connection = free.pop() if free else await connect()
            answer = await connection.ask(request)
        except (OSError, TimeoutError):
            counted["nothing"] += 1
            return
        if answer:
            free.append(connection)
        counted[_outcome(answer)] += 1

    for _ in range(32):
        free.append(await connect())
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            tasks.create_task(send())
    counted["seconds"] = round(time.monotonic() - start)
    return counted


def _outcome(answer: bytes) -> str:
    status = answer[9:12]
    if status != b"200":
        return status.decode() or "nothing"
    response = json.loads(answer.partition(b"\r\n\r\n")[2])["response"]
    return "allowed" if response["allowed"] else "denied"
