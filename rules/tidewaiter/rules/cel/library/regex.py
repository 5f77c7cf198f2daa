"""Parts of a text by regular expression: find() and findAll().

https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-regex-library
"""

from __future__ import annotations

from tidewaiter.rules.cel.function import Overload
from tidewaiter.rules.cel.library.patterns import pattern_cost, pattern_of
from tidewaiter.rules.cel.types import INT, STRING, list_of


def _find(text: str, pattern: str) -> str:
    found = pattern_of(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = []
    end = -1
    for match in pattern_of(pattern).finditer(text):
        # An empty match right behind another one is none to Go.
        if match.end() > match.start() or match.start() != end:
            found.append(match[0])
        end = match.end()
    return found if limit < 0 else found[:limit]


def _cost(text: str, pattern: str, _: int = -1) -> int:
    return pattern_cost(text, pattern)


FUNCTIONS: tuple[Overload, ...] = (
    Overload("find", (STRING, STRING), STRING, _find, True, pattern_cost),
    Overload("findAll", (STRING, STRING), list_of(STRING), _find_all, True, pattern_cost),
    Overload("findAll", (STRING, STRING, INT), list_of(STRING), _find_all, True, _cost),
)
