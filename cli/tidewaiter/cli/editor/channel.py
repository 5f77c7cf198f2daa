"""The server's end of the pipe to a folder's worker: started when it is needed, ended when it takes too long."""

from __future__ import annotations

import asyncio
import marshal
import sys
from typing import TYPE_CHECKING, Any

from tidewaiter.cli.editor.worker import HEAD, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidewaiter.cli.editor.analysis import Options

    Texts = Callable[[], Mapping[str, tuple[int, bytes]]]


class WorkerLostError(Exception):
    """The worker has ended, or was ended since it gave no answer in time."""


class Channel:
    """Asks the worker of a folder one thing at a time."""

    def __init__(self, folder: str, options: Options, *, walks: bool, texts: Texts) -> None:
        """Name the folder, and what gives the documents in it: number of the change and content, by path."""
        self._folder = folder
        self._options = options
        self._walks = walks
        self._texts = texts
        self._sent: dict[str, int] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def ask(self, kind: str, *rest: object, seconds: float) -> tuple[Any, ...]:
        """Return the worker's answer, which has seen all documents as they are now. Raises WorkerLostError."""
        # Whoever asked may be cancelled; the answer must still be taken from the pipe.
        return await asyncio.shield(asyncio.ensure_future(self._ask(kind, rest, seconds)))

    def end(self) -> None:
        """End the worker."""
        process, self._process = self._process, None
        self._sent = {}
        if process is not None and process.returncode is None:
            try:
                process.kill()
            except ProcessLookupError:
                pass

    async def _ask(self, kind: str, rest: tuple[object, ...], seconds: float) -> tuple[Any, ...]:
        async with self._lock:
            try:
                async with asyncio.timeout(seconds):
                    process = self._process or await self._start()
                    reader, writer = process.stdout, process.stdin
                    if reader is None or writer is None:
                        raise OSError("it has no pipes")  # noqa: TRY301
                    writer.write(frame((kind, self._changed(), *rest)))
                    await writer.drain()
                    size = int.from_bytes(await reader.readexactly(HEAD), "little")
                    answer: tuple[Any, ...] = marshal.loads(await reader.readexactly(size))  # noqa: S302
            except TimeoutError:
                self.end()
                raise WorkerLostError(f"no answer within {seconds:g} seconds") from None
            except (asyncio.IncompleteReadError, OSError):
                self.end()
                raise WorkerLostError("its process ended, perhaps out of memory") from None
            except BaseException:
                self.end()
                raise
        if answer[0] == "failed":
            raise WorkerLostError(str(answer[1]))
        return answer

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tidewaiter.cli.editor.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self._folder,
        )
        self._process, self._sent = process, {}
        options = self._options
        first = (options.policy, options.profiles, options.kubernetes_version, self._walks)
        if process.stdin is not None:
            process.stdin.write(frame(first))
        return process

    def _changed(self) -> dict[str, bytes | None]:
        """Return what the worker does not know yet; None for a document that is closed."""
        texts = self._texts()
        changed: dict[str, bytes | None] = {
            path: text for path, (number, text) in texts.items() if self._sent.get(path) != number
        }
        for path in self._sent:
            if path not in texts:
                changed[path] = None
        self._sent = {path: number for path, (number, _) in texts.items()}
        return changed
