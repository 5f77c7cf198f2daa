"""Functions on lists: isSorted(), sum(), min(), max(), indexOf(), sort(), slice(), flatten() and their kin.

https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library and the list extension of cel-go.
"""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from tidewaiter.rules.cel.function import Overload
from tidewaiter.rules.cel.operators import add
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
    Type,
    list_of,
)
from tidewaiter.rules.cel.values import Duration, EvaluationError, Uint, compare, equal

_ORDERED = (INT, UINT, DOUBLE, BOOL, DURATION, TIMESTAMP, STRING, BYTES)
_ZEROS: dict[Type, Any] = {INT: 0, UINT: Uint(0), DOUBLE: 0.0, DURATION: Duration(0)}
LONGEST_RANGE = 1_000_000
"""How many numbers lists.range() gives at most."""


def _is_sorted(group: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(group))


def _sum(group: list[Any]) -> Any:
    total: Any = None
    for each in group:
        total = each if total is None else add(total, each)
    return 0 if total is None else total


def _sum_from(zero: Any) -> Any:
    return lambda group: _sum(group) if group else zero


def _min(group: list[Any]) -> Any:
    return _extreme(group, -1, "min")


def _max(group: list[Any]) -> Any:
    return _extreme(group, 1, "max")


def _extreme(group: list[Any], sign: int, name: str) -> Any:
    if not group:
        raise EvaluationError(f"{name} called on empty list")
    found = group[0]
    for each in group[1:]:
        if compare(each, found) == sign:
            found = each
    return found


def _index_of(group: list[Any], value: Any) -> int:
    return next((place for place, each in enumerate(group) if equal(each, value)), -1)


def _last_index_of(group: list[Any], value: Any) -> int:
    found = _index_of(group[::-1], value)
    return len(group) - 1 - found if found >= 0 else -1


def _slice(group: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if end > len(group):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(group)}")
    return group[start:end]


def _flatten(group: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Any] = []
    for each in group:
        found += _flatten(each, depth - 1) if isinstance(each, list) and depth > 0 else [each]
    return found


def _sort(group: list[Any]) -> list[Any]:
    return sorted(group, key=cmp_to_key(compare))


def _range(count: int) -> list[int]:
    if count < 0:
        raise EvaluationError(f"lists.range of {count}: a size is never negative")
    if count > LONGEST_RANGE:
        raise EvaluationError(f"lists.range is limited to {LONGEST_RANGE} numbers")
    return list(range(count))


def _distinct(group: list[Any]) -> list[Any]:
    found: list[Any] = []
    seen: set[str] = set()
    for each in group:
        if isinstance(each, str):
            if each in seen:
                continue
            seen.add(each)
        elif any(equal(each, other) for other in found):
            continue
        found.append(each)
    return found


def _length(group: Any, *_: Any) -> int:
    return len(group) if isinstance(group, list) else 1


def _square(group: Any, *_: Any) -> int:
    return _length(group) ** 2


def _each(name: str, run: Any, result: Type | None = None) -> tuple[Overload, ...]:
    return tuple(
        Overload(name, (list_of(each),), result or each, run, member=True, cost=_length)
        for each in _ORDERED
    )


_LIST = list_of(A)

FUNCTIONS: tuple[Overload, ...] = (
    *_each("isSorted", _is_sorted, BOOL),
    *(
        Overload("sum", (list_of(kind),), kind, _sum_from(zero), member=True, cost=_length)
        for kind, zero in _ZEROS.items()
    ),
    *_each("min", _min),
    *_each("max", _max),
    Overload("indexOf", (_LIST, A), INT, _index_of, member=True, cost=_length),
    Overload("lastIndexOf", (_LIST, A), INT, _last_index_of, member=True, cost=_length),
    Overload("slice", (_LIST, INT, INT), _LIST, _slice, member=True, cost=_length),
    Overload("flatten", (list_of(_LIST),), _LIST, _flatten, member=True, cost=_length),
    Overload("flatten", (list_of(DYN), INT), list_of(DYN), _flatten, member=True, cost=_length),
    *(
        Overload("sort", (list_of(each),), list_of(each), _sort, member=True, cost=_length)
        for each in _ORDERED
    ),
    Overload("reverse", (_LIST,), _LIST, lambda group: group[::-1], member=True, cost=_length),
    Overload("distinct", (_LIST,), _LIST, _distinct, member=True, cost=_square),
    Overload("lists.range", (INT,), list_of(INT), _range, cost=lambda count: max(count, 0)),
)
