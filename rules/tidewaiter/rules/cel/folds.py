"""The macros that go through a list or a map: all, exists, filter, map and their kin.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#macros
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cel.values import (
    CannotBeKnown,
    EvaluationError,
    Unknown,
    compare,
    type_of_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[[list[Any]], Any]
    Fold = Callable[[Run, list[int], list[Run], int], Run]


def _rounds(
    frame: list[Any], target: Run, places: list[int], steps: int
) -> Iterator[tuple[Any, Any]]:
    """Put each element in its place, and yield (index or key, element or key)."""
    group = target(frame)
    spend = frame[0].spend
    single = len(places) == 1
    if type(group) is list:
        pairs: Any = enumerate(group)
    elif type(group) is dict:
        pairs = ((key, key) for key in group) if single else group.items()
    elif type(group) is Unknown:
        raise CannotBeKnown(group.what)
    else:
        raise EvaluationError(
            f"no such overload: a value of type {type_of_value(group)} has no elements"
        )
    for first, second in pairs:
        spend(steps)
        if single:
            frame[places[0]] = second
        else:
            frame[places[0]], frame[places[1]] = first, second
        yield first, second


def _true(value: Any) -> bool:
    """Return a condition's value."""
    if value is True or value is False:
        return bool(value)
    if type(value) is Unknown:
        raise CannotBeKnown(value.what)
    raise EvaluationError(f"no such overload: a condition of type {type_of_value(value)}")


def _until(*, stop: bool) -> Fold:
    """Return `all` or `exists`: an element that decides makes the errors of the others not count."""

    def fold(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
        condition = parts[0]

        def run(frame: list[Any]) -> bool:
            failed: EvaluationError | None = None
            for _ in _rounds(frame, target, places, steps):
                try:
                    if _true(condition(frame)) is stop:
                        return stop
                except EvaluationError as error:
                    if failed is None or isinstance(error, CannotBeKnown):
                        failed = error
            if failed is not None:
                raise failed
            return not stop

        return run

    return fold


def _exists_one(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
    condition = parts[0]

    def run(frame: list[Any]) -> bool:
        return sum(_true(condition(frame)) for _ in _rounds(frame, target, places, steps)) == 1

    return run


def _filter(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
    condition = parts[0]

    def run(frame: list[Any]) -> list[Any]:
        return [
            each for _, each in _rounds(frame, target, places, steps) if _true(condition(frame))
        ]

    return run


def _map(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
    result = parts[-1]
    condition = parts[0] if len(parts) == 2 else None

    def run(frame: list[Any]) -> list[Any]:
        rounds = _rounds(frame, target, places, steps)
        return [result(frame) for _ in rounds if condition is None or _true(condition(frame))]

    return run


def _transform_map(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
    result = parts[-1]
    condition = parts[0] if len(parts) == 2 else None

    def run(frame: list[Any]) -> dict[Any, Any]:
        rounds = _rounds(frame, target, places, steps)
        return {
            key: result(frame) for key, _ in rounds if condition is None or _true(condition(frame))
        }

    return run


def _transform_map_entry(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
    result = parts[-1]
    condition = parts[0] if len(parts) == 2 else None

    def run(frame: list[Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in _rounds(frame, target, places, steps):
            if condition is not None and not _true(condition(frame)):
                continue
            entries = result(frame)
            if type(entries) is not dict:
                raise EvaluationError("transformMapEntry() needs a map for each element")
            for key, value in entries.items():
                if key in found:
                    raise EvaluationError(f"the key {key} occurs twice")
                found[key] = value
        return found

    return run


def _by_first(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
    return compare(one[0], other[0])


def _sort_by(target: Run, places: list[int], parts: list[Run], steps: int) -> Run:
    key = parts[0]

    def run(frame: list[Any]) -> list[Any]:
        found = [(key(frame), each) for _, each in _rounds(frame, target, places, steps)]
        found.sort(key=cmp_to_key(_by_first))
        return [each for _, each in found]

    return run


FOLDS: dict[str, Fold] = {
    "all": _until(stop=False),
    "exists": _until(stop=True),
    "exists_one": _exists_one,
    "filter": _filter,
    "map": _map,
    "sortBy": _sort_by,
    "transformList": _map,
    "transformMap": _transform_map,
    "transformMapEntry": _transform_map_entry,
}
