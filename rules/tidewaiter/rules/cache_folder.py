"""The user's cache folder, by the XDG Base Directory specification.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import marshal
import os

try:
    from _blake2 import blake2b
except ImportError:  # hashlib loads OpenSSL first, which takes 3 ms
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_CHECKSUM = 16


def cache_folder() -> str:
    """Return the folder for what can be made again: $XDG_CACHE_HOME/tidewaiter or ~/.cache/tidewaiter.

    It may not exist, nor be writable.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(root):
        root = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "tidewaiter")


def replace_file(path: str, content: bytes) -> bool:
    """Write a file so that a reader sees the old content or the new, never a part of it.

    Returns False where it cannot be written: a cache that fails is no error.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        return False
    return True


def name_of(parts: Iterable[bytes]) -> str:
    """Return the name of what depends on `parts`, each told apart from its neighbours."""
    digest = blake2b(digest_size=20)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def read_data(path: str) -> Any:
    """Return the plain data of a file, or None where there is nothing that can be trusted."""
    try:
        with open(path, "rb") as file:
            stored = file.read()
        checksum, content = stored[:_CHECKSUM], stored[_CHECKSUM:]
        if blake2b(content, digest_size=_CHECKSUM).digest() != checksum:
            return None
        return marshal.loads(content)  # noqa: S302 - our own file in the user's own folder, checksummed
    except (OSError, ValueError, EOFError, TypeError):
        return None


def write_data(path: str, value: Any, *, largest: int | None = None) -> bool:
    """Store plain data with a checksum, unless it takes more than `largest` bytes.

    Returns False where it is not stored; the next run is then merely as slow as this one.
    """
    content = marshal.dumps(value)
    if largest is not None and len(content) > largest:
        return False
    return replace_file(path, blake2b(content, digest_size=_CHECKSUM).digest() + content)


def keep_newest(folder: str, *, files: int | None = None, size: int | None = None) -> None:
    """Remove the files longest unchanged until so many, or so many bytes, are left at most.

    What cannot be removed stays: another run may have removed it already.
    """
    try:
        with os.scandir(folder) as found:
            entries = [
                (entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in found
            ]
    except OSError:
        return
    count, total = len(entries), sum(length for _, length, _ in entries)
    for _, length, path in sorted(entries):
        if (files is None or count <= files) and (size is None or total <= size):
            return
        try:
            os.unlink(path)
        except OSError:
            continue
        count -= 1
        total -= length
