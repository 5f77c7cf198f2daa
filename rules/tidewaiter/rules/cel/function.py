"""A function of the language: its name, and for each of its signatures the code that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.cel.types import Type


class Overload(NamedTuple):
    """One signature of a function.

    name: as written, such as `isSorted`, or with its namespace: `cidr.containsIP` is not one (a member), but
    `format.named` and `sets.contains` are. member: whether it is called on a value, `value.name(...)`; that value
    is then the first parameter. run: takes the arguments as values (see values.py) and returns one, or raises
    EvaluationError. cost: units that a call costs beside the one for the call itself, as a function of the
    arguments; None for none.
    """

    name: str
    parameters: tuple[Type, ...]
    result: Type
    run: Callable[..., Any]
    member: bool = False
    cost: Callable[..., int] | None = None


def function(
    name: str, parameters: tuple[Type, ...], result: Type, run: Callable[..., Any]
) -> Overload:
    """Return a function that is called by its name: `name(a, b)`."""
    return Overload(name, parameters, result, run)


def member(
    name: str, parameters: tuple[Type, ...], result: Type, run: Callable[..., Any]
) -> Overload:
    """Return a function that is called on its first argument: `a.name(b)`."""
    return Overload(name, parameters, result, run, member=True)
