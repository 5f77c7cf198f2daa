"""How many replicas a workload has, its autoscalers considered."""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.scaling import (
    HPA,
    SCALED_OBJECT,
    Target,
    bounds_of,
    target_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload


def scalers_of(resource: Resource, inventory: Inventory) -> Sequence[Resource]:
    """Return the HorizontalPodAutoscalers and ScaledObjects that scale a resource."""
    namespace = namespace_of(resource)
    key = Target(resource.kind_id, resource.name)
    return (
        *inventory.lookup(HPA, namespace, _targets, key),
        *inventory.lookup(SCALED_OBJECT, namespace, _targets, key),
    )


def least_replicas(workload: Workload, inventory: Inventory) -> int | None:
    """Return the number of replicas that a workload has at least, or None where nobody says.

    A scaler's minimum counts before the manifest's own number, which it overrides, except that an HPA
    leaves alone what is at 0. A minimum of 0 counts as one: less is no running workload, and the HPA
    that KEDA makes keeps one. A field that is left out means one replica, but in a set that is not
    complete a scaler may stand elsewhere.
    """
    scalers = scalers_of(workload.resource, inventory)
    if scalers and not (workload.replicas == 0 and scalers[0].kind_id == HPA):
        least = bounds_of(scalers[0]).least
        return None if least is None else max(least, 1)
    if workload.replicas is None and not inventory.complete:
        return None
    return 1 if workload.replicas is None else workload.replicas


def _targets(scaler: Resource) -> tuple[Target, ...]:
    return (target_of(scaler),)
