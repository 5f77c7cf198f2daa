"""Comments that silence a finding: `# tidewaiter: ignore[rule-a,rule-b] reason`.

Behind a value such a comment covers the findings on its line. On a line of its own it covers the field
or list item that begins on the next line, with everything below it; above a document's first field it
covers the document. Inside quoted and block texts nothing is a comment.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tidewaiter.rules.loading.documents import IGNORE_MARK
from tidewaiter.rules.loading.outline import Branch, extent_of
from tidewaiter.rules.loading.text import next_line
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.loading.positions import Positions


@record
class CommentIgnore:
    """One ignore comment: its line, the rules that it names, its reason, empty where it gives none.

    It covers the findings located from `first_line` to `last_line`. `problem` is one sentence about a
    comment that could not be understood, which then covers nothing, else empty. It stands from
    `column` to before `end_column`. Lines and columns count from 1.
    """

    line: int
    rules: tuple[str, ...]
    reason: str
    first_line: int
    last_line: int
    problem: str
    positions: Positions
    column: int
    end_column: int

    @property
    def is_elsewhere(self) -> bool:
        """False: it stands in the text that the findings are on."""
        return False

    def covers(self, pointer: str) -> bool:
        """Tell whether a finding at this JSON pointer into the document is silenced."""
        return self.covers_line(self.positions.at(pointer).line)

    def covers_line(self, line: int) -> bool:
        """Tell whether a finding on this line of the file is silenced."""
        return not self.problem and self.first_line <= line <= self.last_line


def comment_ignores(positions: Positions) -> tuple[CommentIgnore, ...]:
    """Find the ignore comments of a document, in order."""
    text = positions.piece.text
    blocks = _Blocks(positions)
    found = []
    at = text.find(IGNORE_MARK)
    while at >= 0:
        start = _comment_start(positions, at)
        if start is not None and not text[start + 1 : at].strip("# \t"):
            found.append(_read_comment(text, start, at + len(IGNORE_MARK), positions, blocks))
        at = text.find(IGNORE_MARK, at + 1)
    return tuple(found)


def _comment_start(positions: Positions, at: int) -> int | None:
    """Offset of the `#` of the comment in which `at` stands, None where it stands in none."""
    text, quoted = positions.piece.text, positions.outline.quoted
    line_start = _line_start(positions, at)
    hash_at = text.find("#", line_start, at)
    while hash_at >= 0:
        if (hash_at == line_start or text[hash_at - 1] in " \t") and not _inside(hash_at, quoted):
            return hash_at
        hash_at = text.find("#", hash_at + 1, at)
    return None


def _line_start(positions: Positions, at: int) -> int:
    column = positions.lines.place(positions.piece.start + at)[1]
    return max(at - column + 1, 0)


def _inside(offset: int, extents: list[tuple[int, int]]) -> bool:
    """Tell whether an offset is within one of the extents, which are in order."""
    before = bisect_right(extents, (offset, len(extents) + offset + 1)) - 1
    return before >= 0 and extents[before][0] <= offset < extents[before][1]


def _read_comment(
    text: str, start: int, after: int, positions: Positions, blocks: _Blocks
) -> CommentIgnore:
    comment = text[start : next_line(text, after)].rstrip()
    rules, reason, problem = _parse(text[after : start + len(comment)].strip())
    line, column = positions.lines.place(positions.piece.start + start)
    first = last = line
    if not text[_line_start(positions, start) : start].strip(" \t-"):
        first, last = blocks.below(next_line(text, start))
    end_column = column + len(comment)
    return CommentIgnore(line, rules, reason, first, last, problem, positions, column, end_column)


def _parse(content: str) -> tuple[tuple[str, ...], str, str]:
    """Read `ignore[rule-a,rule-b] reason`: rules, reason, and what is wrong with it."""
    verb, bracket, rest = content.partition("[")
    names, closing, reason = rest.partition("]")
    if verb.strip() != "ignore":
        return (), "", f"'{content}' is not 'ignore[RULE] reason'"
    if not bracket or not closing:
        return (), "", "an ignore comment names its rules in brackets: ignore[RULE] reason"
    rules = tuple(name.strip() for name in names.split(",") if name.strip())
    if not rules:
        return (), reason.strip(), "an ignore comment names at least one rule: ignore[RULE] reason"
    return rules, reason.strip().lstrip(":-").strip(), ""


class _Blocks:
    """The fields and list items of a document by where they begin, outer ones first."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._text = positions.piece.text
        self._extents: list[tuple[int, int]] | None = None
        self._content_at = -1

    def below(self, start: int) -> tuple[int, int]:
        """First and last line of what begins on the first line of content from `start` on."""
        if start > self._content_at:
            self._content_at = self._next_content(start)
        start = self._content_at
        end = next_line(self._text, start)
        if self._extents is None:
            self._extents = _all_extents(self._positions.outline.root)
        base = self._positions.piece.start
        number = bisect_left(self._extents, (start, 0))
        if number < len(self._extents) and self._extents[number][0] < end:
            # Extents that begin together are ordered by their ends; the largest is the outermost.
            begin = self._extents[number][0]
            extent = self._extents[bisect_left(self._extents, (begin + 1, 0)) - 1]
            first = self._positions.lines.place(base + begin)[0]
            return first, self._positions.span(extent, exact=True).end_line
        line = self._positions.lines.place(base + start)[0]
        return line, line

    def _next_content(self, at: int) -> int:
        """Offset of the first line from `at` on that is neither blank nor a comment."""
        while at < len(self._text):
            end = next_line(self._text, at)
            content = self._text[at:end].strip()
            if content and content[0] != "#":
                break
            at = end
        return at


def _all_extents(root: Any) -> list[tuple[int, int]]:
    """Where each field and item begins and ends; the root counts where its first field begins."""
    found: list[tuple[int, int]] = []
    if isinstance(root, Branch) and not root.is_list and root.head:
        found.append((root.head[0], root.end))
    pending = [root]
    while pending:
        node = pending.pop()
        if not isinstance(node, Branch):
            continue
        for item in node.items:
            begin = item.head[0] if isinstance(item, Branch) and item.head else extent_of(item)[0]
            found.append((begin, extent_of(item)[1]))
        for key, value in node.members.values():
            found.append((key[0], max(key[1], extent_of(value)[1])))
        if node.merged:
            found.append(node.merged[0])
        pending.extend(node.items)
        pending.extend(value for _, value in node.members.values())
    found.sort()
    return found
