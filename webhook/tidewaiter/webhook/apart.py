"""Work that would keep other reviews waiting, done by a copy of the process.

A copy, made by fork, has the policy and the inventory as they stand, shares their memory, and needs no locks. What it
takes is bounded: the system ends it when its time is up, whatever it is doing, and it gets no more memory than stated
here. There is one at a time, since each is good for as much memory as the server itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_MEMORY = 256 * 2**20
"""Bytes that a copy may take beyond what it begins with."""
_NICENESS = 5
"""Where there is one core for all, the server has three quarters of it."""
_REAPED_EVERY = 0.05
_LENGTH = 8
"""Bytes of the number of bytes that an answer has."""
_SIGNALS = signal.valid_signals()


class GaveUp(Exception):
    """A copy had no answer in time, or could not give one at all."""


class Apart:
    """Does work in a copy of the process, one after the other."""

    def __init__(self) -> None:
        """Make no copy yet."""
        self._turn = asyncio.Lock()
        self.waiting = 0
        """How many wait for their answer."""

    async def run(self, work: Callable[[], bytes], seconds: float) -> bytes:
        """Return what `work` returns, which is never empty.

        Raises GaveUp, and OSError where the system makes no copy.
        """
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds) as limit, self._turn:
                left = (limit.when() or 0) - asyncio.get_running_loop().time()
                content = await _done_by_copy(work, left)
        except TimeoutError:
            raise GaveUp("it took too long") from None
        finally:
            self.waiting -= 1
        if not content:
            raise GaveUp("it failed, or took too much time or memory")
        return content


async def _done_by_copy(work: Callable[[], bytes], seconds: float) -> bytes:
    """Return what the copy writes, empty where it ended without."""
    reader, writer = os.pipe()
    try:
        pid = _fork(work, writer, seconds)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(stream)
    pipe, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(reader, "rb", 0))
    try:
        content = await stream.read()
        length = int.from_bytes(content[:_LENGTH], "big")
        # One that is ended while it writes leaves a part of its answer.
        return content[_LENGTH:] if len(content) == _LENGTH + length else b""
    finally:
        pipe.close()
        os.kill(pid, signal.SIGKILL)
        _reap(pid, loop)


def _fork(work: Callable[[], bytes], writer: int, seconds: float) -> int:
    # A signal that reached the copy would be told to the server, by the descriptor that they share at first.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _be_the_copy(work, writer, seconds)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _be_the_copy(work: Callable[[], bytes], writer: int, seconds: float) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        # Else a connection would stay open that the server has closed.
        os.closerange(3, writer)
        os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
        gc.disable()
        os.nice(_NICENESS)
        _limit_memory()
        content = work()
        rest = memoryview(len(content).to_bytes(_LENGTH, "big") + content)
        while rest:
            rest = rest[os.write(writer, rest) :]
        status = 0
    except Exception as error:  # noqa: BLE001 - the server answers for it
        logger.error("a copy of the server failed: %s", type(error).__name__)
    finally:
        os._exit(status)


def _limit_memory() -> None:
    """Let a review that takes too much fail by itself, before the system ends the whole container for it."""
    if not sys.platform.startswith("linux"):
        return
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + MOST_MEMORY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _reap(pid: int, loop: asyncio.AbstractEventLoop) -> None:
    """Take note of a copy's end; that of one that is killed takes the system a moment."""
    if os.waitpid(pid, os.WNOHANG) == (0, 0):
        loop.call_later(_REAPED_EVERY, _reap, pid, loop)
