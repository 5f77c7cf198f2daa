"""PriorityClasses that pods name exist, and workloads on spot nodes have one, and a budget.

Restricted fields: priorityClassName of the pod; for workloads that choose or tolerate spot nodes, by
nodeSelector, node affinity or a toleration with a key, also the PodDisruptionBudgets that select their pods.
Allowed: a PriorityClass of the cluster or a built-in one; none for workloads that are not meant for spot nodes.
Where the manifests hold no PriorityClass at all, the cluster's are unknown.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.node_choice import (
    preferred_terms,
    required_terms,
    selected_labels,
    tolerated_taints,
)
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule
from tidewaiter.rules.scaling import least_replicas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.node_choice import NodeLabel
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="priority-class",
    section="resources",
    severity="warning",
    summary="PriorityClasses that pods name exist, and workloads on spot nodes have one, and a budget",
    rationale=(
        "The API server refuses pods of a PriorityClass that does not exist, which is seen only when the "
        "controller makes them. Spot nodes go away together: without priorities the pods that matter wait "
        "behind those that do not, and without a budget all replicas may be drained at once."
    ),
    remediation=(
        "Name a PriorityClass that exists, and for spot nodes add a PodDisruptionBudget:\n"
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: batch}\n"
        "value: 1000\ndescription: work that can wait\n"
        "---\n# in the pod:\nspec:\n  priorityClassName: batch"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/",
        "https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
    parameters=(
        Parameter(
            "spot",
            "strings",
            (
                "cloud.google.com/gke-preemptible=true",
                "cloud.google.com/gke-provisioning=preemptible",
                "cloud.google.com/gke-provisioning=spot",
                "cloud.google.com/gke-spot=true",
                "eks.amazonaws.com/capacityType=SPOT",
                "karpenter.sh/capacity-type=spot",
                "kubernetes.azure.com/scalesetpriority=spot",
                "machine.openshift.io/interruptible-instance=",
                "node.kubernetes.io/lifecycle=spot",
            ),
            "labels and taints of spot nodes, as key=value",
        ),
    ),
)

_KIND = "PriorityClass.scheduling.k8s.io"
_BUILT_IN = frozenset({"system-cluster-critical", "system-node-critical"})


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield a violation for a class that does not exist, and what a spot workload lacks."""
    name = workload.pod_spec.get("priorityClassName")
    pointer = f"{workload.pod_pointer}/priorityClassName"
    spot = _spot_choice(workload, context.parameters["spot"])
    if name:
        yield from _check_exists(name, pointer, context.inventory)
    elif spot is not None:
        yield Violation(
            pointer,
            f"{_named(workload)} may run on spot nodes ({spot.key}), but has no priorityClassName",
        )
    if spot is not None:
        yield from _check_budget(workload, spot, context.inventory)


def _check_exists(name: object, pointer: str, inventory: Inventory) -> Iterator[Violation]:
    if not isinstance(name, str):
        message = f"priorityClassName is {quoted(name)}, which is no name"
        yield Violation(pointer, message, unknown=True)
        return
    if name in _BUILT_IN or inventory.find(_KIND, name) is not None:
        return
    any_known = bool(inventory.of_kind(_KIND))
    message = f"there is no PriorityClass {name} here"
    if inventory.complete and any_known:
        yield Violation(pointer, message)
    else:
        why = "the other objects are not known" if any_known else "none of the cluster's is known"
        yield Violation(pointer, f"{message}, but {why}", unknown=True)


def _check_budget(workload: Workload, spot: NodeLabel, inventory: Inventory) -> Iterator[Violation]:
    """Want a budget where there are replicas to keep: one on a single replica would block drains."""
    if not workload.is_replicated:
        return
    least = least_replicas(workload, inventory)
    if (least is not None and least < 2) or inventory.selecting(
        "PodDisruptionBudget.policy", workload
    ):
        return
    message = f"{_named(workload)} may run on spot nodes ({spot.key}), but no PodDisruptionBudget selects it"
    if least is None:
        message, unknown = f"{message}; whether it has more than one replica is not known", True
    elif not inventory.complete:
        message, unknown = f"{message}; the other objects are not known", True
    else:
        unknown = False
    yield Violation(spot.pointer, message, unknown=unknown)


def _spot_choice(workload: Workload, spot: list[str]) -> NodeLabel | None:
    """Return the first label or taint of spot nodes that a workload chooses, prefers or tolerates."""
    spec = workload.pod_spec
    if not (spec.get("nodeSelector") or spec.get("affinity") or spec.get("tolerations")):
        return None
    known: dict[str, list[str]] = {}
    for entry in spot:
        key, _, value = entry.partition("=")
        known.setdefault(key, []).append(value)
    terms = [*required_terms(workload), *preferred_terms(workload)]
    for label in (
        *selected_labels(workload),
        *(label for term in terms for label in term),
    ):
        if any(value in known.get(label.key, ()) for value in label.values):
            return label
    for taint in tolerated_taints(workload):
        values = known.get(taint.key)
        if values and (not taint.values or taint.values[0] in values):
            return taint
    return None


def _named(workload: Workload) -> str:
    return f"{workload.resource.kind} {workload.resource.name}"
