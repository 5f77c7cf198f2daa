"""Which line of a template each rendered line comes from: marks that travel through the template engine.

A mark is put behind the text of each line of a template, the template is rendered with it, and the marks are taken
out of the result. What Go's template engine does with white space beside `{{-` and `-}}` must not change by that:
a mark stands only where such trimming ends anyway, behind a character that is no white space or behind an action
that trims nothing. Text inside `define` is left alone where it may be cut, hashed or compared before it is printed.
https://pkg.go.dev/text/template#hdr-Text_and_spaces
"""

from __future__ import annotations

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPEN, CLOSE = "\ue000", "\ue001"
"""Characters of Unicode's private use area, which no manifest has."""
_OPENING = frozenset({"if", "range", "with", "define", "block"})


@record
class Line:
    """A line of a template: the number of its file among those marked, and its own from 1."""

    file: int
    line: int


@record
class Piece:
    """A part of a template from `start` to `end`: text, or an action with its braces.

    `trims_left` and `trims_right` say of an action that it removes the white space before or behind it; `is_defined`
    that the piece stands inside a `define` or `block`.
    """

    start: int
    end: int
    is_action: bool
    trims_left: bool = False
    trims_right: bool = False
    is_defined: bool = False


def marked(text: str, file: int, *, definitions: bool) -> str:
    """Return a template with a mark on each line; `definitions` marks what stands inside `define` too.

    A text that has such characters itself comes back as it is.
    """
    if OPEN in text or CLOSE in text:
        return text
    result: list[str] = []
    line = 1
    before: Piece | None = None
    for piece in pieces(text):
        source = text[piece.start : piece.end]
        if piece.is_action or (piece.is_defined and not definitions):
            result.append(source)
        else:
            result += _marked_text(source, file, line, before)
        line += source.count("\n")
        before = piece
    return "".join(result)


def unmarked(text: str) -> tuple[str, list[Line | None]]:
    """Return a rendered text without its marks, and for each of its lines where it comes from.

    A line without a mark of its own is a part of what an action printed: it comes from where the next mark is.
    """
    clean: list[str] = []
    lines: list[Line | None] = []
    for row in text.split("\n"):
        first, *rest = row.split(OPEN)
        found: Line | None = None
        parts = [first]
        for part in rest:
            number, closed, after = part.partition(CLOSE)
            file, _, line = number.partition(":")
            if closed and file.isdigit() and line.isdigit():
                found = found or Line(int(file), int(line))
                parts.append(after)
            else:  # an action cut the mark in two
                parts.append(part)
        clean.append("".join(parts))
        lines.append(found)
    following: Line | None = None
    for index in range(len(lines) - 1, -1, -1):
        if lines[index] is None:
            lines[index] = following
        following = lines[index]
    return "\n".join(clean), lines


def pieces(text: str) -> Iterator[Piece]:
    """Yield the text and the actions of a template, in order and without gaps."""
    blocks: list[str] = []
    place = 0
    while place < len(text):
        opening = text.find("{{", place)
        is_defined = "define" in blocks
        if opening < 0:
            yield Piece(place, len(text), is_action=False, is_defined=is_defined)
            return
        if opening > place:
            yield Piece(place, opening, is_action=False, is_defined=is_defined)
        end = _end_of_action(text, opening)
        inside = text[opening + 2 : end - 2]
        trims_left = inside.startswith("-") and inside[1:2].isspace()
        trims_right = inside.endswith("-") and inside[-2:-1].isspace()
        yield Piece(opening, end, True, trims_left, trims_right, is_defined)
        _follow(blocks, inside.strip("-").strip())
        place = end


def action_text(text: str, piece: Piece) -> str:
    """Return what an action says, without its braces and dashes."""
    return text[piece.start + 2 : piece.end - 2].strip("-").strip()


def _marked_text(source: str, file: int, line: int, before: Piece | None) -> Iterator[str]:
    rows = source.split("\n")
    for index, row in enumerate(rows):
        mark = f"{OPEN}{file}:{line + index}{CLOSE}"
        text = row.rstrip()
        is_last = index == len(rows) - 1
        if text:
            yield text + mark + row[len(text) :]
        elif index == 0 and before is not None and not before.trims_right and not is_last:
            # The end of a line behind an action, which keeps its white space.
            yield mark + row
        else:
            yield row
        if not is_last:
            yield "\n"


def _end_of_action(text: str, opening: int) -> int:
    """Return where the action that opens here is closed, past any string in it; the end of text if nowhere."""
    place = opening + 2
    if text.startswith(("/*", "- /*"), place):
        end = text.find("*/", place)
        place = end + 2 if end >= 0 else len(text)
    while place < len(text):
        character = text[place]
        if text.startswith("}}", place):
            return place + 2
        if character in "\"'`":
            place = _end_of_string(text, place)
        else:
            place += 1
    return len(text)


def _end_of_string(text: str, opening: int) -> int:
    quote = text[opening]
    place = opening + 1
    while place < len(text) and text[place] != quote:
        if quote != "`" and text[place] == "\n":
            return place  # no string: Go would refuse it
        place += 2 if text[place] == "\\" and quote != "`" else 1
    return place + 1


def _follow(blocks: list[str], action: str) -> None:
    word = action.split(None, 1)[0] if action else ""
    if word in _OPENING:
        blocks.append("define" if word in {"define", "block"} else word)
    elif word == "end" and blocks:
        blocks.pop()


def lines_of(rendered: str, clean: str, lines: Sequence[Line | None]) -> list[Line | None]:
    """Return where each line of a rendered text comes from, given its marked twin's text and lines.

    Where the twin differs (an action measured or hashed a marked text) lines are paired by what they say.
    """
    own, other = rendered.split("\n"), clean.split("\n")
    if len(own) == len(other):
        return list(lines)
    from difflib import SequenceMatcher

    found: list[Line | None] = [None] * len(own)
    for block in SequenceMatcher(None, own, other, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            found[block.a + offset] = lines[block.b + offset]
    following: Line | None = None
    for index in range(len(found) - 1, -1, -1):
        found[index] = found[index] or following
        following = found[index]
    return found
