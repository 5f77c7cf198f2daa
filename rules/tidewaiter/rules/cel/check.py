"""What is wrong with an expression before it runs: unknown names, and values of the wrong type.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#gradual-type-checking
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidewaiter.rules.cel.operators import OPERATORS, SHOWN
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
from tidewaiter.rules.cel.types import (
    BOOL,
    DURATION,
    DYN,
    INT,
    NULL,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    optional_of,
    type_of,
)
from tidewaiter.rules.cel.values import type_of_value
from tidewaiter.rules.names import nearest_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.cel.function import Overload

TYPE_NAMES = {
    **{
        name: Type(name)
        for name in ("bool", "int", "uint", "double", "string", "bytes", "null_type")
    },
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "type": type_of(DYN),
    "optional_type": optional_of(DYN),
    TIMESTAMP.name: TIMESTAMP,
    DURATION.name: DURATION,
}
"""Types that an expression may name, as in type(x) == int."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may use.

    variables: the type of each. structs: for types of their own, the type of each field. functions: by name and
    whether they are called on a value, in the order in which they are tried.
    """

    variables: Mapping[str, Type]
    functions: Mapping[tuple[str, bool], tuple[Overload, ...]]
    structs: Mapping[str, Mapping[str, Type]] = field(default_factory=dict)


def check(node: Node, environment: Environment) -> tuple[Type, dict[int, Type]]:
    """Return the type of an expression's value, and those of all its nodes, by their id().

    Raises ExpressionError, with the place.
    """
    checker = _Checker(environment)
    found = checker.type_at(node, dict(environment.variables))
    return checker.resolved(found), {
        key: checker.resolved(each) for key, each in checker.types.items()
    }


def qualified_name(node: Node | None) -> str:
    """Return `a.b.c` for a name of that form, or the empty string."""
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Select) and not node.test and not node.optional:
        parent = qualified_name(node.operand)
        return f"{parent}.{node.field}" if parent else ""
    return ""


def function_name(
    call: Call, functions: Mapping[tuple[str, bool], object], variables: object
) -> str:
    """Return the name of a function with a namespace, such as sets.contains, or the empty string."""
    prefix = qualified_name(call.target)
    if not prefix or prefix.partition(".")[0] in variables:  # type: ignore[operator]
        return ""
    name = f"{prefix}.{call.name}"
    return name if (name, False) in functions else ""


class _Checker:
    """The types found so far for type parameters, and the code that finds them."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.bound: dict[str, Type] = {}
        self.types: dict[int, Type] = {}
        self.count = 0
        self.formatted = 0

    def fresh(self) -> Type:
        """Return a type parameter that nothing else uses."""
        self.count += 1
        return Type(f"T{self.count}")

    def resolved(self, found: Type) -> Type:
        """Return a type with what is known of its parameters, others as dyn."""
        if found.is_parameter:
            return self.resolved(self.bound[found.name]) if found.name in self.bound else DYN
        return (
            Type(found.name, tuple(self.resolved(each) for each in found.of)) if found.of else found
        )

    def assignable(self, to: Type, value: Type) -> bool:
        """Return whether a value of one type may be where the other is wanted; binds parameters."""
        to, value = self._root(to), self._root(value)
        if to == value or "dyn" in {to.name, value.name}:
            return True
        for one, other in ((to, value), (value, to)):
            if one.is_parameter:
                if self._occurs(one, other):
                    return False
                self.bound[one.name] = other
                return True
        if value == NULL and (to in {TIMESTAMP, DURATION} or "." in to.name):
            return True
        return (
            to.name == value.name
            and len(to.of) == len(value.of)
            and all(map(self.assignable, to.of, value.of))
        )

    def _root(self, found: Type) -> Type:
        while found.is_parameter and found.name in self.bound:
            found = self.bound[found.name]
        return found

    def _occurs(self, parameter: Type, inside: Type) -> bool:
        inside = self._root(inside)
        return inside == parameter or any(self._occurs(parameter, each) for each in inside.of)

    def type_at(self, node: Node, names: Mapping[str, Type]) -> Type:
        """Return the type of a node's value, with the variables that it sees, and note it down."""
        found = self.types[id(node)] = self._type_at(node, names)
        return found

    def _type_at(self, node: Node, names: Mapping[str, Type]) -> Type:
        match node:
            case Literal():
                return type_of_value(node.value)
            case Name():
                return self._name(node, names)
            case Select():
                return self._select(node, names)
            case Index():
                return self._index(node, names)
            case Call():
                return self._call(node, names)
            case ListLiteral():
                return list_of(self._same(node.elements, node.optional, names))
            case MapLiteral():
                keys = self._same(tuple(key for key, _ in node.entries), (), names)
                values = self._same(tuple(value for _, value in node.entries), node.optional, names)
                return map_of(keys, values)
            case Fold():
                return self._fold(node, names)
            case Bind():
                return self._bind(node, names)

    def _name(self, node: Name, names: Mapping[str, Type]) -> Type:
        if node.name in names:
            return names[node.name]
        if node.name in TYPE_NAMES:
            return type_of(TYPE_NAMES[node.name])
        near = nearest_name(node.name, names)
        hint = f"; did you mean {near}?" if near else ""
        raise ExpressionError(f"there is no variable {node.name}{hint}", node.offset)

    def _select(self, node: Select, names: Mapping[str, Type]) -> Type:
        full = qualified_name(node)
        if full in TYPE_NAMES and full.partition(".")[0] not in names:
            return type_of(TYPE_NAMES[full])
        operand = self._root(self.type_at(node.operand, names))
        is_optional = operand.name == "optional_type"
        if is_optional:
            operand = self._root(operand.of[0])
        if operand.name == "map":
            found = operand.of[1]
        elif operand.name in self.environment.structs:
            fields = self.environment.structs[operand.name]
            if node.field not in fields:
                near = nearest_name(node.field, fields)
                hint = f"; did you mean {near}?" if near else ""
                where = full.rpartition(".")[0] or operand.name
                raise ExpressionError(f"{where} has no field {node.field}{hint}", node.offset)
            found = fields[node.field]
        elif operand.is_parameter or operand.name == "dyn":
            found = DYN
        else:
            raise ExpressionError(f"a value of type {operand} has no fields", node.offset)
        if node.test:
            return BOOL
        return optional_of(found) if node.optional or is_optional else found

    def _index(self, node: Index, names: Mapping[str, Type]) -> Type:
        operand = self._root(self.type_at(node.operand, names))
        key = self.type_at(node.key, names)
        is_optional = operand.name == "optional_type"
        if is_optional:
            operand = self._root(operand.of[0])
        if operand.name == "list":
            wanted, found = INT, operand.of[0]
        elif operand.name == "map":
            wanted, found = operand.of
        elif operand.is_parameter or operand.name == "dyn":
            wanted, found = DYN, DYN
        else:
            raise ExpressionError(f"a value of type {operand} has no elements", node.offset)
        if not self.assignable(wanted, key):
            text = f"{operand} is not indexed by {self.resolved(key)}"
            raise ExpressionError(text, node.offset)
        return optional_of(found) if node.optional or is_optional else found

    def _same(
        self, nodes: tuple[Node, ...], optional: tuple[bool, ...], names: Mapping[str, Type]
    ) -> Type:
        """Return the one type that all elements of a literal have."""
        common = self.fresh()
        for position, node in enumerate(nodes):
            found = self._root(self.type_at(node, names))
            if optional and optional[position]:
                if found.name not in {"optional_type", "dyn"}:
                    raise ExpressionError(f"? needs an optional value, not {found}", node.offset)
                found = found.of[0] if found.of else DYN
            if not self.assignable(common, found):
                if not self.formatted:
                    shown = f"{self.resolved(common)} is wanted, not {self.resolved(found)}"
                    raise ExpressionError(f"all elements must have one type: {shown}", node.offset)
                common = DYN
            if found.name == "dyn":
                common = DYN
        return common

    def _call(self, node: Call, names: Mapping[str, Type]) -> Type:
        functions = self.environment.functions
        if node.target is None:
            overloads = OPERATORS.get(node.name) or functions.get((node.name, False), ())
            arguments = node.arguments
        elif name := function_name(node, functions, names):
            overloads, arguments = functions[name, False], node.arguments
        else:
            overloads = functions.get((node.name, True), ())
            arguments = (node.target, *node.arguments)
        if not overloads:
            raise self._no_function(node)
        if node.name in {"&&", "||"}:
            overloads = tuple(
                each._replace(parameters=(BOOL,) * len(arguments)) for each in overloads
            )
        # The values of format() are a list of whatever types, and so are the literals among them.
        self.formatted += node.name == "format"
        types = [self.type_at(each, names) for each in arguments]
        self.formatted -= node.name == "format"
        return self._chosen(node, overloads, types)

    def _no_function(self, node: Call) -> ExpressionError:
        known = [
            name
            for name, member in self.environment.functions
            if member == (node.target is not None)
        ]
        near = nearest_name(node.name, known)
        hint = f"; did you mean {near}?" if near else ""
        return ExpressionError(f"there is no function {node.name}(){hint}", node.offset)

    def _chosen(self, node: Call, overloads: tuple[Overload, ...], types: list[Type]) -> Type:
        """Return the result's type: of the one signature that fits, or dyn where several do with others."""
        results: list[Type] = []
        kept = self.bound
        merged = kept
        for overload in overloads:
            if len(overload.parameters) != len(types):
                continue
            self.bound = dict(kept)
            fresh: dict[str, Type] = {}
            wanted = [self._instance(each, fresh) for each in overload.parameters]
            if all(map(self.assignable, wanted, types)):
                results.append(self.resolved_keeping(self._instance(overload.result, fresh)))
                if len(results) == 1:
                    merged = self.bound
        self.bound = merged if len(results) == 1 else kept
        if not results:
            shown = ", ".join(str(self.resolved(each)) for each in types)
            name = SHOWN.get(node.name, node.name)
            raise ExpressionError(f"{name} does not take ({shown})", node.offset)
        return results[0] if all(each == results[0] for each in results) else DYN

    def resolved_keeping(self, found: Type) -> Type:
        """Return a type with what is known of its parameters, others left open."""
        found = self._root(found)
        return Type(found.name, tuple(map(self.resolved_keeping, found.of))) if found.of else found

    def _instance(self, found: Type, fresh: dict[str, Type]) -> Type:
        if found.is_parameter:
            if found.name not in fresh:
                fresh[found.name] = self.fresh()
            return fresh[found.name]
        return (
            Type(found.name, tuple(self._instance(each, fresh) for each in found.of))
            if found.of
            else found
        )

    def _fold(self, node: Fold, names: Mapping[str, Type]) -> Type:
        target = self._root(self.type_at(node.target, names))
        if target.name == "list":
            first, second = INT, target.of[0]
        elif target.name == "map":
            first, second = target.of
        elif target.is_parameter or target.name == "dyn":
            first, second = DYN, DYN
        else:
            raise ExpressionError(
                f"{node.macro}() goes through a list or a map, not {target}", node.offset
            )
        element = second if target.name == "list" else first
        given = (element,) if len(node.variables) == 1 else (first, second)
        inner = {**names, **dict(zip(node.variables, given, strict=True))}
        types = [self.type_at(each, inner) for each in node.parts]
        condition = node.parts[0] if node.macro in _CONDITIONS or len(node.parts) == 2 else None
        if condition is not None and not self.assignable(BOOL, types[0]):
            text = (
                f"{node.macro}() needs a condition, not a value of type {self.resolved(types[0])}"
            )
            raise ExpressionError(text, condition.offset)
        return self._folded(node.macro, element, first, types[-1])

    def _folded(self, macro: str, element: Type, key: Type, result: Type) -> Type:
        if macro in {"filter", "sortBy"}:
            return list_of(element)
        if macro in _CONDITIONS:
            return BOOL
        if macro == "transformMap":
            return map_of(key, result)
        if macro == "transformMapEntry":
            result = self._root(result)
            return result if result.name == "map" else map_of(DYN, DYN)
        return list_of(result)

    def _bind(self, node: Bind, names: Mapping[str, Type]) -> Type:
        value = self._root(self.type_at(node.value, names))
        if value.name not in {"optional_type", "dyn"} and not value.is_parameter:
            raise ExpressionError(
                f"{node.macro}() needs an optional value, not {value}", node.offset
            )
        inner = value.of[0] if value.of else DYN
        body = self.type_at(node.body, {**names, node.name: inner})
        return optional_of(body) if node.macro == "optMap" else body


_CONDITIONS = frozenset(["all", "exists", "exists_one", "filter"])
