"""New values as YAML or JSON, in the style of what stands around them."""

from __future__ import annotations

import json

from tidewaiter.rules.loading.scalars import ScalarProblem, plain_key, plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.")
_PLAIN = _PLAIN_START | frozenset("-+@:%=^()$;~ ")
# What YAML 1.2 reads otherwise than 1.1 does is quoted for readers of either.
_NUMERIC_START = frozenset("0123456789+-.")


class Style:
    """How a document is laid out: the step of its indentation, and how far a list's dashes stand in."""

    __slots__ = ("dash", "step")

    def __init__(self, step: int = 2, dash: int = 2) -> None:
        """Take both in columns; a `dash` of 0 puts it below its key."""
        self.step = step
        self.dash = dash


def entry_lines(key: str, value: Any, indent: int, style: Style) -> list[str]:
    """Return the lines of one entry of a block mapping whose keys stand at column `indent`, from 0."""
    head = " " * indent + _word(key, is_key=True) + ":"
    if isinstance(value, dict) and value:
        lines = [head]
        for inner, one in value.items():
            lines += entry_lines(inner, one, indent + style.step, style)
        return lines
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        lines = [head]
        for one in value:
            lines += item_lines(one, indent + style.dash, style)
        return lines
    return [f"{head} {flow(value)}"]


def item_lines(value: Any, indent: int, style: Style, gap: int = 1) -> list[str]:
    """Return the lines of one item of a block list whose dashes stand at column `indent`."""
    if not isinstance(value, dict) or not value:
        return [f"{' ' * indent}-{' ' * gap}{flow(value)}"]
    lines: list[str] = []
    for key, one in value.items():
        lines += entry_lines(key, one, indent + 1 + gap, style)
    lines[0] = f"{' ' * indent}-{' ' * gap}{lines[0].lstrip(' ')}"
    return lines


def flow(value: Any, *, is_json: bool = False) -> str:
    """Return a value on one line."""
    if is_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(member(key, one) for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return _word(value, is_key=False)
    return json.dumps(value)


def member(key: str, value: Any, *, is_json: bool = False, indent: int = 0, step: int = 0) -> str:
    """Return one entry of a mapping in braces; JSON with a `step` is spread over lines from `indent`."""
    if not is_json:
        return f"{_word(key, is_key=True)}: {flow(value)}"
    return f"{json.dumps(key)}: {spread(value, indent, step)}"


def spread(value: Any, indent: int, step: int) -> str:
    """Return a value as JSON, over several lines where `step` is not 0."""
    if not step:
        return json.dumps(value, ensure_ascii=False)
    text = json.dumps(value, ensure_ascii=False, indent=step)
    return text.replace("\n", "\n" + " " * indent)


def requoted(value: Any, old: str) -> str:
    """Return a scalar in the quotes of the text that it replaces."""
    if isinstance(value, str) and old[:1] == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, str) and old[:1] == '"':
        return json.dumps(value, ensure_ascii=False)
    return flow(value)


def _word(text: str, *, is_key: bool) -> str:
    """Return a text plain where every reader takes it for the same text, else in quotes."""
    try:
        is_same = plain_key(text) == text if is_key else plain_value(text) == text
    except ScalarProblem:
        is_same = False
    if (
        is_same
        and text
        and text[0] in _PLAIN_START
        and not _looks_numeric(text)
        and not set(text) - _PLAIN
        and ": " not in text
        and text[-1] not in ": "
    ):
        return text
    return json.dumps(text, ensure_ascii=False)


def _looks_numeric(text: str) -> bool:
    return text[0] in _NUMERIC_START and not set(text) - frozenset("0123456789+-.:eE_oxabcdfABCDF")
