"""Argo CD: the Application in an Application or in an ApplicationSet's template, and what it deploys.

https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

APPLICATION = "Application.argoproj.io"
APPLICATION_SET = "ApplicationSet.argoproj.io"

PINNED = "pinned"
MOVING = "moving"
UNCLEAR = "unclear"

_DIGITS = "0123456789"
_BRANCHES = frozenset(
    {
        "canary",
        "dev",
        "devel",
        "develop",
        "development",
        "head",
        "latest",
        "main",
        "master",
        "next",
        "prod",
        "production",
        "qa",
        "stage",
        "staging",
        "test",
        "testing",
        "trunk",
    }
)
_BRANCH_FOLDERS = ("bugfix/", "env/", "environments/", "feature/", "features/", "fix/", "hotfix/")


def application_spec(resource: Resource) -> tuple[dict[str, Any], str]:
    """Return the spec of an Application, or of an ApplicationSet's template, with its pointer."""
    if resource.kind_id == APPLICATION_SET:
        return mapping(dig(resource.spec, "template", "spec")), "/spec/template/spec"
    return resource.spec, "/spec"


def may_be_patched(resource: Resource) -> bool:
    """Tell whether an ApplicationSet adds to its template what the template does not show."""
    if resource.kind_id != APPLICATION_SET:
        return False
    return bool(resource.spec.get("templatePatch")) or _has_template(resource.spec)


def sources_of(spec: dict[str, Any], pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each source with its pointer: those of `sources`, or `source` where there are none."""
    several = list(items(spec.get("sources"), f"{pointer}/sources"))
    if several:
        yield from several
    elif isinstance(spec.get("source"), dict):
        yield spec["source"], f"{pointer}/source"


def is_templated(value: object) -> bool:
    """Tell whether an ApplicationSet fills a value in, in either syntax of its templates."""
    return "{{" in text(value)


def pinning(revision: str, *, chart: bool) -> str:
    """Tell whether a targetRevision is `PINNED` to one state, `MOVING`, or `UNCLEAR`.

    For a Helm chart it is a version or a range of versions; for git a commit, a tag, a branch, HEAD or
    a range of versions of tags. A name that may be a branch or a tag is unclear.
    """
    if not revision or _is_range(revision):
        return MOVING
    name = revision.removeprefix("sha256:")
    if chart or name != revision or revision.startswith("refs/tags/"):
        return PINNED
    if revision.startswith("refs/"):
        return MOVING
    if len(name) in range(7, 41) and not name.strip(f"{_DIGITS}abcdef") and name.strip("abcdef"):
        return PINNED
    if name.lower() in _BRANCHES or name.startswith(_BRANCH_FOLDERS):
        return MOVING
    return PINNED if _ends_in_version(name) else UNCLEAR


def _is_range(revision: str) -> bool:
    if any(sign in revision for sign in "*^~<>|=,") or " " in revision.strip():
        return True
    parts = revision.removeprefix("v").split(".")
    return parts[0].isdecimal() and any(part in {"x", "X"} for part in parts[1:])


def _ends_in_version(name: str) -> bool:
    """Tell whether a name has three numbers with dots: `v1.2.3`, `api-1.2.3`, `2026.01.05-rc.1`."""
    core = name.partition("+")[0]
    for at, char in enumerate(core):
        if char in _DIGITS and (at == 0 or core[at - 1] not in f"{_DIGITS}."):
            numbers = core[at:].replace("-", ".").replace("_", ".").split(".")
            if len(numbers) >= 3 and all(number.isdecimal() for number in numbers[:3]):
                return core[at:].count(".") >= 2
    return False


def _has_template(value: dict[str, Any]) -> bool:
    """Tell whether a generator has a template of its own, nested generators included."""
    for generator, _ in items(value.get("generators"), ""):
        for settings in generator.values():
            if isinstance(settings, dict) and (settings.get("template") or _has_template(settings)):
                return True
    return False
