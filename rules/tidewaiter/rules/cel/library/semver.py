"""Semantic versions: semver('1.2.3').isLessThan(semver('1.3.0')).

https://semver.org/spec/v2.0.0.html and
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-semver-library
"""

from __future__ import annotations

import re

from tidewaiter.rules.cel.function import Overload, function, member
from tidewaiter.rules.cel.types import BOOL, INT, STRING, Type
from tidewaiter.rules.cel.values import MOST_UINT, EvaluationError

SEMVER = Type("kubernetes.Semver")
_NUMBER = r"(0|[1-9][0-9]*)"
_PART = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PART}(?:\.{_PART})*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)


class Version:
    """A version. Builds do not count when versions are compared."""

    __slots__ = ("core", "pre")
    cel_type = SEMVER

    def __init__(self, core: tuple[int, int, int], pre: tuple[str, ...]) -> None:
        self.core, self.pre = core, pre

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and (other.core, other.pre) == (self.core, self.pre)

    def __hash__(self) -> int:
        return hash((self.core, self.pre))


def _semver(text: str) -> Version:
    found = _VERSION.fullmatch(text) if len(text) <= 1000 else None
    if found is None:
        raise EvaluationError(f"{text!r} is no semantic version such as 1.2.3")
    numbers = tuple(map(int, found.group(1, 2, 3)))
    pre = tuple(found[4].split(".")) if found[4] else ()
    if max(*numbers, *(int(each) for each in pre if each.isdigit())) > MOST_UINT:
        raise EvaluationError(f"{text!r} has a number that is too large")
    return Version((numbers[0], numbers[1], numbers[2]), pre)


def _normalized(text: str, normalize: bool) -> Version:
    """Read a version, with `normalize` also v1.2, 01.2.3 and their like."""
    if not normalize:
        return _semver(text)
    parts = [
        _without_zeros(part) if len(part) > 1 else part
        for part in text.removeprefix("v").split(".", 2)
    ]
    if len(parts) < 3 and set(parts[-1]) & {"+", "-"}:
        raise EvaluationError(f"{text!r} is short and has a prerelease or build")
    return _semver(".".join([*parts, "0", "0"][: max(3, len(parts))]))


def _without_zeros(part: str) -> str:
    rest = part.lstrip("0")
    return rest if rest[:1].isdigit() else f"0{rest}"


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _normalized(text, normalize)
    except EvaluationError:
        return False
    return True


def _compare(one: Version, other: Version) -> int:
    if one.core != other.core:
        return 1 if one.core > other.core else -1
    if not one.pre or not other.pre:
        return (not one.pre) - (not other.pre)
    left, right = tuple(map(_rank, one.pre)), tuple(map(_rank, other.pre))
    return (left > right) - (left < right)


def _rank(part: str) -> tuple[int, int, str]:
    """Return what sorts numbers before words."""
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


_PAIR = (SEMVER, SEMVER)

FUNCTIONS: tuple[Overload, ...] = (
    function("semver", (STRING,), SEMVER, _semver),
    function("semver", (STRING, BOOL), SEMVER, _normalized),
    function("isSemver", (STRING,), BOOL, _is_semver),
    function("isSemver", (STRING, BOOL), BOOL, _is_semver),
    member("major", (SEMVER,), INT, lambda version: version.core[0]),
    member("minor", (SEMVER,), INT, lambda version: version.core[1]),
    member("patch", (SEMVER,), INT, lambda version: version.core[2]),
    member("isLessThan", _PAIR, BOOL, lambda one, other: _compare(one, other) < 0),
    member("isGreaterThan", _PAIR, BOOL, lambda one, other: _compare(one, other) > 0),
    member("compareTo", _PAIR, INT, _compare),
)
