"""Whatever a file holds, reading it ends within five seconds and 500 MB of memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tidewaiter.rules.loading.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = DEFAULT_LIMITS.file_bytes

READ = """
import resource, sys, time
from tidewaiter.rules.loading.ignores import comment_ignores
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.positions import Locator
data = sys.stdin.buffer.read()
started = time.process_time()
loaded = load_documents(data, "f.yaml")
if loaded.documents:
    positions = Locator(data).document(loaded.documents[-1].index)
    positions.at("/a/b/c")
    comment_ignores(positions)
try:
    # Linux counts the memory of whoever started a process into the figure of getrusage.
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time() - started, peak, len(loaded.documents), len(loaded.errors))
print(loaded.errors[0] if loaded.errors else "")
"""


def bomb() -> bytes:
    lines = [b"a: &a [" + b"x," * 9 + b"x]"]
    for number in range(12):
        name, before = bytes([98 + number]), bytes([97 + number])
        lines.append(name + b": &" + name + b" [" + b", ".join([b"*" + before] * 9) + b"]")
    return b"\n".join(lines)


def merge_bomb() -> bytes:
    lines = [b"a0: &a0 {x: 1}"]
    for number in range(1, 60):
        lines.append(
            b"a%d: &a%d {p: *a%d, q: *a%d, <<: *a%d}" % (number, number, *[number - 1] * 3)
        )
    return b"\n".join(lines)


def chain() -> bytes:
    return b"a0: &a0 [x]\n" + b"".join(
        b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 10_000)
    )


ERRORS: dict[str, tuple[Callable[[], bytes], str]] = {
    "alias bomb": (bomb, "aliases blow"),
    "merge bomb": (merge_bomb, "aliases blow"),
    "alias chain": (chain, "nests more than"),
    "brackets": (lambda: b"[" * 10_000, "nests more than"),
    "braces": (lambda: b"{a: " * 10_000, "nests more than"),
    "dashes": (lambda: b"- " * 10_000 + b"x", "nests more than"),
    "indentation": (lambda: b"\n".join(b" " * i + b"a:" for i in range(5_000)), "nests more than"),
    "JSON objects": (lambda: b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nests more than"),
    "JSON lists": (lambda: b"[" * 10_000 + b"]" * 10_000, "nests more than"),
    "many tiny values": (lambda: b"[" + b"a," * (SIZE // 2 - 2) + b"a]", "more than"),
    "many tiny lists": (lambda: b"[" + b"[]," * (SIZE // 3 - 2) + b"[]]", "more than"),
    "many JSON numbers": (lambda: b"[" + b"1," * (SIZE // 2 - 2) + b"1]", "more than"),
    "many mappings": (lambda: b"- {a: b}\n" * (SIZE // 9), "more than"),
    "many documents": (lambda: b"---\na\n" * (SIZE // 6), "documents"),
    "many broken documents": (lambda: b"---\n[\n" * (SIZE // 6), "node"),
    "many markers": (lambda: b"---\n" * (SIZE // 4), "documents"),
    "an unclosed quote": (lambda: b'a: "' + b"x\n" * (SIZE // 2 - 3), "never closed"),
    "an endless key": (lambda: b"a" * (SIZE - 3) + b": b", "': '"),
    "question marks": (lambda: b"?\n" * (SIZE // 2), "null"),
    "tabs": (lambda: b"\t" * SIZE, "tab"),
    "every byte": (lambda: bytes(range(256)) * (SIZE // 256), "not text"),
    "a file of 200 MB": (lambda: b"a: 1\n" * 40_000_000, "MiB large"),
}

READABLE: dict[str, Callable[[], bytes]] = {
    "many different fields": lambda: b"".join(b"k%d: v%d\n" % (i, i) for i in range(374_000)),
    "one repeated key": lambda: b"a: 1\n" * 374_000,
    "an endless number": lambda: b"a: " + b"1" * (SIZE - 3),
    "a block text of line ends": lambda: b"a: |\n" + b"\n" * (SIZE - 5),
    "comments": lambda: b"# tidewaiter: ignore[x] y\n" * 100_000 + b"a: 1\n",
    "end markers": lambda: b"...\n" * (SIZE // 4),
    "blanks": lambda: b" " * SIZE,
}


def read(data: bytes) -> tuple[int, int, str]:
    done = subprocess.run(
        [sys.executable, "-c", READ], input=data, capture_output=True, check=True, timeout=60
    )
    figures, message = done.stdout.decode().split("\n", 1)
    seconds, peak, documents, errors = figures.split()
    assert float(seconds) < 5
    assert int(peak) < 500_000
    return int(documents), int(errors), message


@pytest.mark.parametrize(("make", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_hostile_input_is_a_clear_error(make: Callable[[], bytes], words: str) -> None:
    _, errors, message = read(make())
    assert errors >= 1
    assert words in message


@pytest.mark.parametrize("make", READABLE.values(), ids=READABLE.keys())
def test_large_input_within_the_limits_is_read(make: Callable[[], bytes]) -> None:
    _, errors, _ = read(make())
    assert errors == 0
