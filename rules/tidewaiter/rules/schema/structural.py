"""A value against a structural schema: the part of OpenAPI v3 that a CustomResourceDefinition may use.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.manifest.fields import escape, mapping, sequence
from tidewaiter.rules.record import record
from tidewaiter.rules.schema.validate import Mistake, is_time, nearest_field, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeGuard

    Schema = dict[str, Any]

_DEPTH = 128
"""Deeper schemas are not followed; a manifest cannot nest much deeper either."""
IMPLIED = ("apiVersion", "kind", "metadata")
"""Fields of a resource, embedded ones too, which its schema need not name."""


def structural_mistakes(
    value: Any, schema: Schema, *, prunes: bool = True, pointer: str = ""
) -> Iterator[Mistake]:
    """Yield what does not fit. `prunes` says whether fields that the schema does not name are mistakes."""
    yield from _check(value, schema, pointer, prunes, _DEPTH)


def _check(value: Any, schema: Schema, pointer: str, prunes: bool, depth: int) -> Iterator[Mistake]:
    if depth == 0:
        return
    problem = _type_problem(value, schema)
    if problem:
        yield Mistake(
            pointer, f"{_name(pointer)} is {shown(value, pointer)}, which is no {problem}"
        )
        return
    if value is None:
        return
    yield from _values(value, schema, pointer)
    if isinstance(value, dict):
        yield from _mapping(value, schema, pointer, prunes, depth)
    elif isinstance(value, list):
        yield from _list(value, schema, pointer, prunes, depth)
    yield from _combined(value, schema, pointer, depth)


def _type_problem(value: Any, schema: Schema) -> str:
    """Name the type that a value should have and has not, or return an empty text."""
    if value is None:
        # null in a field that is not nullable is dropped, as if the field were left out
        return ""
    if schema.get("x-kubernetes-int-or-string") is True:
        fits = isinstance(value, str) or _is_integer(value)
        return "" if fits else "integer or string"
    wanted = schema.get("type")
    names = (
        [wanted] if isinstance(wanted, str) else [one for one in sequence(wanted) if one != "null"]
    )
    tests = [_TYPES.get(name) if isinstance(name, str) else None for name in names]
    fits = not tests or any(test is None or test(value) for test in tests)
    return "" if fits else " or ".join(map(str, names))


def _mapping(
    value: dict[str, Any], schema: Schema, pointer: str, prunes: bool, depth: int
) -> Iterator[Mistake]:
    properties = mapping(schema.get("properties"))
    others = schema.get("additionalProperties")
    keeps = (
        not prunes
        or schema.get("x-kubernetes-preserve-unknown-fields") is True
        or (others is not None and others is not False)
        or ("properties" not in schema and "type" not in schema)
    )
    is_resource = schema.get("x-kubernetes-embedded-resource") is True
    for name, inner in value.items():
        place = f"{pointer}/{escape(name)}"
        if name in properties:
            yield from _check(inner, mapping(properties[name]), place, prunes, depth - 1)
        elif isinstance(others, dict):
            yield from _check(inner, others, place, prunes, depth - 1)
        elif not keeps and not (is_resource and name in IMPLIED):
            nearest = nearest_field(name, properties)
            hint = f"; did you mean {nearest!r}?" if nearest else ""
            yield Mistake(place, f"{_name(pointer)} has no field {name!r}{hint}", nearest)
    for name in sequence(schema.get("required")):
        absent = isinstance(name, str) and name not in value
        if absent and "default" not in mapping(properties.get(name)):
            yield Mistake(
                f"{pointer}/{escape(name)}", f"{_name(pointer)} has no {name}, which is required"
            )
    yield from _length(len(value), schema, "Properties", "fields", pointer)


def _list(
    value: list[Any], schema: Schema, pointer: str, prunes: bool, depth: int
) -> Iterator[Mistake]:
    items = mapping(schema.get("items"))
    for index, inner in enumerate(value):
        yield from _check(inner, items, f"{pointer}/{index}", prunes, depth - 1)
    yield from _length(len(value), schema, "Items", "elements", pointer)
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set":
        yield from _repeated([repr(inner) for inner in value], pointer)
    elif kind == "map":
        keys = sequence(schema.get("x-kubernetes-list-map-keys"))
        yield from _repeated([_map_key(inner, keys, items) for inner in value], pointer)


def _map_key(element: Any, keys: list[Any], items: Schema) -> str:
    stated = mapping(element)
    properties = mapping(items.get("properties"))
    return repr([stated.get(key, mapping(properties.get(key)).get("default")) for key in keys])


def _repeated(keys: list[str], pointer: str) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key in seen:
            yield Mistake(
                f"{pointer}/{index}",
                f"{_name(pointer)}[{index}] is the same as {_name(pointer)}[{seen[key]}]",
            )
        else:
            seen[key] = index


def _values(value: Any, schema: Schema, pointer: str) -> Iterator[Mistake]:
    """Check what a schema says of a value that is no matter of its parts."""
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_same(value, one) for one in allowed):
        choices = ", ".join(str(one) for one in allowed[:8]) + ("…" if len(allowed) > 8 else "")
        nearest = nearest_field(value, [one for one in allowed if isinstance(one, str)])
        yield Mistake(
            pointer,
            f"{_name(pointer)} is {shown(value, pointer)}, which is none of {choices}",
            nearest if isinstance(value, str) else "",
        )
    if isinstance(value, str):
        yield from _length(len(value), schema, "Length", "characters", pointer)
        yield from _text(value, schema, pointer)
    elif _is_number(value):
        yield from _bounds(value, schema, pointer)


def _text(value: str, schema: Schema, pointer: str) -> Iterator[Mistake]:
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        matches = _matcher(pattern)(value)
        if matches is None:
            yield Mistake(
                pointer, f"the pattern of {_name(pointer)} cannot be read here", is_unknown=True
            )
        elif not matches:
            yield Mistake(
                pointer,
                f"{_name(pointer)} is {shown(value, pointer)}, which does not match {pattern}",
            )
    if schema.get("format") == "date-time" and not is_time(value):
        yield Mistake(
            pointer, f"{_name(pointer)} is {shown(value, pointer)}, which is no date and time"
        )


def _bounds(value: float, schema: Schema, pointer: str) -> Iterator[Mistake]:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    name = _name(pointer)
    if _is_number(low):
        exclusive = schema.get("exclusiveMinimum") is True
        if value < low or (exclusive and value == low):
            yield Mistake(pointer, f"{name} is {value}, below {'or at ' * exclusive}{low}")
    if _is_number(high):
        exclusive = schema.get("exclusiveMaximum") is True
        if value > high or (exclusive and value == high):
            yield Mistake(pointer, f"{name} is {value}, above {'or at ' * exclusive}{high}")
    if _is_number(step) and step > 0 and value % step:
        yield Mistake(pointer, f"{name} is {value}, which is no multiple of {step}")
    if schema.get("format") == "int32" and not -(2**31) <= value < 2**31:
        yield Mistake(pointer, f"{name} is {value}, which is no 32-bit integer")


def _length(count: int, schema: Schema, what: str, unit: str, pointer: str) -> Iterator[Mistake]:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if _is_number(low) and count < low:
        yield Mistake(pointer, f"{_name(pointer)} has {count} {unit}, fewer than {low}")
    if _is_number(high) and count > high:
        yield Mistake(pointer, f"{_name(pointer)} has {count} {unit}, more than {high}")


def _combined(value: Any, schema: Schema, pointer: str, depth: int) -> Iterator[Mistake]:
    """Check allOf, anyOf, oneOf and not; in a structural schema they prune nothing."""

    def fits(one: Any) -> bool:
        found = _check(value, mapping(one), pointer, False, depth - 1)
        return all(mistake.is_unknown for mistake in found)

    for one in sequence(schema.get("allOf")):
        yield from _check(value, mapping(one), pointer, False, depth - 1)
    any_of, one_of = sequence(schema.get("anyOf")), sequence(schema.get("oneOf"))
    if any_of and not any(fits(one) for one in any_of):
        yield Mistake(pointer, f"{_name(pointer)} fits none of the forms that its schema allows")
    if one_of and sum(fits(one) for one in one_of) != 1:
        yield Mistake(
            pointer, f"{_name(pointer)} must fit exactly one of the forms that its schema allows"
        )
    if isinstance(schema.get("not"), dict) and fits(schema["not"]):
        yield Mistake(pointer, f"{_name(pointer)} has a form that its schema forbids")


@record
class _Pattern:
    """A compiled pattern; calling it tells whether a text matches, None where it cannot be read."""

    matcher: Any

    def __call__(self, value: str) -> bool | None:
        if self.matcher is None:
            return None
        from pydantic_core import ValidationError

        try:
            self.matcher.validate_python(value)
        except ValidationError:
            return False
        return True


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> Callable[[str], bool | None]:
    """Compile a pattern of Go's syntax; the engine is linear in time, as Go's is."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return _Pattern(
            SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        )
    except SchemaError:
        return _Pattern(None)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _same(value: Any, allowed: Any) -> bool:
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
}


def _name(pointer: str) -> str:
    last = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    if last.isdigit():
        return f"{_name(pointer.rpartition('/')[0])}[{last}]"
    return last or "the object"
