"""The baseline: findings that a team knows of and does not have to answer for now.

A file of JSON with an entry on each line, sorted, so that branches merge and a review reads it:

    {"fingerprint": "…", "rule": "…", "object": "Deployment.apps payments/api", "container": "api",
     "field": "/spec/…", "file": "deploy/api.yaml", "count": 1}

`fingerprint` and `file` say what an entry holds, and `count` how many of them; the rest is for people. An entry
holds findings of its own file; when that file is gone, findings of any other, because it may have moved.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256

from tidewaiter.cli.fingerprint import identity
from tidewaiter.cli.output.shared import repository_path, repository_root, whole
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.finding import UNKNOWN, VIOLATION
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.record import fields_of, record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Any

    from tidewaiter.cli.result import LintFinding

DEFAULT_FILE = "tidewaiter-baseline.json"
VERSION = 1


@record
class Entry:
    """So many findings of one kind at one place of one file; see the module's text for the fields."""

    rule: str
    object: str
    container: str
    field: str
    file: str
    fingerprint: str
    count: int


@record
class Split:
    """Findings parted by a baseline: what it holds, what it does not, and of its entries what is left over."""

    held: tuple[LintFinding, ...]
    others: tuple[LintFinding, ...]
    left: tuple[Entry, ...]


def entries_of(findings: Iterable[LintFinding]) -> list[Entry]:
    """Return the entries that hold all violations among the findings, in order."""
    found: dict[tuple[str, str], Entry] = {}
    for finding in findings:
        if finding.status == VIOLATION:
            entry = _entry(finding)
            place = entry.fingerprint, entry.file
            found[place] = with_count(entry, found[place].count + 1) if place in found else entry
    return sorted(found.values(), key=fields_of)


def split(findings: Sequence[LintFinding], entries: Sequence[Entry]) -> Split:
    """Part findings into what the entries hold, as often as they say, and the rest."""
    room: dict[tuple[str, str], int] = {}
    for entry in entries:
        place = entry.fingerprint, entry.file
        room[place] = max(entry.count, room.get(place, 0))
    moved: dict[str, list[str]] = {}
    for fingerprint, file in room:
        if _is_gone(file):
            moved.setdefault(fingerprint, []).append(file)
    held: set[int] = set()
    for index, finding in enumerate(findings):
        if finding.status == VIOLATION:
            place = _fingerprint(finding), repository_path(finding.file)
            if room.get(place):
                room[place] -= 1
                held.add(index)
    for index, finding in enumerate(findings):
        if finding.status != VIOLATION or index in held:
            continue
        fingerprint = _fingerprint(finding)
        for file in moved.get(fingerprint, ()):
            if room[fingerprint, file]:
                room[fingerprint, file] -= 1
                held.add(index)
                break
    return Split(
        tuple(finding for index, finding in enumerate(findings) if index in held),
        tuple(finding for index, finding in enumerate(findings) if index not in held),
        _left(entries, room),
    )


def _left(entries: Sequence[Entry], room: dict[tuple[str, str], int]) -> tuple[Entry, ...]:
    found: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        count = room[entry.fingerprint, entry.file]
        if count:
            found[entry.fingerprint, entry.file] = with_count(entry, count)
    return tuple(found.values())


def without(
    entries: Sequence[Entry],
    left: Iterable[Entry],
    files: Collection[str],
    findings: Iterable[LintFinding],
) -> list[Entry]:
    """Return the entries less those left over that are fixed.

    Nothing is known of an entry whose file is there and not among the `files` that were looked at, nor of one
    whose rule is undecided on its object among the `findings`.
    """
    undecided = {
        (entry.rule, entry.object)
        for entry in (_entry(finding) for finding in findings if finding.status == UNKNOWN)
    }
    gone = {
        (entry.fingerprint, entry.file): entry.count
        for entry in left
        if _is_gone(entry.file)
        or (entry.file in files and (entry.rule, entry.object) not in undecided)
    }
    kept: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        place = entry.fingerprint, entry.file
        count = max(entry.count, kept[place].count if place in kept else 0)
        kept[place] = with_count(entry, count)
    rest = [with_count(entry, entry.count - gone.get(place, 0)) for place, entry in kept.items()]
    return sorted((entry for entry in rest if entry.count > 0), key=fields_of)


