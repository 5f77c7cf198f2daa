"""An expression's text, cut into tokens.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.cel.values import MOST_UINT, Uint

KEYWORDS = {"true": True, "false": False, "null": None}
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


class Token(NamedTuple):
    """kind: name, field (in backquotes), value, operator or end. text: as written. value: of a literal."""

    kind: str
    text: str
    offset: int
    value: Any = None


_SPACE = re.compile(r"(?:[ \t\r\n\f]|//[^\n]*)+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r"([rR]?[bB]?|[bB]?[rR]?)(\"\"\"|'''|\"|')")
_NUMBER = re.compile(
    r"(?P<hex>0[xX][0-9a-fA-F]+)(?P<hu>[uU]?)|(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<int>\d+)(?P<iu>[uU]?)"
)
_OPERATOR = re.compile(r"&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}=]")
_FIELD = re.compile(r"`([A-Za-z0-9_.\-/ ]+)`")


def tokens(source: str) -> list[Token]:
    """Return an expression's tokens, the last of kind `end`.

    Raises ExpressionError for text that no token begins with, and for unfinished or wrong literals.
    """
    found: list[Token] = []
    offset = 0
    while True:
        if space := _SPACE.match(source, offset):
            offset = space.end()
        if offset >= len(source):
            found.append(Token("end", "", offset))
            return found
        token = _token(source, offset)
        found.append(token)
        offset = token.offset + len(token.text)


def _token(source: str, offset: int) -> Token:
    if opening := _STRING.match(source, offset):
        return _string(source, offset, opening[1].lower(), opening[2])
    if name := _NAME.match(source, offset):
        text = name[0]
        if text in KEYWORDS:
            return Token("value", text, offset, KEYWORDS[text])
        return Token("operator" if text == "in" else "name", text, offset)
    if (number := _NUMBER.match(source, offset)) and (source[offset] != "." or number["float"]):
        return _number(number, offset)
    if field := _FIELD.match(source, offset):
        return Token("field", field[0], offset, field[1])
    if operator := _OPERATOR.match(source, offset):
        return Token("operator", operator[0], offset)
    raise ExpressionError(f"unexpected {source[offset]!r}", offset)


def _number(match: re.Match[str], offset: int) -> Token:
    text = match[0]
    if match["float"] is not None:
        return Token("value", text, offset, float(text))
    digits = match["hex"] or match["int"]
    number = int(digits, 16) if match["hex"] else int(digits)
    if match["hu"] or match["iu"]:
        if number > MOST_UINT:
            raise ExpressionError(f"{text} is too large for an unsigned integer", offset)
        return Token("value", text, offset, Uint(number))
    if number > 2**63:  # 2**63 itself may follow a minus; the parser looks
        raise ExpressionError(f"{text} is too large for an integer", offset)
    return Token("value", text, offset, number)


_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SIMPLE |= {sign: sign for sign in "\\?\"'`"}
_CODES = {"x": 2, "X": 2, "u": 4, "U": 8}


def _string(source: str, offset: int, prefix: str, quote: str) -> Token:
    raw, as_bytes = "r" in prefix, "b" in prefix
    at = offset + len(prefix) + len(quote)
    out = bytearray()
    while True:
        if at >= len(source) or (len(quote) == 1 and source[at] in "\r\n"):
            raise ExpressionError("a string without its closing quote", offset)
        if source.startswith(quote, at):
            end = at + len(quote)
            value = bytes(out) if as_bytes else out.decode("utf-8", "surrogatepass")
            return Token("value", source[offset:end], offset, value)
        if source[at] == "\\" and not raw:
            piece, at = _escape(source, at, as_bytes=as_bytes)
            out += piece
        else:
            out += source[at].encode("utf-8", "surrogatepass")
            at += 1


def _escape(source: str, at: int, *, as_bytes: bool) -> tuple[bytes, int]:
    """Return what a backslash and the characters behind it mean, and where they end."""
    sign = source[at + 1 : at + 2]
    if sign in _SIMPLE and sign:
        return _SIMPLE[sign].encode(), at + 2
    if sign in _CODES and sign and not (as_bytes and sign in "uU"):
        digits, base = source[at + 2 : at + 2 + _CODES[sign]], 16
        size, whole = 2 + _CODES[sign], _CODES[sign]
    elif sign and sign in "0123":
        digits, base, size, whole = source[at + 1 : at + 4], 8, 4, 3
    else:
        raise ExpressionError(f"unknown escape \\{sign}", at)
    try:
        code = int(digits, base) if len(digits) == whole and digits.isalnum() else -1
    except ValueError:
        code = -1
    if code < 0 or code > 0x10FFFF or (0xD800 <= code <= 0xDFFF and not as_bytes):
        raise ExpressionError(f"\\{sign}{digits} is no character", at)
    return (bytes([code]) if as_bytes and code < 256 else chr(code).encode("utf-8")), at + size
