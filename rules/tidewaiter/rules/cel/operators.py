"""The operators of the language, as functions whose name is the operator.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions
"""

from __future__ import annotations

import math
from typing import Any

from tidewaiter.rules.cel.function import Overload, function
from tidewaiter.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    A,
    B,
    Type,
    list_of,
    map_of,
)
from tidewaiter.rules.cel.values import (
    CannotBeKnown,
    Duration,
    EvaluationError,
    Timestamp,
    Uint,
    Unknown,
    checked_int,
    checked_uint,
    compare,
    equal,
    type_of_value,
)

FIRST_TIME = -62_135_596_800 * 10**9
LAST_TIME = 253_402_300_800 * 10**9 - 1
"""0001-01-01T00:00:00Z and the last nanosecond of the year 9999."""


def _no_overload(sign: str, *values: Any) -> EvaluationError:
    for value in values:
        if type(value) is Unknown:
            return CannotBeKnown(value.what)
    shown = ", ".join(str(type_of_value(each)) for each in values)
    return EvaluationError(f"no such overload: {sign} of ({shown})")


def _time(nanoseconds: int, offset: int) -> Timestamp:
    if FIRST_TIME <= nanoseconds <= LAST_TIME:
        return Timestamp.at(nanoseconds, offset)
    raise EvaluationError("timestamp overflow")


def _span(nanoseconds: int) -> Duration:
    return Duration(checked_int(nanoseconds))


def add(left: Any, right: Any) -> Any:
    """Return left + right."""
    one = type(left)
    if one is type(right):
        if one in (str, list, bytes, float):
            return left + right
        if one is int:
            return checked_int(left + right)
        if one is Uint:
            return checked_uint(int(left) + int(right))
        if one is Duration:
            return _span(int(left) + int(right))
    elif {one, type(right)} == {Timestamp, Duration}:
        time = left if one is Timestamp else right
        return _time(int(left) + int(right), time.offset)
    raise _no_overload("+", left, right)


def subtract(left: Any, right: Any) -> Any:
    """Return left - right."""
    one = type(left)
    if one is type(right):
        if one is int:
            return checked_int(left - right)
        if one is float:
            return left - right
        if one is Uint:
            return checked_uint(int(left) - int(right))
        if one in (Duration, Timestamp):
            return _span(int(left) - int(right))
    elif one is Timestamp and type(right) is Duration:
        return _time(int(left) - int(right), left.offset)
    raise _no_overload("-", left, right)


def multiply(left: Any, right: Any) -> Any:
    """Return left * right."""
    one = type(left)
    if one is type(right):
        if one is int:
            return checked_int(left * right)
        if one is Uint:
            return checked_uint(int(left) * int(right))
        if one is float:
            return left * right
    raise _no_overload("*", left, right)


def _float_quotient(left: float, right: float) -> float:
    """Divide as IEEE 754 says, by zero too."""
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def divide(left: Any, right: Any) -> Any:
    """Return left / right, of integers without the rest and towards zero."""
    one = type(left)
    if one is type(right):
        if one is float:
            return _float_quotient(left, right)
        if one in (int, Uint):
            if right == 0:
                raise EvaluationError("division by zero")
            quotient = abs(int(left)) // abs(int(right))
            signed = quotient if (left < 0) == (right < 0) else -quotient
            return checked_int(signed) if one is int else checked_uint(signed)
    raise _no_overload("/", left, right)


def remainder(left: Any, right: Any) -> Any:
    """Return the rest of left / right, with the sign of left."""
    one = type(left)
    if one is type(right) and one in (int, Uint):
        if right == 0:
            raise EvaluationError("modulus by zero")
        rest = abs(int(left)) % abs(int(right))
        return one(-rest if left < 0 else rest)
    raise _no_overload("%", left, right)


def negate(value: Any) -> Any:
    """Return -value."""
    if type(value) is int:
        return checked_int(-value)
    if type(value) is float:
        return -value
    raise _no_overload("-", value)


def contains(key: Any, group: Any) -> bool:
    """Return whether a list has an element, or a map a key."""
    if type(key) is Unknown:
        raise CannotBeKnown(key.what)
    if type(group) is list:
        return any(equal(key, each) for each in group)
    if type(group) is dict:
        try:
            return key in group
        except TypeError:
            return False
    raise _no_overload("in", key, group)


def less(left: Any, right: Any) -> bool:
    """Return left < right."""
    return _compared("<", left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    """Return left <= right."""
    return _compared("<=", left, right) <= 0


def greater(left: Any, right: Any) -> bool:
    """Return left > right."""
    return _compared(">", left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    """Return left >= right."""
    return _compared(">=", left, right) >= 0


def _compared(sign: str, left: Any, right: Any) -> int:
    if type(left) is Unknown or type(right) is Unknown:
        raise _no_overload(sign, left, right)
    return compare(left, right)


def different(left: Any, right: Any) -> bool:
    """Return left != right."""
    return not equal(left, right)


def invert(value: Any) -> bool:
    """Return !value."""
    if type(value) is bool:
        return not value
    raise _no_overload("!", value)


def _written_out(*_: Any) -> Any:
    """Stand for the operators that decide which of their arguments are read."""
    raise EvaluationError("no function of its own")


_NUMBERS = (INT, UINT, DOUBLE)
_ORDERED = (BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION)
_MIXED = tuple((one, other) for one in _NUMBERS for other in _NUMBERS if one != other)


def _each(
    sign: str, types: tuple[Type, ...], run: Any, result: Type | None = None
) -> tuple[Overload, ...]:
    return tuple(function(sign, (each, each), result or each, run) for each in types)


def _ordering(sign: str, run: Any) -> tuple[Overload, ...]:
    mixed = tuple(function(sign, pair, BOOL, run) for pair in _MIXED)
    return (*_each(sign, _ORDERED, run, BOOL), *mixed)


OPERATORS: dict[str, tuple[Overload, ...]] = {
    "+": (
        *_each("+", (INT, UINT, DOUBLE, STRING, BYTES, list_of(A), DURATION), add),
        function("+", (TIMESTAMP, DURATION), TIMESTAMP, add),
        function("+", (DURATION, TIMESTAMP), TIMESTAMP, add),
    ),
    "-": (
        *_each("-", (INT, UINT, DOUBLE, DURATION), subtract),
        function("-", (TIMESTAMP, TIMESTAMP), DURATION, subtract),
        function("-", (TIMESTAMP, DURATION), TIMESTAMP, subtract),
    ),
    "*": _each("*", _NUMBERS, multiply),
    "/": _each("/", _NUMBERS, divide),
    "%": _each("%", (INT, UINT), remainder),
    "-_": (function("-_", (INT,), INT, negate), function("-_", (DOUBLE,), DOUBLE, negate)),
    "!_": (function("!_", (BOOL,), BOOL, invert),),
    "==": (function("==", (A, A), BOOL, equal),),
    "!=": (function("!=", (A, A), BOOL, different),),
    "<": _ordering("<", less),
    "<=": _ordering("<=", less_or_equal),
    ">": _ordering(">", greater),
    ">=": _ordering(">=", greater_or_equal),
    "in": (
        function("in", (A, list_of(A)), BOOL, contains),
        function("in", (A, map_of(A, B)), BOOL, contains),
    ),
    "&&": (function("&&", (BOOL, BOOL), BOOL, _written_out),),
    "||": (function("||", (BOOL, BOOL), BOOL, _written_out),),
    "?:": (function("?:", (BOOL, A, A), A, _written_out),),
}
SHOWN = {"-_": "-", "!_": "!"}
"""How an operator is called in a message, where it differs from its name."""
