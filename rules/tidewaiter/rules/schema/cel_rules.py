"""The CEL rules of a structural schema, `x-kubernetes-validations`, on an object that is created.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

from base64 import b64decode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.environment import function_table
from tidewaiter.rules.cel.check import Environment
from tidewaiter.rules.cel.compiled import Budget, Expression
from tidewaiter.rules.cel.library.times import parse_duration, parse_timestamp
from tidewaiter.rules.cel.syntax import ExpressionError
from tidewaiter.rules.cel.tokens import RESERVED
from tidewaiter.rules.cel.types import DYN
from tidewaiter.rules.cel.values import (
    ABSENT,
    CannotBeKnown,
    CostExceeded,
    EvaluationError,
    Unknown,
)
from tidewaiter.rules.manifest.fields import escape, mapping, sequence, text
from tidewaiter.rules.schema.validate import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator

    Schema = dict[str, Any]

_KEYWORDS = (RESERVED | {"true", "false", "null", "in"}) - {"var", "void", "while"}
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_SEEN_OF_METADATA = ("name", "generateName")
"""What rules at the root may read of the metadata."""


def broken_rules(value: Any, schema: Schema) -> Iterator[Mistake]:
    """Yield the rules that an object breaks, which fits the schema otherwise.

    Rules on the change of an object (`oldSelf`) do not speak of one that is created.
    """
    if isinstance(value, dict):
        metadata = mapping(value.get("metadata"))
        seen = {key: metadata[key] for key in _SEEN_OF_METADATA if key in metadata}
        value = {**value, "metadata": seen}
    yield from _check(value, schema, "", Budget())


def _check(value: Any, schema: Schema, pointer: str, budget: Budget) -> Iterator[Mistake]:
    rules = sequence(schema.get("x-kubernetes-validations"))
    if rules and value is not None:
        converted = _converted(value, schema)
        for rule in map(mapping, rules):
            yield from _broken(rule, converted, pointer, budget)
    if isinstance(value, dict):
        properties, others = (
            mapping(schema.get("properties")),
            mapping(schema.get("additionalProperties")),
        )
        for name, inner in value.items():
            yield from _check(
                inner, mapping(properties.get(name, others)), f"{pointer}/{escape(name)}", budget
            )
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _check(inner, mapping(schema.get("items")), f"{pointer}/{index}", budget)


def _broken(rule: dict[str, Any], value: Any, pointer: str, budget: Budget) -> Iterator[Mistake]:
    source = text(rule.get("rule"))
    try:
        expression = _expression(source)
    except ExpressionError as error:
        message = f"its rule {source.strip()!r} cannot be read: {error.message}"
        yield Mistake(pointer, message, is_unknown=True)
        return
    values = {"self": value}
    if any(path[0] == "oldSelf" for path in expression.reads):
        if rule.get("optionalOldSelf") is not True:
            return
        values["oldSelf"] = ABSENT
    try:
        if expression.evaluate(values, budget) is True:
            return
        message = _message(rule, values)
    except CannotBeKnown as error:
        yield Mistake(pointer, f"its rule {source.strip()!r} needs {error}", is_unknown=True)
        return
    except (EvaluationError, CostExceeded) as error:
        message = f"its rule {source.strip()!r} has no answer: {error}"
    yield Mistake(pointer + _field_path(text(rule.get("fieldPath"))), message)


@lru_cache(maxsize=1024)
def _expression(source: str) -> Expression:
    return Expression(source, Environment({"self": DYN, "oldSelf": DYN}, function_table()))


def _message(rule: dict[str, Any], values: dict[str, Any]) -> str:
    said = ""
    if rule.get("messageExpression"):
        try:
            found = _expression(text(rule["messageExpression"])).evaluate(values)
            said = found.strip() if isinstance(found, str) else ""
        except (ExpressionError, EvaluationError, CostExceeded):
            said = ""
    message = said if said and "\n" not in said else text(rule.get("message")).strip()
    return message or f"it breaks the rule {text(rule.get('rule')).strip()}"


def _field_path(path: str) -> str:
    """Return a JSON pointer for `.spec.name` or `.labels['a.b']`."""
    pointer, rest = "", path
    while rest:
        if rest.startswith("['"):
            name, _, rest = rest[2:].partition("']")
        else:
            rest = rest.removeprefix(".")
            end = min(
                (place for place in (rest.find("."), rest.find("[")) if place >= 0),
                default=len(rest),
            )
            name, rest = rest[:end], rest[end:]
            if not name:
                return pointer
        pointer += f"/{escape(name)}"
    return pointer


def _converted(value: Any, schema: Schema) -> Any:
    """Return a value as rules see it: with defaults, and in the types that its formats stand for."""
    if isinstance(value, dict):
        return _mapping(value, schema)
    if isinstance(value, list):
        items = mapping(schema.get("items"))
        return [_converted(each, items) for each in value]
    if isinstance(value, str):
        return _text(value, schema)
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return value


def _mapping(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    properties = mapping(schema.get("properties"))
    others = mapping(schema.get("additionalProperties"))
    found = {}
    for name, inner in value.items():
        if inner is None and mapping(properties.get(name)).get("nullable") is not True:
            continue
        # The fields of an object are identifiers, the keys of a map any texts.
        key = _identifier(name) if name in properties else name
        found[key] = _converted(inner, mapping(properties.get(name, others)))
    for name, inner in properties.items():
        default = mapping(inner).get("default")
        if default is not None and value.get(name) is None:
            found[_identifier(name)] = _converted(default, mapping(inner))
    return found


def _identifier(name: str) -> str:
    """Return a field's name as rules write it: `a-b` is a__dash__b, `namespace` is __namespace__.

    https://pkg.go.dev/k8s.io/apiserver/pkg/cel#Escape
    """
    if name in _KEYWORDS:
        return f"__{name}__"
    for sign, escaped in _ESCAPES:
        name = name.replace(sign, escaped)
    return name


def _text(value: str, schema: Schema) -> Any:
    try:
        match schema.get("format"):
            case "date-time":
                return parse_timestamp(value)
            case "date":
                return parse_timestamp(f"{value}T00:00:00Z")
            case "duration":
                return parse_duration(value)
            case "byte":
                return b64decode(value, validate=True)
    except (EvaluationError, ValueError):
        return Unknown(f"what {value!r} means as {schema.get('format')}")
    return value
