"""Which objects a workload cannot do without, as an inventory keeps it and looks it up."""

from __future__ import annotations

from tidewaiter.rules.manifest.references import references_of
from tidewaiter.rules.manifest.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USES = "uses"
"""The key of an object in an inventory that holds the names."""


def names_used(obj: dict[str, Any], pod_specs: dict[str, str] | None = None) -> list[str]:
    """Return what a workload refers to, each as `ConfigMap/settings`; optional references are left out."""
    workload = Resource(obj, pod_specs=pod_specs).workload
    if workload is None:
        return []
    return sorted({f"{each.kind}/{each.name}" for each in references_of(workload)})


def uses(resource: Resource) -> tuple[object, ...]:
    """Return what a workload of an inventory refers to, whether it is kept whole or in part."""
    if resource.workload is None:
        return ()
    kept = resource.object.get(USES)
    if isinstance(kept, list):
        return tuple(kept)
    return tuple(sorted({f"{each.kind}/{each.name}" for each in references_of(resource.workload)}))
