"""Optional values: optional.of(), optional.none(), orValue() and their kin.

https://github.com/google/cel-spec/wiki/proposal-246
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.types import BOOL, A, list_of, optional_of
from tidewaiter.rules.cel.values import ABSENT, EvaluationError, OptionalValue, Timestamp, Unknown


def _of_non_zero(value: Any) -> OptionalValue:
    is_zero = not value and not isinstance(value, Timestamp | Unknown)
    return ABSENT if is_zero else OptionalValue(value)


def _value(optional: OptionalValue) -> Any:
    if optional.present:
        return optional.value
    raise EvaluationError("optional.none() dereference")


def _first(group: list[Any]) -> OptionalValue:
    return OptionalValue(group[0]) if group else ABSENT


def _last(group: list[Any]) -> OptionalValue:
    return OptionalValue(group[-1]) if group else ABSENT


def _unwrap(group: list[Any]) -> list[Any]:
    for each in group:
        if not isinstance(each, OptionalValue):
            raise EvaluationError("unwrap takes a list of optional values")
    return [each.value for each in group if each.present]


_OPTIONAL = optional_of(A)

FUNCTIONS: tuple[Overload, ...] = (
    function("optional.of", (A,), _OPTIONAL, OptionalValue),
    function("optional.none", (), _OPTIONAL, lambda: ABSENT),
    function("optional.ofNonZeroValue", (A,), _OPTIONAL, _of_non_zero),
    function("optional.unwrap", (list_of(_OPTIONAL),), list_of(A), _unwrap),
    member("unwrapOpt", (list_of(_OPTIONAL),), list_of(A), _unwrap),
    member("first", (list_of(A),), _OPTIONAL, _first),
    member("last", (list_of(A),), _OPTIONAL, _last),
    member("hasValue", (_OPTIONAL,), BOOL, lambda optional: optional.present),
    member("value", (_OPTIONAL,), A, _value),
    member("orValue", (_OPTIONAL, A), A, lambda one, other: one.value if one.present else other),
    member(
        "or", (_OPTIONAL, _OPTIONAL), _OPTIONAL, lambda one, other: one if one.present else other
    ),
)
