"""An object against the definition of its kind: unknown fields, wrong types, missing fields.

What the API server's strict decoding and its structural check refuse; what only its validation code knows
(enumerations, ranges, fields that exclude each other) is not in the schemas.
https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.manifest.fields import escape, quoted
from tidewaiter.rules.manifest.quantity import quantity_of
from tidewaiter.rules.record import record
from tidewaiter.rules.schema import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    Test = Callable[[Any], bool]

_INT32 = 2**31
_INT64 = 2**63
_SHOWN = 40


@record
class Mistake:
    """A field that does not fit: its JSON pointer, what is wrong, and the name that was meant, if any.

    `is_unknown` says that it could not be found out whether the field fits.
    """

    pointer: str
    message: str
    nearest: str = ""
    is_unknown: bool = False


def mistakes(obj: dict[str, Any], definition: str, minor: int) -> Iterator[Mistake]:
    """Yield what does not fit the definition in Kubernetes 1.`minor`, in the object's order."""
    # Nearly every object fits, and that is found out in a third of the time that it takes to say where
    # one does not.
    if not _test_of(f".{definition}", minor)(obj):
        yield from _in_mapping(obj, definition, minor, "")


@lru_cache(maxsize=8192)
def _test_of(type_code: str, minor: int) -> Test:
    """Return what tells whether a value, not null, is of a type."""
    first = type_code[0]
    if first == ".":
        return _test_of_definition(type_code[1:], minor)
    if first == "[":
        return _test_of_list(type_code[1:], minor)
    if first == "{":
        return _test_of_map(type_code[1:], minor)
    return _SCALARS[type_code]


class _FieldTests(dict[str, "Test | None"]):
    """The tests of a definition's fields, each made when it is first asked for; definitions refer back."""

    __slots__ = ("_minor", "_types")

    def __init__(self, types: Mapping[str, str], minor: int) -> None:
        super().__init__()
        self._types = types
        self._minor = minor

    def __missing__(self, name: str) -> Test | None:
        type_code = self._types.get(name)
        test = None if type_code is None else _test_of(type_code, self._minor)
        if test is not None:
            # Unknown names are the manifest's own: keeping them would let them pile up.
            self[name] = test
        return test


def _test_of_definition(definition: str, minor: int) -> Test:
    types, required = definitions.fields_in(definition, minor)
    tests = _FieldTests(types, minor)
    needed = tuple(name for name in required if not _may_be_left_out(definition, name))

    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for name, inner in value.items():
            test = tests[name]
            if test is None or (inner is not None and not test(inner)):
                return False
        return not needed or all(value.get(name) is not None for name in needed)

    return fits


def _test_of_list(type_code: str, minor: int) -> Test:
    test = _test_of(type_code, minor)

    def fits(value: Any) -> bool:
        return isinstance(value, list) and all(inner is None or test(inner) for inner in value)

    return fits


def _test_of_map(type_code: str, minor: int) -> Test:
    test = _test_of(type_code, minor)

    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(
            inner is None or test(inner) for inner in value.values()
        )

    return fits


def _in_mapping(
    value: dict[str, Any], definition: str, minor: int, pointer: str
) -> Iterator[Mistake]:
    types, required = definitions.fields_in(definition, minor)
    for name, inner in value.items():
        type_code = types.get(name)
        if type_code is None:
            yield _unknown_field(name, definition, minor, pointer)
        elif inner is not None:
            # null is the same as leaving the field out; see the API conventions on optional fields
            check = _SCALARS.get(type_code)
            if check is None:
                yield from _in_value(inner, type_code, minor, f"{pointer}/{escape(name)}")
            elif not check(inner):
                yield _wrong_type(inner, type_code, f"{pointer}/{escape(name)}")
    for name in required:
        if value.get(name) is None and not _may_be_left_out(definition, name):
            yield Mistake(
                f"{pointer}/{escape(name)}", f"{_place(pointer)} has no {name}, which is required"
            )


def _in_value(value: Any, type_code: str, minor: int, pointer: str) -> Iterator[Mistake]:
    first = type_code[0]
    if first == ".":
        if isinstance(value, dict):
            yield from _in_mapping(value, type_code[1:], minor, pointer)
        else:
            yield _wrong_type(value, "o", pointer)
    elif first == "[":
        if isinstance(value, list):
            for index, inner in enumerate(value):
                yield from _in_element(inner, type_code[1:], minor, f"{pointer}/{index}")
        else:
            yield _wrong_type(value, "[", pointer)
    elif first == "{":
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from _in_element(inner, type_code[1:], minor, f"{pointer}/{escape(name)}")
        else:
            yield _wrong_type(value, "o", pointer)
    elif not _SCALARS[type_code](value):
        yield _wrong_type(value, type_code, pointer)


