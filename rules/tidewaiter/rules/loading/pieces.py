"""Where the documents of a file begin and end, before any of them is parsed.

A line that begins with `---` or `...` always ends a document, inside quotes and block texts too
(https://yaml.org/spec/1.2.2/#912-document-markers). So a file can be cut up first, and one broken
document loses neither those before nor those behind it.
"""

from __future__ import annotations

from tidewaiter.rules.loading.limits import DEFAULT_LIMITS
from tidewaiter.rules.loading.text import line_ends, next_line
from tidewaiter.rules.record import record


@record
class Piece:
    """One document: `text` begins at the offset `start` of the file's text and line `line` (from 1).

    `is_json` is true where the document is one whole JSON value.
    """

    text: str
    start: int
    line: int
    is_json: bool = False


def pieces(text: str) -> list[Piece]:
    """Cut a text into its documents; what holds only comments and directives is none."""
    if "---" not in text and "..." not in text:
        cut = [Piece(text, 0, 1)]
    else:
        cut = _cut(text)
    found = []
    for piece in cut:
        if piece.text.lstrip()[:1] in {"{", "["}:
            found.extend(_json_values(piece) or [piece])
        else:
            found.append(piece)
    return found


def _cut(text: str) -> list[Piece]:
    found = []
    start, line = 0, 1
    for at in [*_markers(text), len(text)]:
        if at == start:
            continue
        piece = text[start:at]
        if at < len(text) and text[at] == "-" and _is_preamble(piece):
            continue
        if not _is_preamble(piece) or piece.startswith("---"):
            found.append(Piece(piece, start, line))
        line += line_ends(piece)
        start = at
    return found


def _markers(text: str) -> list[int]:
    """Offsets at which a document ends, in order; a `...` line itself belongs to the document.

    Far beyond the limit on documents the rest of the text is left in one piece.
    """
    found: list[int] = []
    known_to = len(text)
    for marker in ("---", "..."):
        before = len(found)
        at = text.find(marker)
        while at >= 0:
            if (at == 0 or text[at - 1] in "\n\r") and text[at + 3 : at + 4] in _AFTER_MARKER:
                found.append(at if marker == "---" else next_line(text, at))
                if len(found) - before > DEFAULT_LIMITS.documents + 1:
                    known_to = min(known_to, at)
                    break
            at = text.find(marker, at + 3)
    return sorted(offset for offset in found if offset <= known_to)


_AFTER_MARKER = frozenset({"", " ", "\t", "\n", "\r"})


def _is_preamble(piece: str) -> bool:
    """Tell whether there are only comments, blank lines, directives and `...` before a `---`."""
    at = 0
    while at < len(piece):
        end = next_line(piece, at)
        content = piece[at:end].strip()
        if content and content[0] not in "#%" and content != "...":
            return False
        at = end
    return True


def _json_values(piece: Piece) -> list[Piece]:
    """Cut a stream of JSON values such as `kubectl get -o json` prints; empty where it is none."""
    from tidewaiter.rules.loading.json_text import value_ends

    found = []
    start, line = 0, piece.line
    for end in value_ends(piece.text):
        part = piece.text[start:end]
        found.append(Piece(part, piece.start + start, line, is_json=True))
        line += line_ends(part)
        start = end
    return found
