"""Results of earlier runs, kept by content.

An entry's name is a hash of all that its result depends on: the files' paths and content, the policy,
the options, the date and the version of tidewaiter and its rules. So nothing is ever stale, and two
runs that write the same entry write the same bytes. Entries carry a checksum: one that was cut short or
damaged is as good as none. The folder is kept under a size by dropping the entries longest unused.
"""

from __future__ import annotations

import marshal
import os

from tidewaiter.rules.cache_folder import cache_folder, replace_file

try:
    from _blake2 import blake2b
except ImportError:  # hashlib loads OpenSSL first, which takes 3 ms
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_SIZE_LIMIT = 256 * 1024 * 1024
_CHECKSUM = 16


def key_of(parts: Iterable[bytes]) -> str:
    """Return the name of the entry that depends on `parts`, each told apart from its neighbours."""
    digest = blake2b(digest_size=20)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def read_entry(key: str) -> Any:
    """Return what was stored, or None where there is nothing that can be trusted."""
    path = _path(key)
    try:
        with open(path, "rb") as file:
            stored = file.read()
        checksum, content = stored[:_CHECKSUM], stored[_CHECKSUM:]
        if blake2b(content, digest_size=_CHECKSUM).digest() != checksum:
            return None
        os.utime(path)
        return marshal.loads(content)  # noqa: S302 - our own file in the user's own folder, checksummed
    except (OSError, ValueError, EOFError, TypeError):
        return None


def write_entry(key: str, value: Any) -> None:
    """Store plain data; where that fails the next run is merely as slow as this one."""
    content = marshal.dumps(value)
    if len(content) > _SIZE_LIMIT // 4:
        return
    stored = blake2b(content, digest_size=_CHECKSUM).digest() + content
    if replace_file(_path(key), stored):
        _drop_oldest()


def _path(key: str) -> str:
    return os.path.join(cache_folder(), "runs", f"{key}.bin")


def _drop_oldest() -> None:
    folder = os.path.join(cache_folder(), "runs")
    try:
        with os.scandir(folder) as found:
            entries = [
                (entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in found
            ]
    except OSError:
        return
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= _SIZE_LIMIT:
            return
        try:
            os.unlink(path)
        except OSError:
            continue
        total -= size
