"""A custom resource against the CustomResourceDefinition of the same run.

A structural schema is read as the API server reads it: unknown fields are mistakes unless
`x-kubernetes-preserve-unknown-fields` or `additionalProperties` lets them be, defaults count as present,
`x-kubernetes-int-or-string` and `x-kubernetes-embedded-resource` are understood, lists marked as `set` or
`map` hold nothing twice. What fits is asked the CEL rules of `x-kubernetes-validations`; see `cel_rules`.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.api_version import group_of
from tidewaiter.rules.manifest.fields import dig, mapping, sequence
from tidewaiter.rules.record import record, replace
from tidewaiter.rules.schema import definitions
from tidewaiter.rules.schema.structural import IMPLIED, structural_mistakes
from tidewaiter.rules.schema.validate import Mistake, mistakes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

CRD = "CustomResourceDefinition.apiextensions.k8s.io"
_OBJECT_META = "machinery.meta.v1.ObjectMeta"


@record
class ServedDefinition:
    """A CustomResourceDefinition that names a kind: the versions it serves, and each one's schema.

    The schemas let the fields be that every object has, and that no definition describes.
    """

    name: str
    schemas: dict[str, dict[str, Any] | None]
    prunes: bool
    has_rules: bool


def served_definition(resource: Resource, inventory: Inventory) -> ServedDefinition | None:
    """Return the definition of a custom resource's kind among the manifests, or None.

    Definitions made of the schemas of a folder have one version each and are taken together.
    """
    return inventory.once(_definition_of, group_of(resource.api_version), resource.kind.lower())


def _definition_of(inventory: Inventory, group: str, kind: str) -> ServedDefinition | None:
    found = inventory.lookup(CRD, None, _kinds_of, (group, kind))
    if not found and group:
        found = inventory.lookup(CRD, None, _kinds_of, (group.partition(".")[0], kind))
    if not found:
        return None
    served = [_served(one) for one in found]
    schemas = {
        version: schema for one in reversed(served) for version, schema in one.schemas.items()
    }
    has_rules = any(one.has_rules for one in served)
    return ServedDefinition(served[0].name, schemas, served[0].prunes, has_rules)


def custom_mistakes(resource: Resource, definition: ServedDefinition) -> Iterator[Mistake]:
    """Yield what does not fit the definition."""
    version = resource.api_version.rpartition("/")[2]
    if version not in definition.schemas:
        served = ", ".join(definition.schemas) or "none"
        yield Mistake(
            "/apiVersion", f"{definition.name} serves no version {version!r}, but {served}"
        )
        return
    schema = definition.schemas[version]
    metadata = resource.object.get("metadata")
    if isinstance(metadata, dict):
        for mistake in mistakes(metadata, _OBJECT_META, definitions.NEWEST[1]):
            yield replace(mistake, pointer=f"/metadata{mistake.pointer}")
    if schema is None:
        return
    fits = True
    for mistake in structural_mistakes(resource.object, schema, prunes=definition.prunes):
        fits = fits and mistake.is_unknown
        yield mistake
    if fits and definition.has_rules:
        from tidewaiter.rules.schema.cel_rules import broken_rules

        yield from broken_rules(resource.object, schema)


def _kinds_of(definition: Resource) -> tuple[tuple[str, str], ...]:
    spec = definition.spec
    return ((str(spec.get("group", "")), str(dig(spec, "names", "kind") or "").lower()),)


def _served(definition: Resource) -> ServedDefinition:
    spec = definition.spec
    common = dig(spec, "validation", "openAPIV3Schema")
    schemas: dict[str, dict[str, Any] | None] = {}
    rows = sequence(spec.get("versions")) or [{"name": spec.get("version"), "served": True}]
    for row in map(mapping, rows):
        if row.get("served") is not False:
            stated = dig(row, "schema", "openAPIV3Schema") or common
            schema = _with_implied_fields(stated) if isinstance(stated, dict) else None
            schemas[str(row.get("name"))] = schema
    return ServedDefinition(
        definition.name,
        schemas,
        prunes=definition.api_version.endswith("/v1") or spec.get("preserveUnknownFields") is False,
        has_rules="x-kubernetes-validations" in repr(schemas),
    )


def _with_implied_fields(schema: dict[str, Any]) -> dict[str, Any]:
    implied = {name: {"x-kubernetes-preserve-unknown-fields": True} for name in IMPLIED}
    return {**schema, "properties": {**mapping(schema.get("properties")), **implied}}
