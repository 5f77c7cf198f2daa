"""Where an autoscaler goes by a share of a request, the containers have that request.

Restricted: HorizontalPodAutoscalers with a Resource or ContainerResource metric whose target is a share.
Allowed: each container of the target (the named one) requests that resource, or has a limit of it, or a
LimitRange of the namespace, or from 1.34 the pod itself, gives it one.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#support-for-resource-metrics
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items, mapping
from tidewaiter.rules.manifest.metrics import metrics_of
from tidewaiter.rules.manifest.resources import amounts, pod_amounts
from tidewaiter.rules.manifest.scaling import HPA, target_of
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.metrics import Metric
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="hpa-resource-requests",
    section="availability",
    severity="error",
    profiles=("recommended",),
    summary="containers request what their autoscaler measures a share of",
    rationale=(
        "Without the request there is nothing to take a share of: the autoscaler reports FailedGetResource"
        "Metric and does not scale. One container without it is enough."
    ),
    remediation=(
        "Request the resource on every container of the target:\n"
        "resources:\n  requests: {cpu: 250m, memory: 256Mi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/",
        "https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale-walkthrough/",
    ),
    applies_to=(HPA,),
    needs_inventory=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each metric and container without the request."""
    relative = [metric for metric in metrics_of(resource) if metric.is_relative and metric.resource]
    if not relative:
        return
    target = target_of(resource)
    found = context.inventory.get(target.kind_id, namespace_of(resource), target.name)
    if found is None or found.workload is None:
        # A target that is missing from a set is for hpa-target to report.
        yield Violation(
            relative[0].pointer,
            f"whether {target.name or 'the target'} requests {relative[0].resource} is not known, it "
            "is not among the manifests",
            unknown=True,
        )
        return
    for metric in relative:
        yield from _of_metric(metric, found.workload, context)


def _of_metric(metric: Metric, workload: Workload, context: Context) -> Iterator[Violation]:
    name = metric.resource
    of_pod = {
        **pod_amounts(workload, "limits", context.version),
        **pod_amounts(workload, "requests", context.version),
    }
    measured = list(_measured(metric, workload))
    if metric.container and not measured:
        yield Violation(
            metric.pointer,
            f"{workload.resource.kind} {workload.resource.name} has no container "
            f"{metric.container}, whose {name} is measured",
        )
    for container in measured:
        has_request = (
            name in amounts(container.spec, "requests")
            or name in amounts(container.spec, "limits")
            or name in of_pod
        )
        if not has_request and not _has_default(name, context.inventory, workload.resource):
            yield Violation(
                metric.pointer,
                f"container {container.name} of {workload.resource.kind} {workload.resource.name} "
                f"requests no {name}, of which the metric is a share",
                container.name,
            )


def _measured(metric: Metric, workload: Workload) -> Iterator[Container]:
    """Yield the containers that run for as long as the pod, or the one that the metric names."""
    for container in workload.containers:
        if (container.is_regular or container.is_sidecar) and (
            not metric.container or container.name == metric.container
        ):
            yield container


def _has_default(name: str, inventory: Inventory, resource: Resource) -> bool:
    """Tell whether a LimitRange of the namespace gives containers a request."""
    for limit_range in inventory.of_kind("LimitRange", namespace_of(resource)):
        for limit, _ in items(limit_range.spec.get("limits"), ""):
            if limit.get("type") == "Container" and any(
                name in mapping(limit.get(field)) for field in ("defaultRequest", "default")
            ):
                return True
    return False
