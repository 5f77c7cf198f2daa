"""A source line with carets under a part of it, fit for a terminal."""

from __future__ import annotations

_WIDTH = 100
"""Columns of a source line that are shown at most."""
_BEFORE = 30
"""Columns kept before the carets where a line is cut on its left."""
_TAB = "    "
_CUT = "…"


def excerpt(source: str, column: int, end_column: int) -> tuple[str, str]:
    """Return a line and the carets under characters `column` up to `end_column` (exclusive, from 1).

    A tab takes four columns, a wide character two and a combining one none; what cannot be printed is
    escaped. A long line is cut around the carets. There is always at least one caret.
    """
    source = source.rstrip()
    start = min(max(column - 1, 0), len(source))
    if len(source) <= _WIDTH and source.isascii() and source.isprintable():
        return source, " " * start + "^" * max(min(end_column - 1, len(source)) - start, 1)
    # A line may hold a whole minified file: look no further than what can be shown.
    skipped = start - _WIDTH if start > 2 * _WIDTH else 0
    cells = [_cell(character) for character in source[skipped : start + 2 * _WIDTH]]
    is_cut = len(source) - skipped > len(cells)
    start -= skipped
    end = max(min(end_column - 1 - skipped, len(cells)), start)
    first = 0
    if skipped or sum(width for _, width in cells[:end]) > _WIDTH:
        before = 0
        first = start
        while first > 0 and before + cells[first - 1][1] <= _BEFORE:
            first -= 1
            before += cells[first][1]
    last, used = first, 0
    while last < len(cells) and used + cells[last][1] <= _WIDTH:
        used += cells[last][1]
        last += 1
    text = "".join(shown for shown, _ in cells[first:last])
    pad = sum(width for _, width in cells[first:start])
    carets = sum(width for _, width in cells[start : min(end, last)])
    if first or skipped:
        text, pad = _CUT + text, pad + 1
    if last < len(cells) or is_cut:
        text += _CUT
    return text, " " * pad + "^" * max(carets, 1)


def printable(text: str) -> str:
    """Return a text on one line in which every character can be printed as it is.

    Surrogates that stand for the bytes of a file name outside UTF-8 are kept, to be written as those.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or "\udc80" <= character <= "\udcff"
        else _escape(character)
        for character in text
    )


def _cell(character: str) -> tuple[str, int]:
    """Return how a character is shown and how many columns that takes."""
    if character == "\t":
        return _TAB, len(_TAB)
    if not character.isprintable():
        escaped = _escape(character)
        return escaped, len(escaped)
    if character.isascii():
        return character, 1
    from unicodedata import combining, east_asian_width

    if combining(character):
        return character, 0
    return character, 2 if east_asian_width(character) in {"W", "F"} else 1


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
