"""The audit log as a chain: each line carries the SHA-256 of the line before it, and a running number.

A line is one JSON object in UTF-8 and ends with a newline, which is no part of what is hashed. The first line of a
chain has the number 1 and the hash GENESIS. A line that was changed, removed or moved no longer fits the one after
it. What no chain can show by itself: that lines are missing from its end, or that it was written anew from some
line on. For that its last hash must be known from elsewhere.
"""

from __future__ import annotations

import hashlib
import json

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

GENESIS = "0" * 64
NUMBER, PREVIOUS = "seq", "previous"
"""The fields of a line that make the chain."""


def hash_of(line: bytes) -> str:
    """Return the hash of a line, given without its newline."""
    return hashlib.sha256(line).hexdigest()


@record
class Place:
    """A line of a file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        """As compilers write it."""
        return f"{self.file}:{self.line}"


@record
class Break:
    """A place where the chain does not hold, and what that means."""

    place: Place
    message: str


@record
class Verification:
    """What was found in the files of one log.

    `first` and `last` are the numbers of the first and last line in order, 0 where there is none; `head` is the hash
    of the last line. `chains` are the places where a chain begins.
    """

    lines: int
    first: int
    last: int
    head: str
    chains: tuple[Place, ...]
    breaks: tuple[Break, ...]


@record
class _Line:
    place: Place
    number: int
    previous: str
    hash: str
    """Empty for a line that cannot be read: nothing is known of what it was."""


def verify(paths: Sequence[str], *, restarts: bool = False) -> Verification:
    """Check the files of one log, given in any order.

    `restarts` allows further chains to begin, as in the captured stdout of a server that was started again. Raises
    InputError for a file that cannot be read.
    """
    return _Verifier(restarts=restarts).run(_in_order(paths))


def last_link(content: bytes) -> tuple[int, str] | None:
    """Return the number and hash of the last line of a log's whole lines, None where there is none or it is no link."""
    line = content.rstrip(b"\n").rpartition(b"\n")[2]
    link = _link(line)
    return (link[0], hash_of(line)) if link is not None else None


class _Verifier:
    """Goes over the lines once and remembers what is missing until it turns up elsewhere."""

    def __init__(self, *, restarts: bool) -> None:
        self._restarts = restarts
        self._breaks: list[Break] = []
        self._chains: list[Place] = []
        self._missing: list[tuple[range, Place, Place]] = []
        self._found_late: set[int] = set()
        self._first = 0
        self._last: _Line | None = None
        self._count = 0

    def run(self, lines: Iterable[tuple[Place, bytes, bool]]) -> Verification:
        for place, content, whole in lines:
            self._count += 1
            self._take(place, content, whole=whole)
        self._report_missing()
        return Verification(
            self._count,
            self._first,
            self._last.number if self._last is not None else 0,
            self._last.hash if self._last is not None else "",
            tuple(self._chains),
            tuple(self._breaks),
        )

    def _take(self, place: Place, content: bytes, *, whole: bool) -> None:
        link = _link(content) if whole else None
        if link is None:
            what = "the line is cut off" if not whole else "this is no line of an audit log"
            self._breaks.append(Break(place, f"{what}: it was changed, or never written whole"))
            if self._last is not None:
                self._last = _Line(place, self._last.number + 1, "", "")
            return
        line = _Line(place, *link, hash_of(content))
        last = self._last
        if last is None:
            self._begin(line)
        elif line.number == 1 and line.previous == GENESIS and last.number >= 1:
            self._begin_again(line)
        elif line.number == last.number + 1:
            self._follow(last, line)
        elif line.number > last.number:
            gap = range(last.number + 1, line.number)
            self._missing.append((gap, last.place, place))
            self._last = line
        else:
            self._displaced(line, last)

    def _begin(self, line: _Line) -> None:
        self._first, self._last = line.number, line
        if line.number == 1:
            self._chains.append(line.place)
            if line.previous != GENESIS:
                message = (
                    "line 1 of the log must carry 64 zeros as the hash before it: it was changed"
                )
                self._breaks.append(Break(line.place, message))
        elif self._count > 1:
            message = f"what stands before line {line.number} of the log cannot be read"
            self._breaks.append(Break(line.place, message))

    def _begin_again(self, line: _Line) -> None:
        self._chains.append(line.place)
        if not self._restarts:
            message = (
                "a new chain begins here: what came before may be cut off at its end "
                "(--restarts allows it, for a log of stdout)"
            )
            self._breaks.append(Break(line.place, message))
        self._report_missing()
        self._last = line

    def _follow(self, last: _Line, line: _Line) -> None:
        self._last = line
        if last.hash and line.previous != last.hash:
            message = (
                f"line {last.number} of the log was changed after it was written: "
                f"it is not what line {line.number} ({line.place}) carries the hash of"
            )
            self._breaks.append(Break(last.place, message))

    def _displaced(self, line: _Line, last: _Line) -> None:
        for gap, _, _ in self._missing:
            if line.number in gap and line.number not in self._found_late:
                self._found_late.add(line.number)
                message = (
                    f"line {line.number} of the log stands after line {last.number}: it was moved"
                )
                self._breaks.append(Break(line.place, message))
                return
        message = f"line {line.number} of the log stands here again, after line {last.number}"
        self._breaks.append(Break(line.place, message))

    def _report_missing(self) -> None:
        for gap, before, after in self._missing:
            for run in _runs(gap, self._found_late):
                what = f"line {run[0]}" if len(run) == 1 else f"lines {run[0]} to {run[-1]}"
                message = (
                    f"{what} of the log {'is' if len(run) == 1 else 'are'} missing before this one "
                    f"and after {before}"
                )
                self._breaks.append(Break(after, message))
        self._missing.clear()
        self._found_late.clear()


def _runs(gap: range, found: set[int]) -> Iterator[range]:
    """Yield the stretches of a gap that did not turn up elsewhere, without counting through a hostile one."""
    start = gap.start
    for number in sorted(number for number in found if number in gap):
        if number > start:
            yield range(start, number)
        start = number + 1
    if start < gap.stop:
        yield range(start, gap.stop)


def _in_order(paths: Sequence[str]) -> Iterator[tuple[Place, bytes, bool]]:
    """Yield the lines of the files, the file with the lowest number first; whether each has its newline."""
    started = sorted(
        (_first_number(path), at, path) for at, path in enumerate(dict.fromkeys(paths))
    )
    for _, _, path in started:
        yield from _lines(path)


def _first_number(path: str) -> int:
    """Return the number of the first line of a file that has one, or 0."""
    for _, content, whole in _lines(path):
        link = _link(content) if whole else None
        if link is not None:
            return link[0]
    return 0


def _lines(path: str) -> Iterator[tuple[Place, bytes, bool]]:
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                whole = line.endswith(b"\n")
                yield Place(path, number), line[:-1] if whole else line, whole
    except OSError as error:
        msg = f"cannot be read: {error.strerror}"
        raise InputError(msg, file=path) from None


def _link(line: bytes) -> tuple[int, str] | None:
    """Return a line's number and the hash it carries, None where it is no line of a log."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    number, previous = value.get(NUMBER), value.get(PREVIOUS)
    if type(number) is not int or number < 1 or not isinstance(previous, str):
        return None
    return number, previous
