"""Changes of files as a unified diff that `git apply` and `patch -p1` take."""

from __future__ import annotations

from difflib import unified_diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def unified(path: str, before: bytes, after: bytes) -> Iterator[str]:
    """Yield the lines of the difference between two contents of a file, with their ends.

    A file that did not exist is `before` b"".
    """
    old = "/dev/null" if not before else f"a/{path}"
    for line in unified_diff(_lines(before), _lines(after), old, f"b/{path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
