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
    old = "/dev/null" if not before else _quoted(f"a/{path}")
    for line in unified_diff(_lines(before), _lines(after), old, _quoted(f"b/{path}")):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _quoted(path: str) -> str:
    """Return a path as git writes one with characters that do something to a terminal or end a name."""
    if all(" " <= each != "\x7f" and each not in '"\\' for each in path):
        return path
    data = path.encode("utf-8", "surrogateescape")
    return '"' + "".join(_OCTETS.get(each) or _octet(each) for each in data) + '"'


_OCTETS = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


def _octet(value: int) -> str:
    return chr(value) if 0x20 <= value < 0x7F else f"\\{value:03o}"


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
