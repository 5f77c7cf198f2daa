"""Places in a document as editors count them: lines from 0, columns in code units, as agreed with the editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol.types import Position, PositionEncodingKind, Range, TextEdit

from tidewaiter.cli.editor.edits import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = "\ufeff"
_LARGE = 20_000


class Places:
    """The places of one text in one encoding."""

    def __init__(self, text: str, encoding: PositionEncodingKind | str) -> None:
        """Split the text, whose columns count without a byte order mark."""
        self.lines = split_lines(text)
        self._encoding = encoding
        self._shift = 1 if text.startswith(_MARK) else 0

    def span(self, line: int, column: int, end_line: int, end_column: int) -> Range:
        """Turn lines and columns in characters from 1, the end exclusive, into a range; one that is empty reaches one character."""
        if (end_line, end_column) <= (line, column):
            end_line, end_column = line, column + 1
        return Range(self._position(line, column), self._position(end_line, end_column))

    def rest_of_line(self, line: int, column: int) -> Range:
        """Return the range from a place to the end of its line."""
        return self.span(line, column, line, max(len(self._body(line)) + 1, column + 1))

    def character(self, position: Position) -> int:
        """Return the index in its line's characters of a position."""
        body = self._body(position.line + 1, shifted=False)
        units = 0
        for index, char in enumerate(body):
            if units >= position.character:
                return index
            units += self._units(char)
        return len(body)

    def edits(self, new: str) -> list[TextEdit]:
        """Return the edits of whole lines that make another text of this one."""
        after = split_lines(new)
        return [
            TextEdit(
                Range(self._line_start(first), self._line_start(last)), "".join(after[low:high])
            )
            for first, last, low, high in _changes(self.lines, after)
        ]

    def _line_start(self, index: int) -> Position:
        if index < len(self.lines) or not self.lines or self.lines[-1][-1:] in "\r\n":
            return Position(index, 0)
        return Position(index - 1, self._width(self.lines[-1]))

    def _position(self, line: int, column: int) -> Position:
        body = self._body(line, shifted=False)
        at = column - 1 + (self._shift if line == 1 else 0)
        return Position(line - 1, self._width(body[:at]))

    def _body(self, line: int, *, shifted: bool = True) -> str:
        body = self.lines[line - 1].rstrip("\r\n") if 0 < line <= len(self.lines) else ""
        return body[self._shift :] if shifted and line == 1 else body

    def _width(self, text: str) -> int:
        if text.isascii():
            return len(text)
        return sum(map(self._units, text))

    def _units(self, char: str) -> int:
        if self._encoding == PositionEncodingKind.Utf8:
            return len(char.encode("utf-8", "surrogatepass"))
        if self._encoding == PositionEncodingKind.Utf32:
            return 1
        return 2 if ord(char) > 0xFFFF else 1


def _changes(before: list[str], after: list[str]) -> Iterator[tuple[int, int, int, int]]:
    if before == after:
        return
    if len(before) > _LARGE:
        yield 0, len(before), 0, len(after)
        return
    from difflib import SequenceMatcher

    for tag, first, last, low, high in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            yield first, last, low, high
