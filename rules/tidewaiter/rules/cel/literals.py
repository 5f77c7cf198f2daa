"""Literals that no run can make sense of: patterns, times and numbers that are none, wrong format clauses.

The API server refuses such expressions when they are written, as cel-go's validators do:
https://pkg.go.dev/github.com/google/cel-go/cel#ASTValidator
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.cel.syntax import (
    Call,
    ExpressionError,
    ListLiteral,
    Literal,
    MapLiteral,
    children,
)
from tidewaiter.rules.cel.types import DYN
from tidewaiter.rules.cel.values import EvaluationError, accepts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidewaiter.rules.cel.function import Overload
    from tidewaiter.rules.cel.syntax import Node
    from tidewaiter.rules.cel.types import Type

    Functions = Mapping[tuple[str, bool], tuple[Overload, ...]]

_CONVERSIONS = frozenset(["int", "uint", "double", "bool", "timestamp", "duration"])
_WITH_PATTERN = frozenset(["matches", "find", "findAll"])
_TEXTS = frozenset(
    ["string", "bool", "bytes", "int", "uint", "double", "map", "list", "type", "null_type", "dyn"]
)
_FORMATTED = {
    "s": _TEXTS | {"google.protobuf.Timestamp", "google.protobuf.Duration"},
    "d": frozenset(["int", "uint", "dyn"]),
    "f": frozenset(["double", "string", "dyn"]),
    "e": frozenset(["double", "string", "dyn"]),
    "b": frozenset(["int", "uint", "bool", "dyn"]),
    "x": frozenset(["int", "uint", "string", "bytes", "dyn"]),
    "X": frozenset(["int", "uint", "string", "bytes", "dyn"]),
    "o": frozenset(["int", "uint", "dyn"]),
}
"""The types that each clause of format() takes."""


def check_literals(node: Node, types: Mapping[int, Type], functions: Functions) -> None:
    """Look for literals that have no meaning where they stand. types: of each node, by its id().

    Raises ExpressionError.
    """
    if isinstance(node, Call):
        if node.name in _CONVERSIONS and node.target is None:
            _conversion(node, functions)
        elif node.name in _WITH_PATTERN:
            _pattern(node)
        elif node.name == "format" and node.target is not None:
            _format(node, types)
    for child in children(node):
        check_literals(child, types, functions)


def _conversion(node: Call, functions: Functions) -> None:
    if len(node.arguments) != 1 or not isinstance(node.arguments[0], Literal):
        return
    value = node.arguments[0].value
    for overload in functions[node.name, False]:
        if accepts(overload.parameters[0], value):
            try:
                overload.run(value)
            except EvaluationError as error:
                raise ExpressionError(str(error), node.arguments[0].offset) from None


def _pattern(node: Call) -> None:
    from tidewaiter.rules.cel.library.patterns import pattern_of

    place = 0 if node.target is not None else 1
    pattern = node.arguments[place] if len(node.arguments) > place else None
    if isinstance(pattern, Literal) and isinstance(pattern.value, str):
        try:
            pattern_of(pattern.value)
        except EvaluationError as error:
            raise ExpressionError(str(error), pattern.offset) from None


def _format(node: Call, types: Mapping[int, Type]) -> None:
    from tidewaiter.rules.cel.library.formatting import clauses

    values = node.arguments[0] if node.arguments else None
    if not isinstance(node.target, Literal) or not isinstance(values, ListLiteral):
        return
    try:
        wanted = [found for found, _, _ in clauses(node.target.value)]
    except EvaluationError as error:
        raise ExpressionError(str(error), node.offset) from None
    if len(wanted) != len(values.elements):
        text = f"format() has {len(wanted)} clauses and {len(values.elements)} values"
        raise ExpressionError(text, node.offset)
    for clause, value in zip(wanted, values.elements, strict=True):
        for part in _parts(value) if clause == "s" else (value,):
            found = types.get(id(part), DYN)
            if found.name not in _FORMATTED[clause] and not found.is_parameter:
                raise ExpressionError(f"%{clause} does not take a {found}", part.offset)


def _parts(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, ListLiteral | MapLiteral):
        for child in children(node):
            yield from _parts(child)
