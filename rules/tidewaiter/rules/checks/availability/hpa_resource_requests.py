"""Where an autoscaler goes by a share of a request, the containers have that request.

Restricted: HorizontalPodAutoscalers with a Resource or ContainerResource metric whose target is a share.
Allowed: each container of the target (the named one) requests that resource, or has a limit of it, or a
LimitRange of the namespace gives it one. From 1.34, where the pod itself has resources, it is enough that
the pod or one container has it, unless a single container is measured.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#support-for-resource-metrics
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items, mapping
from tidewaiter.rules.manifest.metrics import metrics_of
from tidewaiter.rules.manifest.resources import amounts, pod_amounts, sized_containers
from tidewaiter.rules.manifest.scaling import HPA, target_of
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

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

_DEFAULTING = ("defaultRequest", "default", "max", "min")
_INJECTED = frozenset(
    {
        "consul-dataplane",
        "daprd",
        "istio-proxy",
        "kuma-sidecar",
        "linkerd-proxy",
        "vault-agent",
    }
)
"""Containers that service meshes and the like add to pods at run time."""


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
            f"whether {target.name or 'the target'} requests {relative[0].resource} is not known, "
            "its pods are not among the manifests",
            unknown=True,
        )
        return
    for metric in relative:
        yield from _of_metric(metric, found.workload, context)


def _of_metric(metric: Metric, workload: Workload, context: Context) -> Iterator[Violation]:
    name, inventory, owner = metric.resource, context.inventory, workload.resource
    measured = list(_measured(metric, workload))
    if metric.container and not measured:
        injected = metric.container in _INJECTED
        yield Violation(
            metric.pointer,
            f"{owner.kind} {owner.name} has no container {metric.container}, whose {name} is measured"
            + (", but it may be injected into the pods" if injected else ""),
            unknown=injected,
        )
    lacking = [container for container in measured if not _states(container.spec, name)]
    if not lacking or _has_default(name, inventory, owner):
        return
    if not metric.container and _pod_has(name, workload, context.version):
        return
    for container in lacking:
        yield Violation(
            metric.pointer,
            f"container {container.name} of {owner.kind} {owner.name} requests no {name}, of which "
            "the metric is a share"
            + ("" if inventory.complete else ", but a LimitRange may give it one"),
            container.name,
            unknown=not inventory.complete,
        )


def _states(spec: dict[str, Any], name: str) -> bool:
    """Tell whether a container has a request, which a limit without one becomes."""
    return name in amounts(spec, "requests") or name in amounts(spec, "limits")


def _pod_has(name: str, workload: Workload, version: tuple[int, int]) -> bool:
    """Tell whether the pod as a whole has a request.

    Where a pod states any resource of its own, what it leaves out is what its containers have together:
    https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2837-pod-level-resource-spec
    """
    of_pod = {
        **pod_amounts(workload, "limits", version),
        **pod_amounts(workload, "requests", version),
    }
    return bool(of_pod) and (
        name in of_pod
        or any(_states(container.spec, name) for container in sized_containers(workload))
    )


def _measured(metric: Metric, workload: Workload) -> Iterator[Container]:
    """Yield the containers that run for as long as the pod, or the one that the metric names."""
    for container in workload.containers:
        if (container.is_regular or container.is_sidecar) and (
            not metric.container or container.name == metric.container
        ):
            yield container


def _has_default(name: str, inventory: Inventory, resource: Resource) -> bool:
    """Tell whether a LimitRange of the namespace gives containers a request.

    Its default is the default limit where it has none, and that the maximum; without them the minimum.
    """
    for limit_range in inventory.of_kind("LimitRange", namespace_of(resource)):
        for limit, _ in items(limit_range.spec.get("limits"), ""):
            if limit.get("type") == "Container" and any(
                name in mapping(limit.get(field)) for field in _DEFAULTING
            ):
                return True
    return False
