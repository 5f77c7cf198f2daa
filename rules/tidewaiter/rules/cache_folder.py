"""The user's cache folder, by the XDG Base Directory specification.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import os


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
