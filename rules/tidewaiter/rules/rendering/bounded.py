"""Running a program on what nobody has vouched for: with bounded time, memory and output, and without a network."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 60.0
"""Seconds for one run."""
_MEMORY_BYTES = 8 * 2**30
"""Of address space: the runtime of Go reserves much more than it uses."""
_OUTPUT_BYTES = 256 * 2**20
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody runs: whatever asks a network fails at once."""


@record
class Ended:
    """How a program ended: its exit code, its standard output, and what it said on standard error."""

    code: int
    output: bytes
    said: bytes


def run_bounded(command: Sequence[str], request: bytes, what: str) -> bytes:
    """Run a program with standard input and return its standard output; see `run_to_end`.

    Raises InputError, which begins with `what`, where it fails, with the last line that it said.
    """
    ended = run_to_end(command, request, what)
    if ended.code != 0:
        lines = [line for line in ended.said.decode(errors="replace").splitlines() if line.strip()]
        last = lines[-1].strip() if lines else f"exit code {ended.code}"
        raise InputError(f"{what} failed: {last}")
    return ended.output


def run_to_end(
    command: Sequence[str], request: bytes, what: str, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a program with standard input until it ends by itself.

    It sees nothing of our environment but what is given, and finds no other program. Raises InputError, which begins
    with `what`, where it cannot be started or takes more than it may.
    """
    around = {
        "PATH": "/nonexistent",
        "HOME": "/nonexistent",
        "GOMAXPROCS": "2",
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "GIT_ALLOW_PROTOCOL": "none",
        **(environment or {}),
    }
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(  # noqa: S603 - the commands are ours
                list(command),
                input=request,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT,
                check=False,
                env=around,
                preexec_fn=_bound,
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"{what} took more than {TIMEOUT:g} s") from None
        except OSError as error:
            raise InputError(f"{what} could not be started: {error.strerror}") from None
        said = done.stderr
        if done.returncode < 0 or b"cannot allocate" in said or b"out of memory" in said:
            raise InputError(f"{what} took more time, memory or output than it may")
        output.seek(0)
        return Ended(done.returncode, output.read(), said)


def _bound() -> None:
    seconds = int(TIMEOUT)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
