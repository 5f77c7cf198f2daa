"""Results of earlier runs, kept by content.

An entry's name is a hash of all that its result depends on: the files' paths and content, the policy,
the options, the date and the version of tidewaiter and its rules. So nothing is ever stale, and two
runs that write the same entry write the same bytes. Entries carry a checksum: one that was cut short or
damaged is as good as none. The folder is kept under a size by dropping the entries longest unused.
"""

from __future__ import annotations

import os

from tidewaiter.rules.cache_folder import cache_folder, keep_newest, read_data, write_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIZE_LIMIT = 256 * 1024 * 1024


def read_entry(name: str) -> Any:
    """Return what was stored, or None where there is nothing that can be trusted."""
    path = _path(name)
    found = read_data(path)
    if found is not None:
        try:
            os.utime(path)
        except OSError:
            pass
    return found


def write_entry(name: str, value: Any) -> None:
    """Store plain data, and drop the entries longest unused where all take too much."""
    path = _path(name)
    if write_data(path, value, largest=_SIZE_LIMIT // 4):
        keep_newest(os.path.dirname(path), size=_SIZE_LIMIT)


def _path(name: str) -> str:
    return os.path.join(cache_folder(), "runs", f"{name}.bin")
