"""Frozen records that cost no start-up time.

A type checker sees `@record` as a frozen, slotted dataclass. At run time the class becomes a named
tuple with the same constructor, because importing `dataclasses` alone takes longer than linting a
small manifest, and creating a tuple is three times as fast as a frozen dataclass.

Only annotated fields, immutable defaults, methods and properties are supported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
    R = TypeVar("R")

    @dataclass_transform(frozen_default=True, eq_default=True)
    def record(cls: type[T]) -> type[T]:
        """Make a frozen record of an annotated class."""
        return dataclass(frozen=True, slots=True)(cls)

else:
    from collections import namedtuple

    def record(cls):
        """Make a frozen record of an annotated class."""
        fields = tuple(cls.__annotations__)
        body = {name: value for name, value in vars(cls).items() if name not in _DROPPED}
        defaults = [body.pop(name) for name in fields if name in body]
        base = namedtuple(cls.__name__, fields, defaults=defaults, module=cls.__module__)
        return type(cls.__name__, (base,), {**body, "__slots__": ()})

    _DROPPED = frozenset({"__dict__", "__weakref__"})


def replace(value: R, **changes: object) -> R:
    """Return a copy of a record with some fields changed."""
    return value._replace(**changes)  # type: ignore[attr-defined, no-any-return]


def fields_of(value: object) -> tuple[Any, ...]:
    """Return a record's fields in order, as plain data to store or send."""
    return tuple(value)  # type: ignore[arg-type]
