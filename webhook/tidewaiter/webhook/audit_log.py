"""The audit log: one JSON line a decision, chained by hashes, written by a thread of its own.

A decision has been answered when its line is made, so nothing here can change it. A disk that is full or a reader
of stdout that stalls fills a queue in memory; what does not fit is counted, and the log itself says how many
decisions it lacks once it can be written again. `tidewaiter.rules.audit_chain` says what makes the chain.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from tidewaiter.rules.audit_chain import GENESIS, NUMBER, PREVIOUS, hash_of, last_link
from tidewaiter.rules.errors import InputError
from tidewaiter.webhook.decision import TOLD
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.settings import NONE, STDOUT

if TYPE_CHECKING:
    from tidewaiter.webhook.decision import Decision
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.settings import Settings

_QUEUE = 20_000
_BATCH = 256
_RETRY = 1.0
_LONGEST = 512
"""Characters of a name: the API server's own are shorter, and what is no name shall not fill the disk."""
_TAIL = 4 * 2**20
"""How far back a log is read for its last line at the start; the longest line is much shorter."""


class AuditLog:
    """Takes decisions and writes them in the order in which they came."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Open the log and find the end of its chain. Raises InputError where it cannot be written."""
        self._metrics = metrics
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._failing = False
        self._wake = threading.Condition()
        self._closing = False
        self._output = _open(settings)
        self._thread: threading.Thread | None = None
        if self._output is not None:
            self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
            self._thread.start()

    def write(
        self, gate: str, decision: Decision, policy_hash: str, seconds: float, trace_id: str
    ) -> None:
        """Hand over a decision; this neither waits nor fails."""
        if self._output is None:
            return
        entry = entry_of(gate, decision, policy_hash, seconds, trace_id, time.time())
        with self._wake:
            if len(self._waiting) >= _QUEUE:
                self._lost += 1
                self._metrics.audit_lost.inc()
                return
            self._waiting.append(entry)
            self._metrics.audit_waiting.set(len(self._waiting))
            self._wake.notify()

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, as far as that is possible in the given time, and end."""
        if self._thread is None:
            return
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        left = len(self._waiting) + self._lost
        if left:
            logger.error("the audit log lacks %d decisions: it could not be written", left)

    def _run(self) -> None:
        output = self._output
        while output is not None:
            with self._wake:
                while not (self._waiting or self._lost or self._closing or output.unfinished):
                    self._wake.wait()
                batch = list(islice(self._waiting, _BATCH))
                # Lost were the decisions after those that wait, so the log says so after these.
                lost = self._lost if len(batch) == len(self._waiting) else 0
                closing = self._closing
            if lost:
                batch.append({"time": _time(time.time()), "event": "lost", "decisions": lost})
            if not batch and not output.unfinished:
                output.close()
                return
            try:
                written, failure = output.write(batch)
            except Exception as error:  # noqa: BLE001 - one line must not end the log
                logger.error("lines of the audit log are lost, a defect: %s", type(error).__name__)
                self._metrics.audit_lost.inc(len(batch))
                written, failure = len(batch), None
            self._written(written, lost if written == len(batch) else 0)
            if failure is None:
                self._recovered()
                continue
            self._fail(failure)
            if closing:
                return
            with self._wake:
                self._wake.wait_for(lambda: self._closing, _RETRY)

    def _written(self, lines: int, lost: int) -> None:
        self._metrics.audit_lines.inc(lines)
        with self._wake:
            for _ in range(lines - bool(lost)):
                self._waiting.popleft()
            self._lost -= lost
            self._metrics.audit_waiting.set(len(self._waiting))

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            logger.info("the audit log is written again")

    def _fail(self, error: OSError) -> None:
        self._metrics.audit_failures.inc()
        if not self._failing:
            self._failing = True
            logger.error("the audit log cannot be written, its lines wait: %s", error.strerror)


def entry_of(
    gate: str,
    decision: Decision,
    policy_hash: str,
    seconds: float,
    trace_id: str,
    now: float,
) -> dict[str, Any]:
    """Return what the log says of a decision: names, pointers and rules, no value of the object."""
    subject = decision.subject
    answers = decision.answers
    entry: dict[str, Any] = {
        "time": _time(now),
        "gate": gate,
        "uid": subject.uid[:_LONGEST],
        "user": subject.username[:_LONGEST],
        "operation": subject.operation,
        "object": {
            "apiVersion": subject.api_version[:_LONGEST],
            "kind": subject.kind[:_LONGEST],
            "namespace": subject.namespace[:_LONGEST],
            "name": subject.name[:_LONGEST],
            "subresource": subject.subresource[:_LONGEST],
        },
        "dryRun": subject.dry_run,
        "allowed": decision.allowed,
        "verdict": decision.verdict,
        "rules": [
            {
                "rule": each.rule,
                "severity": each.severity,
                "status": each.status,
                "effect": each.effect,
                "pointer": each.pointer[:_LONGEST],
            }
            for each in answers[:TOLD]
        ],
        "policyHash": policy_hash,
        "latencyMs": round(seconds * 1000, 3),
        "traceId": trace_id,
    }
    more = len(answers[TOLD:]) + sum(decision.further.values())
    if more:
        entry["moreRules"] = more
    return entry


class _Chain:
    """The end of the chain: the number and hash of the last line that is written."""

    def __init__(self) -> None:
        self.number, self.hash = 0, GENESIS

    def lines(self, entries: list[dict[str, Any]]) -> list[bytes]:
        """Return the lines that entries make after the last one; the chain itself does not move."""
        number, previous = self.number, self.hash
        lines = []
        for entry in entries:
            number += 1
            line = orjson.dumps({NUMBER: number, PREVIOUS: previous, **entry}, option=_OPTIONS)
            previous = hash_of(line)
            lines.append(line + b"\n")
        return lines

    def move(self, lines: list[bytes]) -> None:
        """Take lines as written."""
        if lines:
            self.number += len(lines)
            self.hash = hash_of(lines[-1][:-1])

    def tell(self, what: str) -> None:
        """Note the end of the chain where whoever changes the file cannot."""
        if self.number:
            logger.info("the audit log %s line %d with the hash %s", what, self.number, self.hash)


_OPTIONS = orjson.OPT_NON_STR_KEYS


class _Stdout:
    """Standard output; each start of the server begins a chain of its own there."""

    def __init__(self) -> None:
        self._chain = _Chain()
        self._rest = b""

    @property
    def unfinished(self) -> bool:
        """Whether a line was written in part."""
        return bool(self._rest)

    def write(self, entries: list[dict[str, Any]]) -> tuple[int, OSError | None]:
        """Write entries; return how many need not be given again, and what kept the rest from being written."""
        try:
            self._flush()
        except OSError as error:
            return 0, error
        lines = self._chain.lines(entries)
        self._chain.move(lines)
        self._rest = b"".join(lines)
        try:
            self._flush()
        except OSError as error:
            return len(entries), error
        return len(entries), None

    def close(self) -> None:
        """Leave stdout to whoever else has it."""
        self._chain.tell("ends with")

    def _flush(self) -> None:
        while self._rest:
            self._rest = self._rest[os.write(1, self._rest) :]


class _RotatedFile:
    """A file that is renamed to FILE.1, FILE.2, ... when it is full, the last of them deleted."""

    unfinished = False

    def __init__(self, path: str, size: int, files: int) -> None:
        self._path, self._size, self._files = path, size, files
        self._chain = _Chain()
        self._descriptor = -1
        self._length = 0
        self._is_torn = False
        self._open()
        self._resume()

    def write(self, entries: list[dict[str, Any]]) -> tuple[int, OSError | None]:
        """Write entries; return how many are written, and what kept the rest from being so."""
        done = 0
        try:
            self._reopen_if_moved()
            self._mend()
            lines = self._chain.lines(entries)
            while done < len(lines):
                some = self._fitting(lines[done:])
                if not some:
                    self._rotate()
                    continue
                self._append(b"".join(some))
                self._chain.move(some)
                done += len(some)
        except OSError as error:
            return done, error
        return done, None

    def close(self) -> None:
        """Bring the log to the disk."""
        self._chain.tell("ends with")
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # What is no file on a disk cannot be brought there; a disk that fails has been told of by its writes.
            logger.warning("the audit log is not known to be on the disk: %s", error.strerror)
        self._let_go()

    def _fitting(self, lines: list[bytes]) -> list[bytes]:
        """Return those of the next lines that the file has room for; an empty file has room for one."""
        some: list[bytes] = []
        length = self._length
        for line in lines:
            if length and length + len(line) > self._size:
                break
            some.append(line)
            length += len(line)
        return some

    def _append(self, content: bytes) -> None:
        """Write lines whole or not at all: what a full disk took of them is cut off again."""
        try:
            rest = content
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._is_torn = True
            with suppress(OSError):
                self._mend()
            raise
        self._length += len(content)

    def _mend(self) -> None:
        """Cut off what a failed write has left; where that fails too, the next write does it first."""
        if self._is_torn:
            os.ftruncate(self._descriptor, self._length)
            self._is_torn = False

    def _rotate(self) -> None:
        self._chain.tell("begins a new file after")
        self._let_go()
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(older):
                os.replace(older, f"{self._path}.{number}")
        if self._files == 1:
            os.unlink(self._path)
        self._open()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise OSError(0, "another process writes to it") from None
        except OSError:
            pass  # a file system without locks
        self._descriptor, self._is_torn = descriptor, False
        self._length = os.fstat(self._descriptor).st_size

    def _reopen_if_moved(self) -> None:
        """Go on in a new file where somebody else has renamed or removed the one that is open."""
        if self._descriptor < 0:
            self._open()
            return
        try:
            here, there = os.fstat(self._descriptor), os.stat(self._path)
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return
        except FileNotFoundError:
            pass
        self._let_go()
        self._open()

    def _let_go(self) -> None:
        """Close the file, and forget its number: another file or connection may get it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _resume(self) -> None:
        """Find the end of the chain; what a crash left of a line is cut off, and the log says so."""
        tail = self._tail()
        whole, newline, torn = tail.rpartition(b"\n")
        if torn:
            os.ftruncate(self._descriptor, self._length - len(torn))
            self._length -= len(torn)
        last = whole + newline
        if not last:
            last = _last_of(f"{self._path}.1")
        link = last_link(last) if last else None
        if link is not None:
            self._chain.number, self._chain.hash = link
        elif last:
            msg = "the last line is no line of an audit log; move the file away to begin a new one"
            raise InputError(msg, file=self._path)
        self._chain.tell("goes on after")
        if torn:
            logger.warning(
                "%s: the last line was cut off, as by a crash; it is removed", self._path
            )
            _, failure = self.write(
                [{"time": _time(time.time()), "event": "torn", "bytes": len(torn)}]
            )
            if failure is not None:
                raise failure

    def _tail(self) -> bytes:
        start = max(0, self._length - _TAIL)
        return os.pread(self._descriptor, self._length - start, start)


def _last_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            return file.read()
    except OSError:
        return b""


def _open(settings: Settings) -> _Stdout | _RotatedFile | None:
    if settings.audit_log == NONE:
        return None
    if settings.audit_log == STDOUT:
        sys.stdout.flush()
        return _Stdout()
    try:
        return _RotatedFile(settings.audit_log, settings.audit_log_size, settings.audit_log_files)
    except OSError as error:
        msg = f"the audit log cannot be written: {error.strerror}"
        raise InputError(msg, file=settings.audit_log) from None


def _time(seconds: float) -> str:
    """Return a time as RFC 3339 in UTC, with microseconds."""
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1e6):06}Z"
