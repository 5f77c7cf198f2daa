"""Read a WWW-Authenticate header (RFC 9110, section 11.6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A scheme in lower case and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> list[Challenge]:
    """Return the challenges of a header in order; what is malformed ends the list."""
    found: list[tuple[str, dict[str, str]]] = []
    for word, value in _words(header):
        if value is None:
            found.append((word.lower(), {}))
        elif found:
            found[-1][1].setdefault(word.lower(), value)
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def _words(header: str) -> Iterator[tuple[str, str | None]]:
    """Yield schemes (without a value) and parameters."""
    at, end = 0, len(header)
    while at < end:
        while at < end and header[at] in " \t,":
            at += 1
        start = at
        while at < end and header[at] in _TOKEN:
            at += 1
        word = header[start:at]
        if not word:
            return
        if at < end and header[at] == "=":
            value, at = _value(header, at + 1)
            yield word, value
        else:
            yield word, None


def _value(header: str, at: int) -> tuple[str, int]:
    end = len(header)
    if at >= end or header[at] != '"':
        start = at
        while at < end and header[at] not in " \t,":
            at += 1
        return header[start:at], at
    at += 1
    text = []
    while at < end and header[at] != '"':
        if header[at] == "\\" and at + 1 < end:
            at += 1
        text.append(header[at])
        at += 1
    return "".join(text), at + 1