def _in_element(value: Any, type_code: str, minor: int, pointer: str) -> Iterator[Mistake]:
    """Check an element of a list or map, where null counts as the empty value of its type."""
    if value is not None:
        yield from _in_value(value, type_code, minor, pointer)


def _unknown_field(name: str, definition: str, minor: int, pointer: str) -> Mistake:
    place = f"{pointer}/{escape(name)}"
    kind = definition.rpartition(".")[2]
    elsewhere = definitions.fields(definition).get(name)
    if elsewhere:
        spans = sorted(span for form in elsewhere for span in form.spans)
        return Mistake(
            place, f"{kind} has no field {name!r} in Kubernetes 1.{minor}; {_when(spans, minor)}"
        )
    nearest = _nearest_in(name, definition, minor)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return Mistake(place, f"{kind} has no field {name!r}{hint}", nearest)


@lru_cache(maxsize=1024)
def _nearest_in(name: str, definition: str, minor: int) -> str:
    return nearest_field(name, definitions.fields_in(definition, minor)[0])


def nearest_field(name: str, known: Iterable[str]) -> str:
    """Return the field most like `name`: first one that differs by case, `-` or `_` alone."""
    plain = name.replace("-", "").replace("_", "").lower()
    for candidate in known:
        if candidate.lower() == plain:
            return candidate
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def _when(spans: list[tuple[int, int]], minor: int) -> str:
    later = [first for first, _ in spans if first > minor]
    if later:
        return f"it is there from 1.{later[0]}"
    return f"it was removed after 1.{spans[-1][1]}"


def _may_be_left_out(definition: str, name: str) -> bool:
    return (definition.rpartition(".")[2], name) in _NOT_ASKED_FOR


_NOT_ASKED_FOR = {
    ("NetworkPolicySpec", "podSelector"),
    ("RoleRef", "apiGroup"),
    ("StatefulSetSpec", "serviceName"),
}
"""Fields that older schemas call required, while every API server has taken objects without them."""


def _wrong_type(value: Any, type_code: str, pointer: str) -> Mistake:
    name = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    field = f"{pointer.split('/')[-2]}[{name}]" if name.isdigit() else name
    hint = ""
    if type_code == "s" and isinstance(value, bool | int | float) and not _may_be_secret(pointer):
        hint = f'; as a string it is "{_as_written(value)}"'
    return Mistake(
        pointer, f"{field} is {shown(value, pointer)}, which is no {_NAMES[type_code[0]]}{hint}"
    )


_OF_TEXTS = ("/env/", "/args", "/command", "/httpHeaders")
"""Parts of a pointer to texts of all kinds."""


def shown(value: Any, pointer: str) -> str:
    """Return a value as a message quotes it; one that may be secret is only named by its type."""
    if _may_be_secret(pointer) and not isinstance(value, dict | list):
        if isinstance(value, str):
            return "a text"
        return "a boolean" if isinstance(value, bool) else "a number"
    return quoted(value)


def _may_be_secret(pointer: str) -> bool:
    from tidewaiter.rules.manifest.credential import kind_of_name

    return (
        pointer.startswith(("/data/", "/stringData/"))
        or any(part in pointer for part in _OF_TEXTS)
        or bool(kind_of_name(pointer.rpartition("/")[2]))
    )


def _as_written(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:_SHOWN]


def _place(pointer: str) -> str:
    return pointer.lstrip("/").replace("/", ".") or "the object"


def _is_int(value: Any, bound: int) -> bool:
    if isinstance(value, float):
        # 1.0 and 1e3 decode into an integer field, 1.5 does not
        return value.is_integer() and -bound <= value < bound
    return isinstance(value, int) and not isinstance(value, bool) and -bound <= value < bound


def _is_base64(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    from base64 import b64decode
    from binascii import Error

    try:
        b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (Error, ValueError):
        return False
    return True


def is_time(value: Any) -> bool:
    """Tell whether a value is a date and time of RFC 3339."""
    if not isinstance(value, str):
        return False
    from datetime import datetime

    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return len(value) > len("2026-01-01") and value[10] in "Tt"


_SCALARS: dict[str, Test] = {
    "s": lambda value: isinstance(value, str),
    "b": lambda value: value is True or value is False,
    "i": lambda value: _is_int(value, _INT32),
    "l": lambda value: _is_int(value, _INT64),
    "n": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "p": lambda value: isinstance(value, str) or _is_int(value, _INT32),
    "q": lambda value: quantity_of(value) is not None,
    "y": _is_base64,
    "t": is_time,
    "o": lambda value: isinstance(value, dict),
    "*": lambda _: True,
}
_NAMES = {
    "s": "string",
    "b": "boolean",
    "i": "32-bit integer",
    "l": "integer",
    "n": "number",
    "p": "integer or percentage",
    "q": "quantity",
    "y": "base64 text",
    "t": "time such as 2026-01-31T12:00:00Z",
    "o": "mapping",
    "[": "list",
}
