"""An expression made into a chain of Python functions, run as often as wanted.

A frame is a list: the budget first, then the values of the variables, then those of macros' own variables.
https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#evaluation
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cel.check import TYPE_NAMES, Environment, check, function_name, qualified_name
from tidewaiter.rules.cel.folds import FOLDS
from tidewaiter.rules.cel.literals import check_literals
from tidewaiter.rules.cel.operators import OPERATORS
from tidewaiter.rules.cel.parser import parse
from tidewaiter.rules.cel.syntax import (
    Bind,
    Call,
    Fold,
    Index,
    ListLiteral,
    Literal,
    MapLiteral,
    Name,
    Node,
    Select,
    children,
)
from tidewaiter.rules.cel.values import (
    ABSENT,
    CannotBeKnown,
    EvaluationError,
    OptionalValue,
    TypeValue,
    Unknown,
    accepts,
    type_of_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidewaiter.rules.cel.function import Overload

    Run = Callable[[list[Any]], Any]

BUDGET = 10_000_000
"""How many steps an expression may take: RuntimeCELCostBudget of k8s.io/apiserver/pkg/apis/cel."""


class Expression:
    """An expression that has been checked.

    source: its text. type: of its value. reads: the fields it looks at, each as the names on the way there, such as
    ("object", "spec", "replicas").
    """

    __slots__ = ("_names", "_run", "_size", "_steps", "reads", "source", "type")

    def __init__(self, source: str, environment: Environment) -> None:
        """Read and check an expression.

        Raises ExpressionError, with the place.
        """
        node = parse(source)
        self.source = source
        self.type, types = check(node, environment)
        check_literals(node, types, environment.functions)
        self.reads = tuple(dict.fromkeys(_paths(node)))
        self._names = tuple(environment.variables)
        compiler = _Compiler(environment.functions, self._names)
        self._run = compiler.run_of(node)
        self._size, self._steps = compiler.size, _steps(node)

    def evaluate(self, values: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """Return the value, given those of the variables.

        Raises EvaluationError where there is none, CannotBeKnown where it needs what is not known, CostExceeded.
        """
        frame: list[Any] = [None] * self._size
        frame[0] = budget or Budget()
        frame[0].spend(self._steps)
        for position, name in enumerate(self._names, 1):
            frame[position] = values.get(name, _UNSET)
        value = self._run(frame)
        if type(value) is Unknown:
            raise CannotBeKnown(value.what)
        return value


class Budget:
    """The steps that are left; one budget may serve several expressions."""

    __slots__ = ("left",)

    def __init__(self, steps: int = BUDGET) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take away steps.

        Raises CostExceeded when none are left.
        """
        from tidewaiter.rules.cel.values import CostExceeded

        self.left -= steps
        if self.left < 0:
            raise CostExceeded("the expression costs more than its budget allows")


_UNSET = Unknown("a variable that has no value here")


