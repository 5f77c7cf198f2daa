"""Standard output and standard error that cannot be written: closed, full, or without a reader."""

from __future__ import annotations

import errno
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def open_streams() -> None:
    """Give a process that was started without stdout or stderr streams that behave.

    Python has None in the place of a closed one, and then prints what is for stderr to stdout.
    """
    if sys.stdout is None:
        raw = io.BufferedWriter(_Closed())
        sys.stdout = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # the locale may have no such character
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the process's life


def say(message: str) -> None:
    """Print a message to stderr, where that can be written: there is no other place to say it."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


def complain(message: str) -> None:
    """Print a message to stderr on one line, with a sign for each character that would do something to a terminal."""
    from tidewaiter.cli.output.excerpt import printable

    say(printable(message))


def cannot_write(error: BaseException) -> bool:
    """Tell whether an error is that of a stream that takes no more: it names no file, as those of files do."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _NO_ROOM


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def drop(stream: TextIO | None) -> None:
    """Let what a stream still holds go nowhere, so that it does not raise once more when the process ends."""
    try:
        descriptor = stream.fileno() if stream is not None else -1
    except (OSError, ValueError):
        descriptor = -1
    if descriptor >= 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    elif stream is sys.stdout:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


class _Closed(io.RawIOBase):
    """Takes nothing, as a closed file descriptor does."""

    def writable(self) -> bool:
        """Tell that writing may be tried: what is never written to does not matter."""
        return True

    def write(self, data: object, /) -> int:
        """Raise OSError."""
        del data
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
