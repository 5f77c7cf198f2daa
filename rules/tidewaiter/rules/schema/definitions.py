"""Kubernetes' own OpenAPI schemas, in the compact form of `kubernetes.txt`.

The file is made by `schemas/generate.py`. A line `+ apps/v1 Deployment apps.v1.Deployment 25-` says which
definition a kind has, in which minor versions of Kubernetes 1 (nothing behind it: in all of them). A line
`= apps.v1.Deployment` begins a definition; each line after it is a field, `name! type versions`, the
exclamation mark where it is required. A type is one letter, `.definition`, `[` and the type of the elements,
or `{` and the type of the values:

    s string   i int32   l int64   n number   b boolean   y base64   t date and time (RFC 3339)
    p integer or percentage (IntOrString)   q quantity   o any mapping   * anything

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

from __future__ import annotations

import os
from functools import lru_cache

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (1, 25)
NEWEST = (1, 37)
_ALL = (OLDEST[1], NEWEST[1])


@record
class Field:
    """A field's type in the form above, whether it is required, and the first and last minor version.

    A field that changed has one for each of its forms.
    """

    type: str
    is_required: bool
    spans: tuple[tuple[int, int], ...]

    def is_in(self, minor: int) -> bool:
        """Tell whether Kubernetes 1.`minor` has the field in this form."""
        return any(first <= minor <= last for first, last in self.spans)


@record
class Schemas:
    """The kinds, as (apiVersion, kind) to definition and versions, and the definitions' text."""

    kinds: dict[tuple[str, str], tuple[tuple[str, tuple[tuple[int, int], ...]], ...]]
    texts: dict[str, str]


@lru_cache(maxsize=1)
def _schemas() -> Schemas:
    path = os.path.join(os.path.dirname(__file__), "kubernetes.txt")
    with open(path, encoding="utf-8") as file:
        head, *blocks = file.read().split("\n= ")
    kinds: dict[tuple[str, str], tuple[tuple[str, tuple[tuple[int, int], ...]], ...]] = {}
    for line in head.split("\n+ ")[1:]:
        api_version, kind, definition, *spans = line.split(" ")
        known = kinds.get((api_version, kind), ())
        kinds[api_version, kind] = (*known, (definition, _spans(spans)))
    return Schemas(kinds, dict(block.partition("\n")[::2] for block in blocks))


def definition_of(api_version: str, kind: str, version: tuple[int, int]) -> str | None:
    """Return the name of the definition that a kind has in a version, or None where it has none."""
    for definition, spans in _schemas().kinds.get((api_version, kind), ()):
        if any(first <= version[1] <= last for first, last in spans):
            return definition
    return None


def versions_of(api_version: str, kind: str) -> tuple[tuple[int, int], ...]:
    """Return the first and last minor versions, among those known, that serve a kind."""
    return tuple(
        span for _, spans in _schemas().kinds.get((api_version, kind), ()) for span in spans
    )


def kinds_of_group_version(api_version: str, version: tuple[int, int]) -> tuple[str, ...]:
    """Return the kinds of an apiVersion in a version of Kubernetes."""
    return tuple(
        kind
        for known, kind in _schemas().kinds
        if known == api_version and definition_of(known, kind, version)
    )


def api_versions_of(kind: str, version: tuple[int, int]) -> tuple[str, ...]:
    """Return the apiVersions that serve a kind of this name in a version of Kubernetes."""
    return tuple(
        api_version
        for api_version, known in _schemas().kinds
        if known == kind and definition_of(api_version, known, version)
    )


@lru_cache(maxsize=4096)
def fields(definition: str) -> Mapping[str, tuple[Field, ...]]:
    """Return a definition's fields by name, in every version that is known."""
    found: dict[str, tuple[Field, ...]] = {}
    for line in _schemas().texts[definition].splitlines():
        name, type_code, *spans = line.split(" ")
        field = Field(type_code, name.endswith("!"), _spans(spans))
        name = name.removesuffix("!")
        found[name] = (*found.get(name, ()), field)
    return found


@lru_cache(maxsize=4096)
def fields_in(definition: str, minor: int) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return a definition's fields in Kubernetes 1.`minor` as name to type, and the required ones."""
    types: dict[str, str] = {}
    required = []
    for name, forms in fields(definition).items():
        for form in forms:
            if form.is_in(minor):
                types[name] = form.type
                if form.is_required:
                    required.append(name)
    return types, tuple(required)


def _spans(stated: list[str]) -> tuple[tuple[int, int], ...]:
    if not stated:
        return (_ALL,)
    spans = []
    for part in stated[0].split(","):
        first, _, last = part.partition("-")
        spans.append((int(first), int(last) if last else NEWEST[1]))
    return tuple(spans)
