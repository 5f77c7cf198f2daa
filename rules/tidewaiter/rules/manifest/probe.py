"""Probes of a container: what they ask and how often.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import items, mapping, whole_number
from tidewaiter.rules.manifest.replica_set import is_replica_set_of_its_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload

HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
DEFAULTS = {
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "timeoutSeconds": 1,
    "successThreshold": 1,
    "failureThreshold": 3,
}
"""What the API server fills in."""


def serving_containers(workload: Workload, *, sidecars: bool) -> Iterator[Container]:
    """Yield the containers that a long-running workload keeps, on request with its sidecars."""
    if workload.is_long_running or is_replica_set_of_its_own(workload):
        for container in workload.containers:
            if container.is_regular or (sidecars and container.is_sidecar):
                yield container


def unprobed(workload: Workload, field: str, *, sidecars: bool) -> Iterator[tuple[Container, str]]:
    """Yield the serving containers without a probe that asks something, and what they have instead."""
    for container in serving_containers(workload, sidecars=sidecars):
        stated = container.spec.get(field)
        if handler_of(mapping(stated)) is None:
            yield container, f"no {field}" if stated is None else f"a {field} that asks nothing"


def handler_of(probe: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return what a probe does, as the handler's name and content, or None where it does nothing."""
    for name in HANDLERS:
        if probe.get(name) is not None:
            return name, mapping(probe[name])
    return None


def number_of(probe: dict[str, Any], field: str) -> int:
    """Return a number of a probe, its default where it is left out or is no number."""
    # The API server reads 0 as unset in every field but the delay, whose default it is.
    return whole_number(probe.get(field)) or DEFAULTS[field]


def known_number(probe: dict[str, Any], field: str) -> int | None:
    """Return what a number of a probe comes to; None where it is no number, or one that is refused."""
    value = probe.get(field)
    number = 0 if value is None else whole_number(value)
    if number == 0:
        return DEFAULTS[field]
    return number if number is not None and number > 0 else None


def port_numbers(container: Container) -> dict[str, Any]:
    """Return the numbers of a container's ports by name."""
    return {
        str(port["name"]): port.get("containerPort")
        for port, _ in items(container.spec.get("ports"), "")
        if port.get("name")
    }
