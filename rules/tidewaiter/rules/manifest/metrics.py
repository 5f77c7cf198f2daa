"""The metrics of a HorizontalPodAutoscaler, in every version of its API.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#support-for-resource-metrics
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

_OLD_METRICS = "autoscaling.alpha.kubernetes.io/metrics"


@record
class Metric:
    """One metric: its type, the JSON pointer of its entry, and for resource metrics the details.

    `resource` is "cpu", "memory", ...; `container` names one for a ContainerResource; `is_relative`
    says that the target is a share of the request.
    """

    type: str
    pointer: str
    resource: str = ""
    container: str = ""
    is_relative: bool = False


def metrics_of(hpa: Resource) -> tuple[Metric, ...]:
    """Return the metrics that an autoscaler goes by; without any it is 80% of the requested cpu."""
    if hpa.api_version.endswith("/v1"):
        stated = (*_old_metrics(hpa),)
        if hpa.spec.get("targetCPUUtilizationPercentage") is not None or not stated:
            pointer = "/spec/targetCPUUtilizationPercentage"
            return (Metric("Resource", pointer, "cpu", is_relative=True), *stated)
        return stated
    found = tuple(
        _metric(row, pointer) for row, pointer in items(hpa.spec.get("metrics"), "/spec/metrics")
    )
    return found or (Metric("Resource", "/spec/metrics", "cpu", is_relative=True),)


def _metric(row: dict[str, Any], pointer: str) -> Metric:
    kind = text(row.get("type"))
    field = kind[:1].lower() + kind[1:]
    source = mapping(row.get(field))
    relative = (
        dig(source, "target", "averageUtilization") is not None
        or dig(source, "target", "type") == "Utilization"
        or source.get("targetAverageUtilization") is not None
    )
    return Metric(kind, pointer, text(source.get("name")), text(source.get("container")), relative)


def _old_metrics(hpa: Resource) -> Iterator[Metric]:
    """Yield the metrics that autoscaling/v1 keeps in an annotation, as JSON."""
    stated = text(hpa.annotations.get(_OLD_METRICS))
    if not stated:
        return
    import json

    try:
        rows = json.loads(stated)
    except ValueError:
        return
    for row, _ in items(rows, ""):
        yield _metric(row, f"/metadata/annotations/{_OLD_METRICS.replace('/', '~1')}")
