"""Lists as sets: sets.contains(), sets.equivalent(), sets.intersects().

https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.cel.function import Overload
from tidewaiter.rules.cel.types import BOOL, A, list_of
from tidewaiter.rules.cel.values import equal


def _has(group: list[Any], value: Any) -> bool:
    return any(equal(value, each) for each in group)


def _contains(group: list[Any], part: list[Any]) -> bool:
    return all(_has(group, each) for each in part)


def _equivalent(one: list[Any], other: list[Any]) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: list[Any], other: list[Any]) -> bool:
    return any(_has(other, each) for each in one)


def _cost(one: list[Any], other: list[Any]) -> int:
    return len(one) * len(other)


_LISTS = (list_of(A), list_of(A))

FUNCTIONS: tuple[Overload, ...] = (
    Overload("sets.contains", _LISTS, BOOL, _contains, cost=_cost),
    Overload("sets.equivalent", _LISTS, BOOL, _equivalent, cost=_cost),
    Overload("sets.intersects", _LISTS, BOOL, _intersects, cost=_cost),
)
