"""An inventory in a file: what a cluster held at one time, for runs that cannot or should not ask it.

JSON lines, compressed with gzip: first a header with the version of the form and the kinds that could not be read,
then one object a line, by kind, namespace and name. The same objects give the same bytes. What is in it is what
`kept_fields` keeps, so no value of a Secret.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.kept_fields import without_secrets
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

VERSION = 1
_FORM = "tidewaiter inventory"
_GZIP = b"\x1f\x8b"
_OPENING = b'{"form":"tidewaiter inventory"'
_LONGEST_LINE = 64 * 2**20


@record
class Snapshot:
    """The objects of a cluster as they were, and by kind why some are not known."""

    objects: list[dict[str, Any]]
    unreadable: dict[str, str]


def save(path: str, resources: Iterable[Resource], unreadable: Mapping[str, str]) -> int:
    """Write a snapshot whole or not at all, and return the number of its objects. Raises InputError."""
    rows = sorted(resources, key=lambda each: (each.kind_id, namespace_of(each), each.name))
    header = {
        "form": _FORM,
        "version": VERSION,
        "objects": len(rows),
        "unreadable": dict(sorted(unreadable.items())),
    }
    folder = os.path.dirname(path) or "."
    try:
        descriptor, draft = tempfile.mkstemp(dir=folder, prefix=".tidewaiter-")
        try:
            with open(descriptor, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                file.write(_line(header))
                for row in rows:
                    file.write(_line(without_secrets(row.object)))
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from None
    return len(rows)


def is_snapshot(path: str) -> bool:
    """Tell by its first bytes whether a file is a snapshot, compressed or not."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_OPENING))
        if start.startswith(_GZIP):
            with gzip.open(path) as inside:
                start = inside.read(len(_OPENING))
    except (OSError, EOFError, zlib.error):
        return False
    return start == _OPENING


def load(path: str) -> Snapshot:
    """Read a snapshot. Raises InputError with the line."""
    number = 0
    objects: list[dict[str, Any]] = []
    header: dict[str, Any] = {}
    try:
        for number, line in enumerate(_lines(path), 1):
            value = json.loads(line)
            if not isinstance(value, dict):
                raise InputError("is no object", file=path, line=number)
            if number == 1:
                header = _checked(value, path)
            else:
                objects.append(value)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is cut short or damaged"
        raise InputError(f"cannot be read: {reason}", file=path) from None
    except (ValueError, RecursionError):
        raise InputError("is no JSON", file=path, line=number + 1) from None
    if header.get("objects") != len(objects):
        msg = f"has {len(objects)} objects where it should have {header.get('objects')}"
        raise InputError(msg, file=path)
    return Snapshot(objects, header["unreadable"])


def _checked(header: dict[str, Any], path: str) -> dict[str, Any]:
    version = header.get("version")
    if header.get("form") != _FORM or version != VERSION:
        msg = f"is a snapshot of version {version!r}, and this tidewaiter reads version {VERSION}"
        raise InputError(msg, file=path, line=1)
    unreadable = header.get("unreadable")
    if not isinstance(unreadable, dict):
        unreadable = {}
    return {**header, "unreadable": {str(key): str(value) for key, value in unreadable.items()}}


def _lines(path: str) -> Iterator[bytes]:
    with open(path, "rb") as raw:
        start = raw.read(2)
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if start == _GZIP else raw
        while line := file.readline(_LONGEST_LINE):
            yield line


def _line(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"{text}\n".encode("utf-8", "surrogatepass")
