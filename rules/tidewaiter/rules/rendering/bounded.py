"""Running a program on what nobody has vouched for: with bounded time, memory and output, and without a network."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile

from tidewaiter.rules.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 60.0
"""Seconds for one run."""
_MEMORY_BYTES = 8 * 2**30
"""Of address space: the runtime of Go reserves much more than it uses."""
_OUTPUT_BYTES = 256 * 2**20
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody runs: whatever asks a network fails at once."""


def run_bounded(command: Sequence[str], request: bytes, what: str) -> bytes:
    """Run a program with standard input and return its standard output.

    It sees none of our environment and finds no other program. Raises InputError, which begins with `what`, where it
    fails, with the last line that it said.
    """
    environment = {
        "PATH": "/nonexistent",
        "HOME": "/nonexistent",
        "GOMAXPROCS": "2",
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "GIT_ALLOW_PROTOCOL": "none",
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
                env=environment,
                preexec_fn=_bound,
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"{what} took more than {TIMEOUT:g} s") from None
        except OSError as error:
            raise InputError(f"{what} could not be started: {error.strerror}") from None
        if done.returncode != 0:
            raise InputError(_ending(done.returncode, done.stderr, what))
        output.seek(0)
        return output.read()


def _bound() -> None:
    seconds = int(TIMEOUT)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def _ending(code: int, said: bytes, what: str) -> str:
    if code < 0 or b"cannot allocate" in said or b"out of memory" in said:
        return f"{what} took more time, memory or output than it may"
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return f"{what} failed: {lines[-1].strip() if lines else f'exit code {code}'}"
