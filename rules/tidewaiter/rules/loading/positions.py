"""The line and column of anything in a manifest, computed only where a finding needs them.

A JSON pointer (RFC 6901) that points at a scalar or at a mapping or list in braces or brackets is
placed at the value; one that points at an indented mapping or list is placed at its key, or for a list
item at the item's first key. A field that is missing is placed at the key of the nearest ancestor that
is there. What an alias or a merge key brings in is placed at the alias or the `<<`.
"""

from __future__ import annotations

from tidewaiter.rules.loading.outline import Branch, Outline, Reference, extent_of, outline
from tidewaiter.rules.loading.pieces import pieces
from tidewaiter.rules.loading.text import LineIndex, decode
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.loading.outline import Extent
    from tidewaiter.rules.loading.pieces import Piece


@record
class Span:
    """A part of a file: lines and columns count from 1, columns in characters, the end exclusive.

    `exact` is true where the span is that of the thing asked for and not of an ancestor.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    exact: bool


class Locator:
    """Finds positions in one file; it reads each document again at most once."""

    def __init__(self, data: bytes) -> None:
        """Take the content of a file that `load_documents` has read. Raises InputError as it does."""
        self._text = decode(data)
        self._pieces = pieces(self._text)
        self._lines: LineIndex | None = None
        self._found: dict[int, Positions] = {}

    def document(self, index: int) -> Positions:
        """Return the positions in the document of that index, as `Document.index` counts."""
        found = self._found.get(index)
        if found is None:
            if self._lines is None:
                self._lines = LineIndex(self._text)
            piece = self._pieces[index]
            found = self._found[index] = Positions(
                piece, outline(piece.text, is_json=piece.is_json), self._lines
            )
        return found

    def source_lines(self) -> list[str]:
        """Return the file's lines without their ends, as positions count them."""
        return self._text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def locate(data: bytes, document_index: int) -> Positions:
    """Return the positions in one document of a file; for several documents keep a Locator."""
    return Locator(data).document(document_index)


class Positions:
    """Where everything in one document stands."""

    def __init__(self, piece: Piece, found: Outline, lines: LineIndex) -> None:
        """Put an outline's offsets into the file's lines."""
        self.piece = piece
        self.outline = found
        self.lines = lines

    def at(self, pointer: str) -> Span:
        """Place what a JSON pointer points at, or the nearest ancestor's key where it is missing."""
        node = self.outline.root
        label: Extent | None = None
        parts = pointer.split("/")[1:]
        for number, part in enumerate(parts):
            if isinstance(node, Reference):
                return self.span(extent_of(node), exact=_reaches(node.target, parts[number:]))
            step = _step(node, part)
            if step is None:
                if isinstance(node, Branch) and node.merged:
                    extent, target = node.merged
                    if _reaches_merged(target, parts[number:]):
                        return self.span(extent, exact=True)
                return self.span(label or _head(node), exact=False)
            label, node = step
        if isinstance(node, Branch):
            place = extent_of(node) if node.flow else label or _head(node)
        else:
            place = extent_of(node) if node is not None else (0, 0)
            if place[0] == place[1] and label:
                place = label
        return self.span(place, exact=True)

    def lines_of(self, prefix: str) -> tuple[int, int]:
        """Return the first and last line of the document, or of the object in it at a JSON pointer."""
        start, end = 0, len(self.piece.text)
        node = self.outline.root
        for part in prefix.split("/")[1:]:
            step = _step(node, part)
            if step is None:
                break
            if isinstance(node, Branch) and node.is_list:
                start, end = _item_extent(node, int(part), end)
            node = step[1]
        while end > start and self.piece.text[end - 1] in "\r\n":
            end -= 1
        return self.lines.place(self.piece.start + start)[0], self.lines.place(
            self.piece.start + end
        )[0]

    def span(self, extent: Extent, *, exact: bool) -> Span:
        """Turn offsets in the document into lines and columns of the file."""
        line, column = self.lines.place(self.piece.start + extent[0])
        end_line, end_column = self.lines.place(self.piece.start + extent[1])
        return Span(line, column, end_line, end_column, exact)


def _item_extent(node: Branch, index: int, end: int) -> Extent:
    """Return the offsets of a list's item; in an indented list it ends before the next one or at `end`."""
    own = extent_of(node.items[index])
    if isinstance(node.items[index], Branch) and node.items[index].flow:
        return own
    following = node.items[index + 1 :][:1]
    # The next item's dash and indentation stand before it, on its own line.
    return own[0], extent_of(following[0])[0] - 1 if following else end


def _step(node: Any, part: str) -> tuple[Extent, Any] | None:
    """Go down by one part of a pointer: what names the child, and the child."""
    if not isinstance(node, Branch):
        return None
    if node.is_list:
        if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(node.items):
            child = node.items[int(part)]
            return _head(child), child
        return None
    return node.members.get(part.replace("~1", "/").replace("~0", "~"))


def _head(node: Any) -> Extent:
    """What names a value that has no key of its own: its first key, or all of it."""
    while isinstance(node, Branch) and not node.flow:
        if node.is_list and node.items:
            node = node.items[0]
        elif node.head:
            return node.head
        else:
            break
    return extent_of(node) if node is not None else (0, 0)


def _reaches(node: Any, parts: list[str]) -> bool:
    """Tell whether the rest of a pointer leads to something below an alias's target."""
    for number, part in enumerate(parts):
        while isinstance(node, Reference):
            node = node.target
        step = _step(node, part)
        if step is None:
            merged = node.merged if isinstance(node, Branch) else None
            return merged is not None and _reaches_merged(merged[1], parts[number:])
        node = step[1]
    return True


def _reaches_merged(target: Any, parts: list[str]) -> bool:
    if isinstance(target, Branch) and target.is_list:
        return any(_reaches(item, parts) for item in target.items)
    return _reaches(target, parts)
