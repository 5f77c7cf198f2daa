"""A VerticalPodAutoscaler and a horizontal one do not go by the same resource of the same pods.

Restricted: VerticalPodAutoscalers that change running pods (updateMode Recreate, the default, Auto or
InPlaceOrRecreate) of a workload that a HorizontalPodAutoscaler or a ScaledObject of KEDA scales by cpu or memory,
where the former controls that resource of a container that the latter measures. Allowed: modes Off and Initial,
controlledResources and containers that do not overlap, and metrics of other kinds.
https://kubernetes.io/docs/concepts/workloads/autoscaling/vertical-pod-autoscale/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, text
from tidewaiter.rules.manifest.metrics import metrics_of
from tidewaiter.rules.manifest.scaling import HPA, SCALED_OBJECT, target_of
from tidewaiter.rules.manifest.vertical_scaling import (
    VPA,
    changes_running_pods,
    control_of,
    update_mode,
    vertical_target,
)
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.scaling import Target
    from tidewaiter.rules.manifest.vertical_scaling import Control
    from tidewaiter.rules.rule import Context

    Measured = tuple[str, str]
    """A resource, and the container that it is measured of; empty for the pod as a whole."""

RULE = Rule(
    name="vpa-hpa-conflict",
    section="availability",
    severity="error",
    profiles=(),
    summary="no VerticalPodAutoscaler and HorizontalPodAutoscaler go by the same resource of a workload",
    rationale=(
        "Each answers to the other's change: more replicas use less each, so the requests shrink, so the "
        "same load is a larger share of them and asks for more replicas still. The two never settle."
    ),
    remediation=(
        "Let the vertical one only recommend, or control what the horizontal one does not go by:\nspec:\n"
        '  resourcePolicy:\n    containerPolicies:\n      - containerName: "*"\n'
        "        controlledResources: [memory]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/autoscaling/vertical-pod-autoscale/",
        "https://github.com/kubernetes/autoscaler/blob/master/vertical-pod-autoscaler/docs/known-limitations.md",
    ),
    applies_to=(VPA,),
    needs_inventory=True,
)

_POINTER = "/spec/updatePolicy/updateMode"
_RESOURCES = ("cpu", "memory")


@RULE.check
def check(vpa: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each horizontal autoscaler that goes by what this one changes."""
    target = vertical_target(vpa)
    if not target.kind_id or not target.name or not changes_running_pods(vpa):
        return
    control = control_of(vpa)
    inventory, namespace = context.inventory, namespace_of(vpa)
    containers = _containers(target, namespace, inventory)
    for scaler in (
        *inventory.lookup(HPA, namespace, _targets, target),
        *inventory.lookup(SCALED_OBJECT, namespace, _targets, target),
    ):
        answers = {
            resource: answer
            for resource, container in sorted(set(_measured(scaler)), reverse=True)
            if (answer := _is_controlled(control, resource, container, containers)) is not False
        }
        certain = sorted(resource for resource, answer in answers.items() if answer)
        if certain:
            yield Violation(
                _POINTER,
                f"VerticalPodAutoscaler {vpa.name} (updateMode {update_mode(vpa)}) changes "
                f"{' and '.join(certain)} of {_kind(target)} {target.name}, by which "
                f"{scaler.kind} {scaler.name} scales it",
            )
        elif answers:
            yield Violation(
                _POINTER,
                f"whether {_kind(target)} {target.name}, which {scaler.kind} {scaler.name} scales by "
                f"{' and '.join(sorted(answers))}, has containers that VerticalPodAutoscaler {vpa.name} "
                "changes is not known",
                unknown=True,
            )


def _measured(scaler: Resource) -> Iterator[Measured]:
    """Yield what a horizontal autoscaler goes by, as far as it is cpu or memory of the pods."""
    if scaler.kind_id == HPA:
        for metric in metrics_of(scaler):
            if metric.resource not in _RESOURCES:
                continue
            if metric.type == "Resource":
                yield metric.resource, ""
            elif metric.type == "ContainerResource":
                yield metric.resource, metric.container
        return
    for trigger, _ in items(scaler.spec.get("triggers"), ""):
        kind = text(trigger.get("type"))
        if kind in _RESOURCES:
            yield kind, text(dig(trigger, "metadata", "containerName"))


def _is_controlled(
    control: Control, resource: str, container: str, containers: Sequence[str] | None
) -> bool | None:
    """Tell whether a measured resource is changed; None where that hangs on unknown containers."""
    if container:
        return resource in control.of(container)
    if containers is not None:
        return any(resource in control.of(name) for name in containers)
    if any(resource in resources for resources in control.named.values()):
        return True
    if resource not in control.others:
        return False
    return None if control.named else True


def _containers(target: Target, namespace: str, inventory: Inventory) -> Sequence[str] | None:
    """Return the names of the containers of what is scaled, or None where its pods are not known."""
    found = inventory.get(target.kind_id, namespace, target.name)
    if found is None or found.workload is None:
        return None
    names = [container.name for container in found.workload.containers if container.is_regular]
    return names or None


def _kind(target: Target) -> str:
    return target.kind_id.partition(".")[0]


def _targets(scaler: Resource) -> tuple[Target, ...]:
    return (target_of(scaler),)
