"""JSON documents, read as JSON: Kubernetes' own reading where a document begins with a brace.

Only documents that begin with `{` or `[` come here, so the import of the standard library's parser
costs nothing elsewhere. What is not JSON (`{a: b}`) is read as YAML.
"""

from __future__ import annotations

import json

from tidewaiter.rules.loading.limits import DEFAULT_LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class JsonProblem(Exception):
    """JSON that Kubernetes cannot hold, as one sentence."""


def value_ends(text: str) -> list[int]:
    """Offsets behind each value of a stream of JSON values; empty where the text is not wholly JSON."""
    if sum(map(text.count, ",:[{")) > DEFAULT_LIMITS.values:
        return []  # the standard library knows no bounds; the YAML reader does
    decoder = json.JSONDecoder(parse_float=_nothing, parse_int=_nothing, parse_constant=_refuse)
    ends = []
    at = _skip(text, 0)
    while at < len(text):
        try:
            at = decoder.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            return []
        ends.append(at)
        at = _skip(text, at)
    if ends:
        ends[-1] = len(text)
    return ends


def read_value(text: str, depth: int) -> tuple[Any, bool]:
    """Read one JSON value that `value_ends` has cut out; tell also whether some key is repeated.

    Raises JsonProblem where it nests deeper than `depth` or holds a number beyond a 64-bit float.
    """
    repeats = False

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        made = dict(members)
        repeats = repeats or len(made) < len(members)
        return made

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=_number, parse_int=_number)
    except RecursionError:
        raise JsonProblem(f"nests more than {depth} levels deep") from None
    if _height(value) > depth:
        raise JsonProblem(f"nests more than {depth} levels deep")
    if "\\ud" in text or "\\uD" in text:
        value = _without_surrogates(value)
    return value, repeats


def _number(text: str) -> int | float:
    """Read a number as Kubernetes does: an integer where its value is one of 64 bits."""
    try:
        whole: int | float = int(text)
    except ValueError:
        whole = float(text)
    if -(1 << 63) <= whole < 1 << 64 and whole == int(whole):
        return int(whole)
    number = float(text)
    if number - number != 0:
        raise JsonProblem(f"{text[:40]} is a number too big for Kubernetes")
    return number


def _height(value: Any) -> int:
    height = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        height += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return height


def _without_surrogates(value: Any) -> Any:
    """Replace half of a surrogate pair by U+FFFD, as Go's decoder does."""
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    return value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\n\r":
        at += 1
    return at


def _nothing(_text: str) -> None:
    return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
