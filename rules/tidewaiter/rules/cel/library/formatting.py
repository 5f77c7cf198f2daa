"""`"%s has %d".format([name, count])`: the clauses of cel-go's string formatting.

https://pkg.go.dev/github.com/google/cel-go/ext#Strings
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cel.library.conversions import double_text
from tidewaiter.rules.cel.library.times import duration_text, timestamp_text
from tidewaiter.rules.cel.values import (
    CannotBeKnown,
    Duration,
    EvaluationError,
    Timestamp,
    TypeValue,
    Uint,
    Unknown,
    type_of_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLAUSE = re.compile(r"%(?:%|(?:\.(\d+))?([sdfebxXo]))")
_MOST_PRECISION = 100
_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}
_ESCAPES |= {"\\": r"\\", '"': r"\""}


def quoted(text: str) -> str:
    """Return a text in double quotes, as a literal of the language."""
    return '"' + "".join(_ESCAPES.get(sign, sign) for sign in text) + '"'


def clauses(template: str) -> Iterator[tuple[str, int | None, tuple[int, int]]]:
    """Yield each clause of a template: its letter, its precision, and where it begins and ends.

    Raises EvaluationError for one that there is not.
    """
    place = 0
    while (found := template.find("%", place)) >= 0:
        clause = _CLAUSE.match(template, found)
        if clause is None:
            raise EvaluationError(f"unrecognized formatting clause {template[found : found + 2]!r}")
        place = clause.end()
        if clause[2]:
            precision = int(clause[1]) if clause[1] else None
            if precision is not None and precision > _MOST_PRECISION:
                raise EvaluationError(f"precision {precision} is above {_MOST_PRECISION}")
            yield clause[2], precision, clause.span()


def format_text(template: str, values: list[Any]) -> str:
    """Return a template with its clauses filled in by the values, in order. Raises EvaluationError."""
    rest = iter(values)
    parts: list[str] = []
    place = 0
    for letter, precision, (begin, end) in clauses(template):
        value = next(rest, _NONE)
        if value is _NONE:
            raise EvaluationError(f"index {len(values)} out of range")
        if type(value) is Unknown:
            raise CannotBeKnown(value.what)
        parts += (template[place:begin].replace("%%", "%"), _CLAUSES[letter](value, precision))
        place = end
    return "".join([*parts, template[place:].replace("%%", "%")])


_NONE = object()


def _shown(value: Any, _: int | None = None) -> str:
    """Format %s."""
    simple = _simple(value)
    if simple is not None:
        return simple
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        pairs = sorted((_literal(key), _literal(each)) for key, each in value.items())
        return f"{{{', '.join(f'{key}:{each}' for key, each in pairs)}}}"
    raise _wrong("s", value)


def _simple(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, TypeValue):
        return value.type.name
    return str(int(value)) if isinstance(value, int) else None


def _literal(value: Any) -> str:
    """Format an element of a list or map, as a literal of the language."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bytes):
        return f"b{quoted(value.decode('utf-8', 'replace'))}"
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else quoted(double_text(value))
    if isinstance(value, Timestamp):
        return f'timestamp("{timestamp_text(value)}")'
    if isinstance(value, Duration):
        return f'duration("{duration_text(value)}")'
    return _shown(value)


def _decimal(value: Any, _: int | None) -> str:
    if not _is_whole(value):
        raise _wrong("d", value)
    return str(int(value))


def _fixed(value: Any, precision: int | None) -> str:
    number = _number(value, "f")
    digits = 6 if precision is None else precision
    return f"{number:,.{digits}f}" if math.isfinite(number) else _infinite(number)


def _scientific(value: Any, width: int | None) -> str:
    """Write 1.234568×10⁰⁴; what would be the precision is the least width."""
    number = _number(value, "e")
    if not math.isfinite(number):
        return _infinite(number)
    mantissa, _, exponent = f"{number:.6e}".partition("e")
    power = exponent.removeprefix("+").translate(_RAISED)
    return f"{mantissa}×10{power}".rjust(6 if width is None else width)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _infinite(number: float) -> str:
    return "NaN" if math.isnan(number) else "∞" if number > 0 else "-∞"


def _number(value: Any, clause: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
        return float(value)
    raise _wrong(clause, value)


def _binary(value: Any, _: int | None) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if not _is_whole(value):
        raise _wrong("b", value)
    return f"{int(value):b}"


def _hex(value: Any, _: int | None) -> str:
    if isinstance(value, str | bytes):
        return (value.encode() if isinstance(value, str) else value).hex()
    if not _is_whole(value):
        raise _wrong("x", value)
    return f"{int(value):x}"


def _octal(value: Any, _: int | None) -> str:
    if not _is_whole(value):
        raise _wrong("o", value)
    return f"{int(value):o}"


def _is_whole(value: Any) -> bool:
    return type(value) in {int, Uint}


def _wrong(clause: str, value: Any) -> EvaluationError:
    return EvaluationError(
        f"error during formatting: %{clause} does not take a {type_of_value(value)}"
    )


_CLAUSES: dict[str, Callable[[Any, int | None], str]] = {
    "s": _shown,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "x": _hex,
    "X": lambda value, precision: _hex(value, precision).upper(),
    "o": _octal,
}
