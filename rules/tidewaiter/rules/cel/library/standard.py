"""Functions of the language itself on strings, bytes, lists and maps.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.library.patterns import pattern_cost, pattern_of
from tidewaiter.rules.cel.types import BOOL, BYTES, INT, STRING, A, B, list_of, map_of


def _size(value: Any) -> int:
    return len(value)


def _matches(text: str, pattern: str) -> bool:
    return pattern_of(pattern).search(text) is not None


def _text_cost(text: str, *_: str) -> int:
    """Return what going through a text costs: a tenth of its length."""
    return -(-len(text) // 10)


_SIZED = (STRING, BYTES, list_of(A), map_of(A, B))

FUNCTIONS: tuple[Overload, ...] = (
    *(function("size", (each,), INT, _size) for each in _SIZED),
    *(member("size", (each,), INT, _size) for each in _SIZED),
    Overload("contains", (STRING, STRING), BOOL, lambda text, part: part in text, True, _text_cost),
    member("startsWith", (STRING, STRING), BOOL, lambda text, part: text.startswith(part)),
    member("endsWith", (STRING, STRING), BOOL, lambda text, part: text.endswith(part)),
    Overload("matches", (STRING, STRING), BOOL, _matches, False, pattern_cost),
    Overload("matches", (STRING, STRING), BOOL, _matches, True, pattern_cost),
)
