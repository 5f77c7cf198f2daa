"""Functions on strings: charAt(), indexOf(), join(), replace(), split(), substring(), trim(), format() and their kin.

Positions count code points. https://pkg.go.dev/github.com/google/cel-go/ext#Strings
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cel.function import Overload
from tidewaiter.rules.cel.library.formatting import format_text, quoted
from tidewaiter.rules.cel.types import DYN, INT, STRING, Type, list_of
from tidewaiter.rules.cel.values import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 10_000_000
"""Characters that a function gives at most; beyond, an expression has no value."""
_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TO_LOWER = str.maketrans(_UPPER, _UPPER.lower())
_TO_UPPER = str.maketrans(_UPPER.lower(), _UPPER)


def _out_of_range(place: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {place}")


def _char_at(text: str, place: int) -> str:
    if not 0 <= place <= len(text):
        raise _out_of_range(place)
    return text[place : place + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if start < 0:
        raise _out_of_range(start)
    return min(start, len(text)) if not part else text.find(part, start)


def _last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


def _last_index_before(text: str, part: str, last: int) -> int:
    if last < 0:
        raise _out_of_range(last)
    if not part:
        return min(last, len(text))
    return text.rfind(part, 0, last + len(part)) if last < len(text) else -1


def _join(parts: list[Any], separator: str = "") -> str:
    for each in parts:
        if not isinstance(each, str):
            raise EvaluationError("join() takes a list of strings")
    return _bounded(separator.join(parts))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    if len(text) * max(len(new), 1) > 100 * LONGEST:
        raise EvaluationError("the text is too long")
    return _bounded(text.replace(old, new, -1 if count < 0 else count))


def _bounded(text: str) -> str:
    if len(text) > LONGEST:
        raise EvaluationError("the text is too long")
    return text


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if not separator:
        limit = len(text) if count < 0 else min(count, len(text))
        return [*text[: max(limit - 1, 0)], text[max(limit - 1, 0) :]] if limit else []
    return text.split(separator, -1 if count < 0 else count - 1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if start > end and 0 <= start <= len(text):
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for place in (start, end):
        if not 0 <= place <= len(text):
            raise _out_of_range(place)
    return text[start:end]


def _cost(text: Any, *_: Any) -> int:
    """Return what going through a text or a list costs: a tenth of its length."""
    return -(-len(text) // 10)


def _member(
    name: str, parameters: tuple[Type, ...], result: Type, run: Callable[..., Any]
) -> Overload:
    return Overload(name, parameters, result, run, member=True, cost=_cost)


_TEXTS = list_of(STRING)

FUNCTIONS: tuple[Overload, ...] = (
    _member("charAt", (STRING, INT), STRING, _char_at),
    _member("indexOf", (STRING, STRING), INT, _index_of),
    _member("indexOf", (STRING, STRING, INT), INT, _index_of),
    _member("lastIndexOf", (STRING, STRING), INT, _last_index_of),
    _member("lastIndexOf", (STRING, STRING, INT), INT, _last_index_before),
    _member("join", (_TEXTS,), STRING, _join),
    _member("join", (_TEXTS, STRING), STRING, _join),
    _member("lowerAscii", (STRING,), STRING, lambda text: text.translate(_TO_LOWER)),
    _member("upperAscii", (STRING,), STRING, lambda text: text.translate(_TO_UPPER)),
    _member("replace", (STRING, STRING, STRING), STRING, _replace),
    _member("replace", (STRING, STRING, STRING, INT), STRING, _replace),
    _member("split", (STRING, STRING), _TEXTS, _split),
    _member("split", (STRING, STRING, INT), _TEXTS, _split),
    _member("substring", (STRING, INT), STRING, _substring),
    _member("substring", (STRING, INT, INT), STRING, _substring),
    _member("trim", (STRING,), STRING, lambda text: text.strip(_SPACE)),
    _member("format", (STRING, list_of(DYN)), STRING, format_text),
    Overload("strings.quote", (STRING,), STRING, quoted, cost=_cost),
)
