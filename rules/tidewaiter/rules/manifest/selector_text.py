"""Label selectors as kubectl takes them: `app=api,tier!=cache,track in (stable,canary),!debug`.

Read as `labels.Parse` of apimachinery does, without the numeric `<` and `>`:
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#list-and-watch-filtering
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.manifest.selector import (
    InvalidSelector,
    Selector,
    label_key_problem,
    label_value_problem,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SET_OPERATORS = {"in": "In", "notin": "NotIn"}


@lru_cache(maxsize=64)
def parse_selector_text(text: str) -> Selector:
    """Read a selector. Raises `InvalidSelector`; an empty text selects everything."""
    equalities: list[tuple[str, str]] = []
    expressions: list[tuple[str, str, tuple[str, ...]]] = []
    if text.strip():
        for part in _requirements(text):
            key, operator, values = _requirement(part)
            _check(part, key, values)
            if operator == "In" and len(set(values)) == 1:
                equalities.append((key, values[0]))
            else:
                expressions.append((key, operator, values))
    return Selector(tuple(equalities), tuple(expressions))


def _requirements(text: str) -> Iterator[str]:
    """Split at the commas that do not stand in parentheses."""
    start, inside = 0, False
    for at, char in enumerate(text):
        if char in "()":
            inside = char == "("
        elif char == "," and not inside:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


def _requirement(part: str) -> tuple[str, str, tuple[str, ...]]:
    before, parenthesis, listed = part.partition("(")
    if parenthesis:
        words = before.split()
        if len(words) != 2 or words[1] not in _SET_OPERATORS or listed[-1:] != ")":
            raise _invalid(part)
        values = tuple(value.strip() for value in listed[:-1].split(","))
        return words[0], _SET_OPERATORS[words[1]], values
    for sign, operator in (("!=", "NotIn"), ("==", "In"), ("=", "In")):
        key, found, value = part.partition(sign)
        if found:
            return key.strip(), operator, (value.strip(),)
    if part.startswith("!"):
        return part[1:].strip(), "DoesNotExist", ()
    return part, "Exists", ()


def _check(part: str, key: str, values: tuple[str, ...]) -> None:
    if label_key_problem(key) or any(label_value_problem(value) for value in values):
        raise _invalid(part)


def _invalid(part: str) -> InvalidSelector:
    shown = repr(part if len(part) <= 60 else f"{part[:59]}…")
    return InvalidSelector("", f"{shown} is not a requirement on a label, such as app=api")
