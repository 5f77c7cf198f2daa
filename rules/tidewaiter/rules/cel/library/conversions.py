"""Conversions between the types: int(), uint(), double(), string(), bytes(), bool(), timestamp(), duration().

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#type-conversions
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from tidewaiter.rules.cel.function import Overload, function
from tidewaiter.rules.cel.library.times import (
    checked_time,
    duration_text,
    parse_duration,
    parse_timestamp,
    timestamp_text,
)
from tidewaiter.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    A,
    type_of,
)
from tidewaiter.rules.cel.values import (
    LEAST_INT,
    MOST_UINT,
    Duration,
    EvaluationError,
    Timestamp,
    TypeValue,
    Uint,
    checked_int,
    checked_uint,
    type_of_value,
)

_SECOND = 10**9


def _int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return int(value) // _SECOND
    if isinstance(value, Duration):
        return int(value)
    if isinstance(value, str):
        return checked_int(_whole(value, "int"))
    if isinstance(value, float):
        if math.isnan(value) or not LEAST_INT < value < 2.0**63:
            raise EvaluationError(f"integer overflow: {value}")
        return int(value)
    return checked_int(int(value))


def _uint(value: Any) -> Uint:
    if isinstance(value, str):
        return checked_uint(_whole(value, "uint"))
    if isinstance(value, float):
        if math.isnan(value) or not 0 <= value < MOST_UINT:
            raise EvaluationError(f"unsigned integer overflow: {value}")
        return checked_uint(int(value))
    return checked_uint(int(value))


def _whole(text: str, what: str) -> int:
    """Return a decimal number as Go's strconv.ParseInt reads it: no spaces, no underscores."""
    digits = text[1:] if text[:1] in {"+", "-"} and what == "int" else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 100:
        raise EvaluationError(f"{text!r} is no {what}")
    return int(text)


def _double(value: Any) -> float:
    if not isinstance(value, str):
        return float(value)
    try:
        number = float(value)
    except ValueError:
        raise EvaluationError(f"{value!r} is no double") from None
    if value != value.strip() or (math.isinf(number) and "inf" not in value.lower()):
        raise EvaluationError(f"{value!r} is no double")
    return number


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise EvaluationError("the bytes are no UTF-8") from None
    return value if isinstance(value, str) else str(int(value))


def double_text(value: float) -> str:
    """Return a double as Go's strconv.FormatFloat(x, 'g', -1, 64) writes it: 1, 0.5, 1e+06."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    point = len(digits) + int(exponent)
    scientific = point - 1
    if scientific < -4 or scientific >= 6:
        mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
        body = f"{mantissa}e{'-' if scientific < 0 else '+'}{abs(scientific):02d}"
    elif point <= 0:
        body = f"0.{'0' * -point}{text}"
    elif point >= len(text):
        body = text + "0" * (point - len(text))
    else:
        body = f"{text[:point]}.{text[point:]}"
    return f"-{body}" if sign else body


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    if value in {"0", "f", "F", "FALSE", "false", "False"}:
        return False
    raise EvaluationError(f"{value!r} is no bool")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def _timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    return parse_timestamp(value) if isinstance(value, str) else checked_time(int(value) * _SECOND)


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    return parse_duration(value) if isinstance(value, str) else Duration(int(value))


def _each(name: str, types: tuple[Any, ...], result: Any, run: Any) -> tuple[Overload, ...]:
    return tuple(function(name, (each,), result, run) for each in types)


FUNCTIONS: tuple[Overload, ...] = (
    *_each("int", (INT, UINT, DOUBLE, STRING, TIMESTAMP, DURATION), INT, _int),
    *_each("uint", (UINT, INT, DOUBLE, STRING), UINT, _uint),
    *_each("double", (DOUBLE, INT, UINT, STRING), DOUBLE, _double),
    *_each(
        "string", (STRING, BOOL, INT, UINT, DOUBLE, BYTES, TIMESTAMP, DURATION), STRING, _string
    ),
    *_each("bytes", (BYTES, STRING), BYTES, _bytes),
    *_each("bool", (BOOL, STRING), BOOL, _bool),
    *_each("timestamp", (TIMESTAMP, STRING, INT), TIMESTAMP, _timestamp),
    *_each("duration", (DURATION, STRING, INT), DURATION, _duration),
    function("dyn", (A,), DYN, lambda value: value),
    function("type", (A,), type_of(A), lambda value: TypeValue(type_of_value(value))),
)