def _paths(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield the longest a.b.c of each place where a variable is read."""
    names: list[str] = []
    inner: Node = node
    while isinstance(inner, Select):
        names.insert(0, inner.field)
        inner = inner.operand
    if isinstance(inner, Name):
        yield (inner.name, *names)
        return
    for child in children(inner):
        yield from _paths(child)


def _steps(node: Node) -> int:
    return 1 + sum(map(_steps, children(node)))


class _Compiler:
    """Where each variable lies in the frame, and how large the frame is."""

    def __init__(
        self, functions: Mapping[tuple[str, bool], tuple[Overload, ...]], names: tuple[str, ...]
    ) -> None:
        self.functions = functions
        self.places = {name: position for position, name in enumerate(names, 1)}
        self.size = len(names) + 1

    def run_of(self, node: Node) -> Run:
        """Return what computes a node's value."""
        match node:
            case Literal(value):
                return lambda _: value
            case Name():
                return self._name(node.name)
            case Select():
                return self._select(node)
            case Index():
                return _indexed(
                    self.run_of(node.operand), self.run_of(node.key), optional=node.optional
                )
            case Call():
                return self._call(node)
            case ListLiteral():
                return _list([*map(self.run_of, node.elements)], node.optional)
            case MapLiteral():
                pairs = [(self.run_of(key), self.run_of(value)) for key, value in node.entries]
                return _map(pairs, node.optional)
            case Fold():
                return self._fold(node)
            case Bind():
                return self._bind(node)

    def _name(self, name: str) -> Run:
        place = self.places.get(name)
        if place is not None:
            return lambda frame: frame[place]
        value = TypeValue(TYPE_NAMES[name])
        return lambda _: value

    def _select(self, node: Select) -> Run:
        full = qualified_name(node)
        if full in TYPE_NAMES and full.partition(".")[0] not in self.places:
            value = TypeValue(TYPE_NAMES[full])
            return lambda _: value
        return _selected(
            self.run_of(node.operand), node.field, test=node.test, optional=node.optional
        )

    def _call(self, node: Call) -> Run:
        if node.target is None and node.name in {"&&", "||", "?:"}:
            parts = [*map(self.run_of, node.arguments)]
            if node.name == "?:":
                return _conditional(*parts)
            return _joined(parts, stop=node.name == "||", sign=node.name)
        if node.target is None:
            known = OPERATORS.get(node.name)
            overloads = known or self.functions[node.name, False]
            nodes = node.arguments
            if known:
                return _operator(known[0].run, [*map(self.run_of, nodes)])
        elif name := function_name(node, self.functions, self.places):
            overloads, nodes = self.functions[name, False], node.arguments
        else:
            overloads, nodes = self.functions[node.name, True], (node.target, *node.arguments)
        fitting = [each for each in overloads if len(each.parameters) == len(nodes)]
        return _function(node.name, fitting, [*map(self.run_of, nodes)])

    def _fold(self, node: Fold) -> Run:
        target = self.run_of(node.target)
        with_names = self._with(node.variables)
        parts = [with_names.run_of(each) for each in node.parts]
        self.size = max(self.size, with_names.size)
        places = [with_names.places[name] for name in node.variables]
        return FOLDS[node.macro](target, places, parts, sum(map(_steps, node.parts)))

    def _bind(self, node: Bind) -> Run:
        value = self.run_of(node.value)
        with_name = self._with((node.name,))
        body = with_name.run_of(node.body)
        self.size = max(self.size, with_name.size)
        place = with_name.places[node.name]
        return _mapped(value, place, body, wrap=node.macro == "optMap")

    def _with(self, names: tuple[str, ...]) -> _Compiler:
        """Return a compiler that sees these variables too, each in a place of its own."""
        inner = _Compiler(self.functions, ())
        inner.places = dict(self.places)
        used = max(self.places.values(), default=0)
        for position, name in enumerate(names, used + 1):
            inner.places[name] = position
        inner.size = max(self.size, used + len(names) + 1)
        return inner


def _selected(operand: Run, name: str, *, test: bool, optional: bool) -> Run:
    def run(frame: list[Any]) -> Any:
        value = operand(frame)
        if type(value) is dict and not test and not optional:
            try:
                return value[name]
            except KeyError:
                raise EvaluationError(f"no such key: {name}") from None
        return _field(value, name, test=test, optional=optional)

    return run


def _field(value: Any, name: str, *, test: bool, optional: bool) -> Any:
    """Return a field of anything but a plain map, or whether it is there, or it as an optional value."""
    kind = type(value)
    if kind is OptionalValue:
        if not value.present:
            return False if test else ABSENT
        value, optional, kind = value.value, not test, type(value.value)
    if kind is Unknown:
        raise CannotBeKnown(value.what)
    get = getattr(value, "field", None)
    if get is not None:
        return get(name, test=test)
    if kind is not dict:
        raise EvaluationError(
            f"no such field: a value of type {type_of_value(value)} has no {name}"
        )
    if test:
        return name in value
    if optional:
        return OptionalValue(value[name]) if name in value else ABSENT
    if name not in value:
        raise EvaluationError(f"no such key: {name}")
    return value[name]


def _indexed(operand: Run, key: Run, *, optional: bool) -> Run:
    def run(frame: list[Any]) -> Any:
        value, at = operand(frame), key(frame)
        as_optional = optional
        if type(value) is OptionalValue:
            if not value.present:
                return ABSENT
            value, as_optional = value.value, True
        for each in (value, at):
            if type(each) is Unknown:
                raise CannotBeKnown(each.what)
        found = _element(value, at)
        if as_optional:
            return ABSENT if found is _MISSING else OptionalValue(found)
        if found is _MISSING:
            what = "index out of bounds" if type(value) is list else "no such key"
            raise EvaluationError(f"{what}: {at}")
        return found

    return run


_MISSING = object()


def _element(value: Any, at: Any) -> Any:
    if type(value) is dict:
        try:
            return value.get(at, _MISSING)
        except TypeError:
            raise EvaluationError(f"a {type_of_value(at)} is no key") from None
    if type(value) is not list:
        raise EvaluationError(f"a value of type {type_of_value(value)} has no elements")
    if type(at) is float and at.is_integer():
        at = int(at)
    if not isinstance(at, int) or isinstance(at, bool):
        raise EvaluationError(f"a list is not indexed by {type_of_value(at)}")
    return value[at] if 0 <= at < len(value) else _MISSING


def _conditional(condition: Run, then: Run, otherwise: Run) -> Run:
    def run(frame: list[Any]) -> Any:
        chosen = condition(frame)
        if chosen is True:
            return then(frame)
        if chosen is False:
            return otherwise(frame)
        raise _no_bool("?:", chosen)

    return run


def _no_bool(sign: str, value: Any) -> EvaluationError:
    if type(value) is Unknown:
        return CannotBeKnown(value.what)
    return EvaluationError(f"no such overload: {sign} of a value of type {type_of_value(value)}")


def _joined(parts: list[Run], *, stop: bool, sign: str) -> Run:
    """Return `&&` or `||`: one part that decides makes the errors of the others not count."""

    def run(frame: list[Any]) -> Any:
        failed: EvaluationError | None = None
        for part in parts:
            try:
                value = part(frame)
            except EvaluationError as error:
                if failed is None or (
                    isinstance(error, CannotBeKnown) and not isinstance(failed, CannotBeKnown)
                ):
                    failed = error
                continue
            if value is stop:
                return stop
            if value is (not stop):
                continue
            if failed is None or type(value) is Unknown:
                failed = _no_bool(sign, value)
        if failed is not None:
            raise failed
        return not stop

    return run


def _operator(operate: Callable[..., Any], parts: list[Run]) -> Run:
    if len(parts) == 1:
        only = parts[0]
        return lambda frame: operate(only(frame))
    left, right = parts
    return lambda frame: operate(left(frame), right(frame))


def _function(name: str, overloads: list[Overload], parts: list[Run]) -> Run:
    def run(frame: list[Any]) -> Any:
        values = [part(frame) for part in parts]
        for overload in overloads:
            if all(map(accepts, overload.parameters, values)):
                if overload.cost is not None:
                    frame[0].spend(overload.cost(*values))
                return overload.run(*values)
        for value in values:
            if type(value) is Unknown:
                raise CannotBeKnown(value.what)
        shown = ", ".join(str(type_of_value(each)) for each in values)
        raise EvaluationError(f"no such overload: {name} of ({shown})")

    return run


def _list(parts: list[Run], optional: tuple[bool, ...]) -> Run:
    if not any(optional):
        return lambda frame: [part(frame) for part in parts]

    def run(frame: list[Any]) -> Any:
        found = []
        for part, may_lack in zip(parts, optional, strict=True):
            value = part(frame)
            if not may_lack:
                found.append(value)
            elif _optional(value).present:
                found.append(value.value)
        return found

    return run


def _optional(value: Any) -> OptionalValue:
    if type(value) is OptionalValue:
        return value
    raise _no_bool("?", value)


def _map(pairs: list[tuple[Run, Run]], optional: tuple[bool, ...]) -> Run:
    def run(frame: list[Any]) -> Any:
        found: dict[Any, Any] = {}
        for (key_of, value_of), may_lack in zip(pairs, optional, strict=True):
            key, value = key_of(frame), value_of(frame)
            if may_lack and not _optional(value).present:
                continue
            _put(found, key, value.value if may_lack else value)
        return found

    return run


def _put(found: dict[Any, Any], key: Any, value: Any) -> None:
    if type(key) is Unknown:
        raise CannotBeKnown(key.what)
    if type_of_value(key).name not in {"string", "int", "uint", "bool"}:
        raise EvaluationError(f"a {type_of_value(key)} is no key")
    found[key] = value


def _mapped(value: Run, place: int, body: Run, *, wrap: bool) -> Run:
    def run(frame: list[Any]) -> Any:
        given = _optional(value(frame))
        if not given.present:
            return ABSENT
        frame[place] = given.value
        result = body(frame)
        return OptionalValue(result) if wrap else result

    return run
