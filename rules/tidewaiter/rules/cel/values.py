"""What the values of an expression are at run time, and how they compare.

int, double, bool, string, bytes, null, list and map are Python's own int, float, bool, str, bytes, None, list
and dict; what Python has no type for is here. Values of Kubernetes' own types (quantity, URL, IP, CIDR, semver)
are objects with a class attribute `cel_type`.
https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#values
"""

from __future__ import annotations

import math
from typing import Any

from tidewaiter.rules.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    optional_of,
    type_of,
)

LEAST_INT, MOST_INT, MOST_UINT = -(2**63), 2**63 - 1, 2**64 - 1


class EvaluationError(Exception):
    """An expression has no value: a missing key, an overflow, no overload that fits."""


class CannotBeKnown(EvaluationError):
    """An expression needs what is not known here, such as who sent the request."""


class CostExceeded(Exception):  # no EvaluationError: neither `||` nor `&&` may swallow it
    """An expression has used up its budget."""


class Uint(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()
    cel_type = UINT


class Timestamp(int):
    """A point in time, as nanoseconds since 1970-01-01T00:00:00Z.

    offset: minutes east of Greenwich in which it is written.
    """

    cel_type = TIMESTAMP
    offset = 0

    @classmethod
    def at(cls, nanoseconds: int, offset: int) -> Timestamp:
        """Return a time with its offset."""
        found = cls(nanoseconds)
        if offset:
            found.offset = offset
        return found


class Duration(int):
    """A span of time in nanoseconds."""

    __slots__ = ()
    cel_type = DURATION


class TypeValue:
    """A type as a value, such as `int` or what type(x) gives."""

    __slots__ = ("type",)

    def __init__(self, type_: Type) -> None:
        self.type = type_

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeValue) and other.type.name == self.type.name

    def __hash__(self) -> int:
        return hash(self.type.name)

    @property
    def cel_type(self) -> Type:
        """The type of a type."""
        return type_of(self.type)


class OptionalValue:
    """A value that may be absent: optional.of(x), optional.none(), and what `.?` and `[?]` give."""

    __slots__ = ("present", "value")
    cel_type = optional_of(DYN)

    def __init__(self, value: Any = None, *, present: bool = True) -> None:
        self.value, self.present = value, present


ABSENT = OptionalValue(present=False)


class Unknown:
    """The value of something that cannot be known from here: whoever looks into it raises CannotBeKnown."""

    __slots__ = ("what",)
    cel_type = DYN

    def __init__(self, what: str) -> None:
        self.what = what


_PLAIN: dict[type, Type] = {
    bool: BOOL,
    int: INT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
    list: list_of(DYN),
    dict: map_of(DYN, DYN),
}


def type_of_value(value: Any) -> Type:
    """Return a value's type, elements of lists and maps as `dyn`."""
    plain = _PLAIN.get(type(value))
    return plain if plain is not None else value.cel_type


def accepts(parameter: Type, value: Any) -> bool:
    """Return whether a parameter of this type takes the value."""
    if parameter is DYN or parameter.name == "dyn" or parameter.is_parameter:
        return True
    return type_of_value(value).name == parameter.name


_NUMBERS = (int, float, Uint)


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal: numbers by value, values of different types never.

    https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#equality
    """
    one, other = type(left), type(right)
    if one is Unknown or other is Unknown:
        raise CannotBeKnown((left if one is Unknown else right).what)
    if one is str or other is str:
        return one is other and left == right
    if one is list and other is list:
        return len(left) == len(right) and all(map(equal, left, right))
    if one is dict and other is dict:
        return len(left) == len(right) and all(
            key in right and equal(value, right[key]) for key, value in left.items()
        )
    if one in _NUMBERS and other in _NUMBERS:
        return bool(left == right)
    if one is OptionalValue and other is OptionalValue:
        return left.present == right.present and (
            not left.present or equal(left.value, right.value)
        )
    return one is other and bool(left == right)


def compare(left: Any, right: Any) -> int:
    """Return -1, 0 or 1 for two values that have an order.

    Raises EvaluationError where they have none.
    """
    one, other = type(left), type(right)
    ordered = one in _NUMBERS and other in _NUMBERS
    if not ordered and (one is not other or one not in (str, bytes, bool, Timestamp, Duration)):
        raise EvaluationError(f"no order between {type_of_value(left)} and {type_of_value(right)}")
    if (one is float and math.isnan(left)) or (other is float and math.isnan(right)):
        raise EvaluationError("NaN has no order")
    return int(left > right) - int(left < right)


def checked_int(value: int) -> int:
    """Return a signed integer that fits in 64 bits.

    Raises EvaluationError on overflow.
    """
    if LEAST_INT <= value <= MOST_INT:
        return value
    raise EvaluationError("integer overflow")


def checked_uint(value: int) -> Uint:
    """Return an unsigned integer that fits in 64 bits.

    Raises EvaluationError on overflow.
    """
    if 0 <= value <= MOST_UINT:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")
