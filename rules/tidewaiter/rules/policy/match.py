"""The `match` of an override or an exemption: which objects, containers and files it speaks of.

Every given field must match (an empty match matches all); within a list one entry is enough. Names,
namespaces, kinds, containers, images and files are globs: `*` and `?` stand for any characters, `[ab]`
for one of those named. In `files`, `*` stops at a slash and `**` does not. Kinds are compared without
regard to case and may carry a group: `Deployment` or `Deployment.apps`.
"""

from __future__ import annotations

import re

from tidewaiter.rules.manifest.fields import text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource


@record
class Match:
    """A compiled match; a field that was not given is None and matches everything."""

    namespaces: re.Pattern[str] | None
    kinds: re.Pattern[str] | None
    names: re.Pattern[str] | None
    labels: tuple[tuple[str, str], ...]
    files: re.Pattern[str] | None
    containers: re.Pattern[str] | None
    images: re.Pattern[str] | None

    def matches(self, resource: Resource) -> bool:
        """Tell whether the match speaks of an object at all, containers and images left aside."""
        if self.namespaces and not self.namespaces.fullmatch(resource.namespace or ""):
            return False
        if self.names and not self.names.fullmatch(resource.name):
            return False
        if self.kinds and not (
            self.kinds.fullmatch(resource.kind) or self.kinds.fullmatch(resource.kind_id)
        ):
            return False
        if self.files and not self.files.fullmatch(_relative(resource.file)):
            return False
        return all(_has_label(resource, key, value) for key, value in self.labels)

    def matches_container(self, resource: Resource, container: str | None) -> bool:
        """Tell whether a finding on `container` of a matched object is meant.

        A finding on the pod as a whole is meant where `containers` is left out, and where an image
        of any of its containers matches `images`.
        """
        if self.containers and (container is None or not self.containers.fullmatch(container)):
            return False
        if self.images is None:
            return True
        if resource.workload is None:
            return False
        return any(
            self.images.fullmatch(text(candidate.spec.get("image")))
            for candidate in resource.workload.containers
            if container is None or candidate.name == container
        )


def compile_match(match: Mapping[str, Any]) -> Match:
    """Compile a match as the policy file states it, already validated."""
    return Match(
        namespaces=_globs(match.get("namespaces")),
        kinds=_globs(match.get("kinds"), re.IGNORECASE),
        names=_globs(match.get("names")),
        labels=tuple((match.get("labels") or {}).items()),
        files=_globs(match.get("files"), in_path=True),
        containers=_globs(match.get("containers")),
        images=_globs(match.get("images")),
    )


def _has_label(resource: Resource, key: str, value: str) -> bool:
    if resource.labels.get(key) == value:
        return True
    return resource.workload is not None and resource.workload.pod_labels.get(key) == value


def _relative(file: str) -> str:
    return file.removeprefix("./")


def _globs(
    patterns: Sequence[str] | None, flags: int = 0, *, in_path: bool = False
) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile(
        "|".join(expression(pattern, in_path=in_path) for pattern in patterns), flags | re.DOTALL
    )


def expression(pattern: str, *, in_path: bool = False) -> str:
    """Translate one glob; in a path `*` and `?` stop at a slash, and `**/` may stand for nothing.

    A bracket that is never closed stands for itself. Raises ValueError for a range that runs backwards.
    """
    any_character = "[^/]" if in_path else "."
    result = ""
    place = 0
    while place < len(pattern):
        if in_path and pattern.startswith("**/", place):
            result += "(?:.*/)?"
            place += 3
            continue
        if in_path and pattern.startswith("**", place):
            result += ".*"
            place += 2
            continue
        character = pattern[place]
        close = _closing_bracket(pattern, place) if character == "[" else -1
        if character == "*":
            result += f"{any_character}*"
        elif character == "?":
            result += any_character
        elif close != -1:
            result += _one_of(pattern[place + 1 : close], in_path)
            place = close
        else:
            result += re.escape(character)
        place += 1
    return result


def _closing_bracket(pattern: str, opening: int) -> int:
    """Find the end of a set; a bracket that comes first in it is one of its members."""
    first = opening + (2 if pattern[opening + 1 : opening + 2] in {"!", "^"} else 1)
    return pattern.find("]", first + 1)


def _one_of(inside: str, in_path: bool) -> str:
    """Translate a set, each member escaped: regular expressions know more signs in a set than globs."""
    negated = inside[0] in "!^"
    members = inside[negated:]
    result = "/" if negated and in_path else ""
    place = 0
    while place < len(members):
        low = high = members[place]
        if members[place + 1 : place + 2] == "-" and place + 2 < len(members):
            high = members[place + 2]
            place += 2
        if low > high:
            msg = f"the range {low}-{high} runs backwards"
            raise ValueError(msg)
        result += re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}"
        place += 1
    return f"[{'^' if negated else ''}{result}]"
