"""The events of a JSON document, in the form of `libyaml`'s.

libyaml cannot give them: it takes no surrogate pairs, no long keys and no key on another line than its
colon.
"""

from __future__ import annotations

from json.decoder import scanstring  # type: ignore[attr-defined]

from tidewaiter.rules.loading.libyaml import (
    MAPPING_END,
    MAPPING_START,
    SCALAR,
    SEQUENCE_END,
    SEQUENCE_START,
)
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.loading.libyaml import Event

_BETWEEN = " \t\n\r,:"
_LITERAL_ENDS = frozenset(" \t\n\r,:]}")
_BRACKETS = {"{": MAPPING_START, "[": SEQUENCE_START, "}": MAPPING_END, "]": SEQUENCE_END}


@record
class Mark:
    """An offset in characters."""

    index: int


def json_events(text: str) -> Iterator[Event]:
    """Yield the events of one JSON value that has been read before, so is known to be well-formed."""
    at = 0
    while at < len(text):
        char = text[at]
        if char in _BETWEEN:
            at += 1
            continue
        start = Mark(at)
        if char in _BRACKETS:
            at += 1
            kind = _BRACKETS[char]
            if kind in {MAPPING_START, SEQUENCE_START}:
                yield kind, start, Mark(at), None, None, True
            else:
                yield kind, start, Mark(at)
        elif char == '"':
            value, at = scanstring(text, at + 1)
            yield SCALAR, start, Mark(at), value, None, None, False, '"'
        else:
            while at < len(text) and text[at] not in _LITERAL_ENDS:
                at += 1
            yield SCALAR, start, Mark(at), text[start.index : at], None, None, True, None
