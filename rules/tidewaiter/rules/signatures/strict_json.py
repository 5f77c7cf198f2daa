"""Read JSON in the only way that two readers cannot disagree on.

A key that stands twice is refused: one reader would check the first value, another use the second.
So are NaN, numbers too large to be exact, bytes that are not UTF-8, and nesting without end.
"""

from __future__ import annotations

import json
from typing import Any


class MalformedJson(ValueError):
    """The message says what is wrong, without its place."""


def read_json(content: bytes) -> Any:
    """Return a JSON document's value. Raises MalformedJson."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJson("is not UTF-8") from None
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except MalformedJson:
        raise
    except RecursionError:
        raise MalformedJson("is nested too deeply") from None
    except ValueError as error:
        raise MalformedJson(f"is no JSON: {error}") from None


def read_object(content: bytes) -> dict[str, Any]:
    """Return a document that must be an object. Raises MalformedJson."""
    value = read_json(content)
    if not isinstance(value, dict):
        raise MalformedJson("is no JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedJson(f"has the key {key!r} twice")
            seen.add(key)
    return value


def _no_constant(text: str) -> None:
    raise MalformedJson(f"has {text}, which is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise MalformedJson("has a number that is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > 40:
        raise MalformedJson("has a number of more than 40 digits")
    return int(text)
