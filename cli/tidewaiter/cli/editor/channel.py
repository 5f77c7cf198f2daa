"""The server's end of the pipe to a folder's worker: started when it is needed, ended when it takes too long."""

from __future__ import annotations

import asyncio
import marshal
import subprocess
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

    def __init__(
        self, folder: str, options: Options, *, walks: bool, texts: Texts, renders: bool = False
    ) -> None:
        """Name the folder, and what gives the documents in it: number of the change and content, by path."""
        self._renders = renders
        self._folder = folder
        self._options = options
        self._walks = walks
        self._texts = texts
        self._sent: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False
        self._lock = asyncio.Lock()

    async def ask(self, kind: str, *rest: object, seconds: float) -> tuple[Any, ...]:
        """Return the worker's answer, which has seen all documents as they are now. Raises WorkerLostError."""
        # Whoever asked may be cancelled; the answer must still be taken from the pipe.
        return await asyncio.shield(asyncio.ensure_future(self._ask(kind, rest, seconds)))

    def end(self) -> None:
        """End the worker for good; what waits for its answer is told that it is lost."""
        self._is_ended = True
        self._kill()

    async def _ask(self, kind: str, rest: tuple[object, ...], seconds: float) -> tuple[Any, ...]:
        async with self._lock:
            if self._is_ended:
                raise WorkerLostError("the folder was closed")
            loop = asyncio.get_running_loop()
            message = b""
            if self._process is None:
                message, self._sent = self._introduction(), {}
            message += frame((kind, self._changed(), *rest))
            waiting = loop.run_in_executor(None, self._exchange, message)
            try:
                done, _ = await asyncio.wait({waiting}, timeout=seconds)
                if not done:
                    self._kill()
                    raise WorkerLostError(f"no answer within {seconds:g} seconds")
                answer = waiting.result()
            except (OSError, EOFError, ValueError):
                self._kill()
                raise WorkerLostError("its process ended, perhaps out of memory") from None
            except asyncio.CancelledError:
                self._kill()
                raise
        if answer[0] == "failed":
            raise WorkerLostError(str(answer[1]))
        return answer

    def _exchange(self, message: bytes) -> tuple[Any, ...]:
        """Send a message and wait for the answer, in a thread: whoever kills the process ends the wait."""
        process = self._process
        if process is None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "tidewaiter.cli.editor.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._folder,
            )
            if self._is_ended:
                self._kill()
        writer, reader = process.stdin, process.stdout
        if writer is None or reader is None:
            raise EOFError
        writer.write(message)
        writer.flush()
        head = reader.read(HEAD)
        content = reader.read(int.from_bytes(head, "little"))
        answer: tuple[Any, ...] = marshal.loads(content)  # noqa: S302 - from our own process
        return answer

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _introduction(self) -> bytes:
        options = self._options
        stated = options.policy, options.profiles, options.kubernetes_version
        return frame((*stated, self._walks, self._renders))

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
