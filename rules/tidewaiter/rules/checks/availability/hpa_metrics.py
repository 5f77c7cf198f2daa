"""An autoscaler goes by what the service does, not by cpu or memory alone.

Restricted field: spec.metrics of HorizontalPodAutoscalers. Allowed: at least one metric of type Pods, Object
or External.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#scaling-on-custom-metrics
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.metrics import metrics_of
from tidewaiter.rules.manifest.scaling import HPA
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="hpa-metrics",
    section="availability",
    severity="warning",
    profiles=("recommended",),
    summary="an autoscaler has a metric of the application, not cpu or memory alone",
    rationale=(
        "A service that waits for a database or holds connections open is full long before its cpu is. "
        "Requests in flight, queue length or connections show that in time."
    ),
    remediation=(
        "Add a metric that follows the load:\nspec:\n  metrics:\n    - type: Pods\n      pods:\n"
        "        metric: {name: http_requests_in_flight}\n"
        '        target: {type: AverageValue, averageValue: "50"}'
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/",
        "https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale-walkthrough/",
    ),
    applies_to=(HPA,),
    tags=("anti-pattern",),
)

_OF_APPLICATION = frozenset({"Pods", "Object", "External"})


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for an autoscaler that has resource metrics only."""
    del context
    metrics = metrics_of(resource)
    if any(metric.type in _OF_APPLICATION for metric in metrics):
        return
    names = sorted({metric.resource or metric.type or "no type" for metric in metrics})
    pointer = metrics[0].pointer if len(metrics) == 1 else "/spec/metrics"
    yield Violation(
        pointer, f"{resource.kind} {resource.name} scales on {' and '.join(names)} alone"
    )
