"""The syntax tree of an expression. Every node knows where it begins, as an offset into the source.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ExpressionError(Exception):
    """An expression that cannot be run: its syntax or its types are wrong.

    message: a sentence without the place. offset: where it is, in characters from the start.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: a value as values.py describes it."""

    value: Any
    offset: int


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or the first part of a longer name."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`; with `test` it is has(operand.field), with `optional` it is operand.?field."""

    operand: Node
    field: str
    offset: int
    test: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """`operand[key]`, or `operand[?key]`."""

    operand: Node
    key: Node
    offset: int
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`, or `target.name(arguments)`. Operators are calls whose name is the operator."""

    name: str
    target: Node | None
    arguments: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[a, ?b]`. optional: which elements are left out where they are absent."""

    elements: tuple[Node, ...]
    optional: tuple[bool, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """`{key: value, ?key: value}`."""

    entries: tuple[tuple[Node, Node], ...]
    optional: tuple[bool, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Fold:
    """A macro that goes through a list or map, such as `target.exists(x, condition)`.

    variables: one or two names (two are index and value, or key and value). parts: the macro's expressions.
    """

    macro: str
    target: Node
    variables: tuple[str, ...]
    parts: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Bind:
    """`value.optMap(name, body)`, or optFlatMap, as `macro` tells."""

    name: str
    value: Node
    body: Node
    offset: int
    macro: str


Node = Literal | Name | Select | Index | Call | ListLiteral | MapLiteral | Fold | Bind


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below one."""
    match node:
        case Select():
            return (node.operand,)
        case Index():
            return (node.operand, node.key)
        case Call():
            return (node.target, *node.arguments) if node.target is not None else node.arguments
        case ListLiteral():
            return node.elements
        case MapLiteral():
            return tuple(each for entry in node.entries for each in entry)
        case Fold():
            return (node.target, *node.parts)
        case Bind():
            return (node.value, node.body)
        case _:
            return ()
