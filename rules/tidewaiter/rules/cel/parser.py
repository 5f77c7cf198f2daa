"""An expression's text to its syntax tree, macros included.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#syntax
https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#macros
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.cel.syntax import (
    Bind,
    Call,
    ExpressionError,
    Fold,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Name,
    Node,
    Select,
)
from tidewaiter.rules.cel.tokens import RESERVED, Token, tokens
from tidewaiter.rules.cel.values import MOST_INT

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 100
"""How many parentheses, calls and operators may be inside each other. cel-go takes 250; nobody writes 30."""

_STRENGTH = {
    **dict.fromkeys(["||"], 1),
    **dict.fromkeys(["&&"], 2),
    **dict.fromkeys(["==", "!=", "<", "<=", ">", ">=", "in"], 3),
    **dict.fromkeys(["+", "-"], 4),
    **dict.fromkeys(["*", "/", "%"], 5),
}
"""How strongly an operator binds. All are left-associative."""
_FOLDS = {  # by macro and number of arguments: how many of these are variables
    ("all", 2): 1,
    ("exists", 2): 1,
    ("exists_one", 2): 1,
    ("map", 2): 1,
    ("map", 3): 1,
    ("filter", 2): 1,
    ("all", 3): 2,
    ("exists", 3): 2,
    ("existsOne", 3): 2,
    ("exists_one", 3): 2,
    ("sortBy", 2): 1,
    ("transformList", 3): 2,
    ("transformList", 4): 2,
    ("transformMap", 3): 2,
    ("transformMap", 4): 2,
    ("transformMapEntry", 3): 2,
    ("transformMapEntry", 4): 2,
}


def parse(source: str) -> Node:
    """Return an expression's syntax tree.

    Raises ExpressionError, with the place.
    """
    reader = _Reader(tokens(source))
    node = _expression(reader)
    if reader.token.kind != "end":
        raise ExpressionError(f"unexpected {reader.token.text}", reader.token.offset)
    return node


class _Reader:
    """Where the parser is in the tokens, and how deep."""

    __slots__ = ("depth", "position", "token", "tokens")

    def __init__(self, found: list[Token]) -> None:
        self.tokens, self.position, self.depth = found, 0, 0
        self.token = found[0]

    def take(self) -> Token:
        """Return the token here and go to the next."""
        taken = self.token
        self.position = min(self.position + 1, len(self.tokens) - 1)
        self.token = self.tokens[self.position]
        return taken

    def at(self, text: str) -> bool:
        """Return whether the operator is here."""
        return self.token.kind == "operator" and self.token.text == text

    def skip(self, text: str) -> bool:
        """Go beyond the operator where it is here."""
        if self.at(text):
            self.take()
            return True
        return False

    def want(self, text: str) -> Token:
        """Go beyond the operator that must be here."""
        if not self.at(text):
            here = self.token.text or "the end of the expression"
            raise ExpressionError(f"{text} is wanted, not {here}", self.token.offset)
        return self.take()


def _expression(reader: _Reader) -> Node:
    reader.depth += 1
    if reader.depth > DEEPEST:
        raise ExpressionError("the expression is nested too deeply", reader.token.offset)
    node = _binary(reader, 1)
    if reader.at("?"):
        offset = reader.take().offset
        then = _binary(reader, 1)
        reader.want(":")
        node = Call("?:", None, (node, then, _expression(reader)), offset)
    reader.depth -= 1
    return node


def _binary(reader: _Reader, weakest: int) -> Node:
    """Read operators that bind at least as strongly as `weakest`."""
    node = _unary(reader)
    length = 0
    while reader.token.kind == "operator" and _STRENGTH.get(reader.token.text, 0) >= weakest:
        operator = reader.take()
        strength = _STRENGTH[operator.text]
        right = _binary(reader, strength + 1)
        joined = strength <= 2 and isinstance(node, Call) and node.name == operator.text
        if joined and length and isinstance(node, Call):
            node = Call(
                operator.text, None, (*node.arguments, right), node.offset
            )  # one flat chain
            continue
        length += 1
        if length > DEEPEST:
            raise ExpressionError("the expression is nested too deeply", operator.offset)
        node = Call(operator.text, None, (node, right), operator.offset)
    return node


def _unary(reader: _Reader) -> Node:
    sign = reader.token
    if sign.kind != "operator" or sign.text not in {"!", "-"}:
        return _member(reader)
    count = 0
    while reader.at(sign.text):
        reader.take()
        count += 1
    number = reader.token
    if sign.text == "-" and type(number.value) in {int, float} and number.kind == "value":
        # A minus directly before a number belongs to it, so that the least integer can be written.
        reader.tokens[reader.position] = number._replace(value=-number.value)
        reader.token = reader.tokens[reader.position]
        count -= 1
    node = _member(reader)
    return Call(f"{sign.text}_", None, (node,), sign.offset) if count % 2 else node


def _member(reader: _Reader) -> Node:
    node = _primary(reader)
    length = 0
    while True:
        offset = reader.token.offset
        length += 1
        if length > DEEPEST:
            raise ExpressionError("the expression is nested too deeply", offset)
        if reader.skip("."):
            node = _selected(reader, node)
        elif reader.skip("["):
            optional = reader.skip("?")
            key = _expression(reader)
            reader.want("]")
            node = Index(node, key, offset, optional)
        else:
            return node


def _selected(reader: _Reader, operand: Node) -> Node:
    optional = reader.skip("?")
    token = reader.take()
    if token.kind == "field":
        return Select(operand, token.value, token.offset, optional=optional)
    if token.kind != "name":
        raise ExpressionError(
            f"a field's name is wanted, not {token.text or 'the end'}", token.offset
        )
    if optional or not reader.at("("):
        return Select(operand, token.text, token.offset, optional=optional)
    arguments = _arguments(reader)
    macro = _MEMBER_MACROS.get((token.text, len(arguments)))
    if macro is not None:
        return macro(token, operand, arguments)
    return Call(token.text, operand, arguments, token.offset)


def _arguments(reader: _Reader) -> tuple[Node, ...]:
    reader.want("(")
    found: list[Node] = []
    while not reader.skip(")"):
        found.append(_expression(reader))
        if not reader.at(")"):
            reader.want(",")
            if reader.at(")"):
                raise ExpressionError("an argument is wanted, not )", reader.token.offset)
    return tuple(found)


def _variable(node: Node) -> str:
    if isinstance(node, Name) and not node.name.startswith("."):
        return node.name
    raise ExpressionError("a macro's variable must be a plain name", node.offset)


def _fold(token: Token, target: Node, arguments: tuple[Node, ...]) -> Node:
    count = _FOLDS[token.text, len(arguments)]
    names = tuple(_variable(each) for each in arguments[:count])
    if len(set(names)) != len(names):
        raise ExpressionError(f"{names[0]} names two variables", arguments[1].offset)
    macro = "exists_one" if token.text == "existsOne" else token.text
    return Fold(macro, target, names, arguments[count:], token.offset)


def _optional_macro(token: Token, target: Node, arguments: tuple[Node, ...]) -> Node:
    return Bind(_variable(arguments[0]), target, arguments[1], token.offset, token.text)


_MEMBER_MACROS: dict[tuple[str, int], Callable[[Token, Node, tuple[Node, ...]], Node]] = {
    **dict.fromkeys(_FOLDS, _fold),
    ("optMap", 2): _optional_macro,
    ("optFlatMap", 2): _optional_macro,
}


def _primary(reader: _Reader) -> Node:
    token = reader.take()
    if token.kind == "value":
        if type(token.value) is int and token.value > MOST_INT:
            raise ExpressionError(f"{token.text} is too large for an integer", token.offset)
        return Literal(token.value, token.offset)
    if token.kind == "name":
        return _name(reader, token, token.text)
    if token.kind == "operator":
        if token.text == "(":
            node = _expression(reader)
            reader.want(")")
            return node
        if token.text == "[":
            return _list(reader, token.offset)
        if token.text == "{":
            return _map(reader, token.offset)
        if token.text == "." and reader.token.kind == "name":
            return _name(reader, token, reader.take().text)
    here = token.text or "the end of the expression"
    raise ExpressionError(f"a value is wanted, not {here}", token.offset)


def _name(reader: _Reader, token: Token, name: str) -> Node:
    if name in RESERVED:
        raise ExpressionError(f"{name} is a reserved word", token.offset)
    if not reader.at("("):
        return Name(name, token.offset)
    arguments = _arguments(reader)
    if name != "has":
        return Call(name, None, arguments, token.offset)
    if len(arguments) != 1:
        raise ExpressionError("has() takes one argument", token.offset)
    field = arguments[0]
    if not isinstance(field, Select) or field.test:
        raise ExpressionError("has() takes a field, as in has(object.spec)", field.offset)
    return Select(field.operand, field.field, field.offset, test=True, optional=field.optional)


def _list(reader: _Reader, offset: int) -> Node:
    elements: list[Node] = []
    optional: list[bool] = []
    while not reader.skip("]"):
        optional.append(reader.skip("?"))
        elements.append(_expression(reader))
        if not reader.at("]"):
            reader.want(",")
    return ListLiteral(tuple(elements), tuple(optional), offset)


def _map(reader: _Reader, offset: int) -> Node:
    entries: list[tuple[Node, Node]] = []
    optional: list[bool] = []
    while not reader.skip("}"):
        optional.append(reader.skip("?"))
        key = _expression(reader)
        reader.want(":")
        entries.append((key, _expression(reader)))
        if not reader.at("}"):
            reader.want(",")
    return MapLiteral(tuple(entries), tuple(optional), offset)
