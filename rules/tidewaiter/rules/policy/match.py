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
        "|".join(_expression(pattern, in_path) for pattern in patterns), flags | re.DOTALL
    )


def _expression(pattern: str, in_path: bool) -> str:
    """Translate one glob; in a path `*` and `?` stop at a slash, and `**/` may stand for nothing."""
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
        close = pattern.find("]", place + 2) if character == "[" else -1
        if character == "*":
            result += "[^/]*" if in_path else ".*"
        elif character == "?":
            result += "[^/]" if in_path else "."
        elif close != -1:
            inside = pattern[place + 1 : close].replace("\\", "\\\\")
            result += f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
            place = close
        else:
            result += re.escape(character)
        place += 1
    return result
