"""Running a credential helper: for a time only, with a bound on what it prints, and with all that it has started ended.

https://github.com/docker/docker-credential-helpers
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from tidewaiter.rules.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

HELPER_TIMEOUT = 10.0
"""Seconds."""
_ENDING = 1.0
HELPER_LIMIT = 1024 * 1024
"""Bytes that a helper may print."""


async def run_helper(command: Sequence[str], asked: bytes) -> tuple[int, bytes]:
    """Return the exit code and what was printed on both streams. Raises RegistryError."""
    program = command[0]
    try:
        transport, helper = await asyncio.get_running_loop().subprocess_exec(
            _Helper, *command, start_new_session=True
        )
    except OSError as error:
        raise RegistryError(f"{program} cannot be run: {error.strerror}") from error
    try:
        stdin = transport.get_pipe_transport(0)
        if isinstance(stdin, asyncio.WriteTransport):
            stdin.write(asked)
            stdin.write_eof()
        async with asyncio.timeout(HELPER_TIMEOUT):
            await helper.enough.wait()
    except TimeoutError:
        raise RegistryError(f"{program} has not ended after {HELPER_TIMEOUT:g} s") from None
    finally:
        # What it has started holds its streams open, and would outlive us.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                await helper.gone.wait()
        transport.close()
    if len(helper.output) > HELPER_LIMIT:
        raise RegistryError(f"{program} prints more than {HELPER_LIMIT} bytes")
    return transport.get_returncode() or 0, bytes(helper.output)


class _Helper(asyncio.SubprocessProtocol):
    """Collects what a process prints until it has ended and closed its streams, or printed too much."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.enough, self.gone = asyncio.Event(), asyncio.Event()

    def pipe_data_received(self, _: int, data: bytes) -> None:
        if len(self.output) <= HELPER_LIMIT:
            self.output += data
        if len(self.output) > HELPER_LIMIT:
            self.enough.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.enough.set()
        self.gone.set()
