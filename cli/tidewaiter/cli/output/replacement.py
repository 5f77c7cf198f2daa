"""A finding's fix as one replacement in the text of its file, for the formats that carry fixes."""

from __future__ import annotations

from tidewaiter.rules.fixes.text_edit import edited_text, read_value
from tidewaiter.rules.fixes.value_edit import Refused
from tidewaiter.rules.loading.pieces import pieces
from tidewaiter.rules.loading.text import LineIndex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.fixes.edit import PlainFix

    Replacement = tuple[tuple[int, int, int, int], str]
    """Line, column, end line and end column of what goes, and the text that comes."""


class Fixes:
    """The fixes of one file, each on its own and not upon the others."""

    def __init__(self, text: str) -> None:
        """Take the file's text."""
        self._pieces = pieces(text)
        self._lines = LineIndex(text)
        self._values: dict[int, Any] = {}

    def replacement(self, fix: PlainFix) -> Replacement | None:
        """Return what a fix replaces, or None where it cannot be made."""
        _, index, edits = fix
        if index >= len(self._pieces):
            return None
        piece = self._pieces[index]
        try:
            if index not in self._values:
                self._values[index] = read_value(piece.text)
            text, value = piece.text, self._values[index]
            for edit in edits:
                text, value = edited_text(text, value, edit, is_json=piece.is_json)
        except Refused:
            return None
        if text == piece.text:
            return None
        start, end, inserted = _difference(piece.text, text)
        place = self._lines.place(piece.start + start)
        return (*place, *self._lines.place(piece.start + end)), inserted


def _difference(before: str, after: str) -> tuple[int, int, str]:
    """Return the offsets of what differs in a text, from the begin of its line, and what stands there after."""
    shortest = min(len(before), len(after))
    start = 0
    while start < shortest and before[start] == after[start]:
        start += 1
    tail = 0
    while tail < shortest - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    # Whole lines, where lines come in: an editor shows them as they are.
    start = max(before.rfind("\n", 0, start), before.rfind("\r", 0, start)) + 1
    return start, len(before) - tail, after[start : len(after) - tail]
