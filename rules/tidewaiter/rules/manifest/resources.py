"""The compute resources that containers and pods ask for.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, mapping
from tidewaiter.rules.manifest.quantity import quantity_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload

_POD_LEVEL_SINCE = (1, 34)
"""Where the feature PodLevelResources is on by default (KEP-2837)."""


def sized_containers(workload: Workload) -> Iterator[Container]:
    """Yield the containers that may have resources: all but ephemeral ones."""
    for container in workload.containers:
        if not container.is_ephemeral:
            yield container


def amounts(spec: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the `requests` or `limits` of a container or pod spec, those that are null left out."""
    stated = mapping(dig(spec, "resources", field))
    return {name: amount for name, amount in stated.items() if amount is not None}


def pod_amounts(workload: Workload, field: str, version: tuple[int, int]) -> dict[str, Any]:
    """Return the requests or limits of the pod as a whole, where the version knows them."""
    return amounts(workload.pod_spec, field) if version >= _POD_LEVEL_SINCE else {}


def requested_together(workload: Workload) -> dict[str, int]:
    """Return what the containers of a pod request at once, in nano-units by resource.

    A limit without a request counts as one, as the API server makes it; what is no quantity does not
    count. Sidecars run beside the others, and beside each init container that starts after them:
    https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers
    """
    running: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in sized_containers(workload):
        stated = {**amounts(container.spec, "limits"), **amounts(container.spec, "requests")}
        for name, value in stated.items():
            amount = quantity_of(value)
            if amount is None:
                continue
            if container.is_init and not container.is_sidecar:
                starting[name] = max(starting.get(name, 0), amount + sidecars.get(name, 0))
                continue
            running[name] = running.get(name, 0) + amount
            if container.is_sidecar:
                sidecars[name] = sidecars.get(name, 0) + amount
    return {
        name: max(running.get(name, 0), starting.get(name, 0)) for name in {**starting, **running}
    }