def _is_gone(file: str) -> bool:
    return not os.path.lexists(os.path.join(repository_root() or ".", file))


def with_count(entry: Entry, count: int) -> Entry:
    """Return an entry for another number of findings."""
    return replace(entry, count=count)


def load(path: str) -> list[Entry]:
    """Read a baseline. Raises InputError with the line of what is wrong."""
    try:
        data = read_file(path)
    except InputError as error:
        hint = f"; `tidewaiter lint --write-baseline --baseline {path}` makes it"
        missing = "does not exist" in error.message
        raise InputError(
            f"the baseline {error.message}{hint if missing else ''}", file=path
        ) from None
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("the baseline is not UTF-8 text", file=path) from None
    except json.JSONDecodeError as error:
        line = data.decode("utf-8-sig").split("\n")[error.lineno - 1]
        conflict = line.startswith(("<<<<<<<", "=======", ">>>>>>>"))
        why = "a merge conflict is not resolved here" if conflict else error.msg
        message = f"the baseline is no JSON: {why}"
        raise InputError(message, file=path, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise InputError("the baseline is no baseline: it is nested too deep", file=path) from None
    return _checked(value, data, path)


def _checked(value: Any, data: bytes, path: str) -> list[Entry]:
    if not isinstance(value, dict) or not isinstance(value.get("findings"), list):
        raise InputError("the baseline has no list `findings`", file=path, line=1, column=1)
    if value.get("version") != VERSION:
        message = (
            f"the baseline has version {value.get('version')!r}; this tidewaiter reads {VERSION}"
        )
        raise _misplaced(message, data, path, "/version")
    found = []
    for index, row in enumerate(value["findings"]):
        place = f"/findings/{index}"
        if not isinstance(row, dict):
            raise _misplaced("an entry is no object", data, path, place)
        for key in ("fingerprint", "file"):
            if not isinstance(row.get(key), str) or not row[key]:
                raise _misplaced(f"an entry needs a text `{key}`", data, path, f"{place}/{key}")
        count = row.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            message = "an entry's `count` is a whole number from 1"
            raise _misplaced(message, data, path, f"{place}/count")
        rule, named, container, field = (
            row[key] if isinstance(row.get(key), str) else ""
            for key in ("rule", "object", "container", "field")
        )
        found.append(Entry(rule, named, container, field, row["file"], row["fingerprint"], count))
    return found


def _misplaced(message: str, data: bytes, path: str, pointer: str) -> InputError:
    from tidewaiter.rules.loading.positions import locate

    try:
        span = locate(data, 0).at(pointer)
    except (InputError, IndexError):
        return InputError(f"the baseline is malformed: {message}", file=path)
    return InputError(
        f"the baseline is malformed: {message}", file=path, line=span.line, column=span.column
    )


def dump(entries: Sequence[Entry]) -> str:
    """Return a baseline as the text of its file; that of the same entries is the same."""
    lines = [
        json.dumps(
            {
                "fingerprint": entry.fingerprint,
                "rule": entry.rule,
                "object": entry.object,
                "container": entry.container,
                "field": entry.field,
                "file": entry.file,
                "count": entry.count,
            }
        )
        for entry in entries
    ]
    rows = ",\n".join(lines)
    return f'{{"version": {VERSION}, "findings": [\n{rows}{chr(10) if rows else ""}]}}\n'


def save(path: str, entries: Sequence[Entry]) -> None:
    """Write a baseline in one step. Raises InputError."""
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        try:
            with open(beside, "x", encoding="utf-8") as file:
                file.write(dump(entries))
            os.replace(beside, path)
        finally:
            if os.path.lexists(beside):
                os.unlink(beside)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from None


def _entry(finding: LintFinding) -> Entry:
    rule, kind, namespace, name, container, field = map(whole, identity(finding))
    named = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    file = repository_path(finding.file)
    return Entry(rule, named.strip(), container, field, file, _fingerprint(finding), 1)


def _fingerprint(finding: LintFinding) -> str:
    text = "\0".join(identity(finding)).encode("utf-8", "surrogatepass")
    return sha256(text).hexdigest()[:32]
