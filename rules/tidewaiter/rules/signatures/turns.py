"""So many at a time for each of many, so that those who wait for one registry do not keep others from theirs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """A semaphore for each name, which is there while somebody uses it."""

    def __init__(self, at_once: int) -> None:
        """Let so many have their turn at a time by each name."""
        self._at_once = at_once
        self._queues: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        turn, users = self._queues.setdefault(name, (asyncio.Semaphore(self._at_once), []))
        users.append(None)
        try:
            async with turn:
                yield
        finally:
            users.pop()
            if not users:
                self._queues.pop(name, None)
