"""The fingerprint of a line by which GitHub's code scanning follows an alert.

It is a hash of the 100 characters that begin at the line, blanks left out, and the number of lines up to this
one with the same hash. GitHub's upload action computes it for files that have none and complains of any
other; who uploads by the API must bring it. The hash is that of the action's `fingerprints.ts`: a polynomial
in 37 over UTF-16 code units, modulo 2**64, with U+FFFF at the end of the file and zeros behind it.
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning#data-for-preventing-duplicated-alerts
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_BLOCK = 100
_FACTOR = 37
_END = "\uffff"
_WORD = 1 << 64


def line_hashes(text: str, wanted: Iterable[int]) -> dict[int, str]:
    """Return the fingerprint of each wanted line, counted from 1, that the text has."""
    squeezed = text.replace("\r\n", "\n").replace("\r", "\n").replace(" ", "").replace("\t", "")
    squeezed = _code_units(squeezed) + _END
    lines = set(wanted)
    last = max(lines, default=0)
    counts: dict[str, int] = {}
    found: dict[int, str] = {}
    start = 0
    for line in range(1, last + 1):
        block = squeezed[start : start + _BLOCK]
        number = counts[block] = counts.get(block, 0) + 1
        if line in lines:
            found[line] = f"{_hash(block):x}:{number}"
        start = squeezed.find("\n", start) + 1
        if not start:
            break
    return found


def _hash(block: str) -> int:
    value = 0
    for character in block:
        value = value * _FACTOR + ord(character)
    return value * pow(_FACTOR, _BLOCK - len(block), _WORD) % _WORD


def _code_units(text: str) -> str:
    """Return a text with each character beyond U+FFFF as the two units that UTF-16 has for it."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(low | high << 8) for low, high in zip(units[::2], units[1::2], strict=True))
