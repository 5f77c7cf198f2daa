"""The compute resources that containers and pods ask for.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, mapping

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
