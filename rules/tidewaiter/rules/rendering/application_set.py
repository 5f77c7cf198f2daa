"""The Applications that an ApplicationSet makes, where its repository alone tells: by its lists and the folders of git.

Generators that ask a cluster or a forge are not followed, nor are templates that compute more than names.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators/
"""

from __future__ import annotations

import fnmatch
import os
import re

from tidewaiter.rules.manifest.fields import mapping, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.rendering.gitops import Repository

MOST = 200
"""Applications of one set that are followed."""
_PLACEHOLDER = re.compile(r"\{\{-?\s*\.?([\w.-]+)\s*-?\}\}")


def applications(spec: dict[str, Any], repository: Repository) -> Iterator[dict[str, Any]]:
    """Yield the `spec` and `metadata` of each Application that the `spec` of an ApplicationSet makes."""
    count = 0
    for generator in sequence(spec.get("generators")):
        for parameters in _parameters(mapping(generator), repository):
            made = _filled(spec.get("template"), parameters)
            if made is None or count >= MOST:
                continue
            count += 1
            yield mapping(made)


def _parameters(generator: dict[str, Any], repository: Repository) -> Iterator[dict[str, str]]:
    for element in sequence(mapping(generator.get("list")).get("elements")):
        yield dict(_flat(mapping(element), ""))
    git = mapping(generator.get("git"))
    if git and repository.is_meant_by(text(git.get("repoURL"))):
        for folder in _folders(sequence(git.get("directories")), repository):
            yield _of_path(folder)
    both = [list(_parameters(mapping(each), repository)) for each in _matrix(generator)]
    if len(both) == 2:
        yield from ({**one, **other} for one in both[0] for other in both[1])


def _matrix(generator: dict[str, Any]) -> list[Any]:
    return sequence(mapping(generator.get("matrix")).get("generators"))


def _flat(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _flat(each, f"{prefix}{key}.")
        elif isinstance(each, (str, int, float, bool)):
            written = str(each).lower() if isinstance(each, bool) else str(each)
            yield f"{prefix}{key}", written


def _folders(stated: list[Any], repository: Repository) -> Iterator[str]:
    wanted = [mapping(each) for each in stated]
    patterns = [text(each.get("path")) for each in wanted if not each.get("exclude")]
    excluded = [text(each.get("path")) for each in wanted if each.get("exclude")]
    for above, folders, _ in os.walk(repository.root):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in folders:
            path = os.path.relpath(os.path.join(above, name), repository.root)
            if _matches(path, patterns) and not _matches(path, excluded):
                yield path


def _matches(path: str, patterns: list[str]) -> bool:
    """Tell whether a path fits one of the patterns, part by part: a star is no slash."""
    parts = path.split("/")
    for pattern in patterns:
        wanted = pattern.strip("/").split("/")
        if "**" in wanted and fnmatch.fnmatchcase(path, pattern):
            return True
        if len(wanted) == len(parts) and all(map(fnmatch.fnmatchcase, parts, wanted)):
            return True
    return False


def _of_path(path: str) -> dict[str, str]:
    parts = path.split("/")
    plain = re.sub(r"[^a-z0-9.-]", "-", parts[-1].lower())
    found = {"path": path, "path.path": path}
    found |= {"path.basename": parts[-1], "path.basenameNormalized": plain}
    found |= {f"path[{index}]": part for index, part in enumerate(parts)}
    return found


def _filled(value: Any, parameters: dict[str, str]) -> Any:
    """Return a template with its placeholders filled in, None where one is not known."""
    if isinstance(value, str):
        filled = _PLACEHOLDER.sub(lambda found: parameters.get(found[1], found[0]), value)
        return None if "{{" in filled else filled
    if isinstance(value, list):
        items = [_filled(each, parameters) for each in value]
        return (
            None
            if any(
                item is None and each is not None for item, each in zip(items, value, strict=True)
            )
            else items
        )
    if isinstance(value, dict):
        filled_in = {key: _filled(each, parameters) for key, each in value.items()}
        unknown = any(filled_in[key] is None and value[key] is not None for key in value)
        return None if unknown else filled_in
    return value
