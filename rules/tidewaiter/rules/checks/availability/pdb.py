"""Every workload with more than one replica has a PodDisruptionBudget.

Restricted: Deployments, StatefulSets, Argo Rollouts and OpenKruise CloneSets with more than one replica,
or with an autoscaler that keeps more than one. Allowed: a PodDisruptionBudget of the namespace selects
their pods.
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import WORKLOAD, Rule
from tidewaiter.rules.scaling import least_replicas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="pdb",
    section="availability",
    severity="error",
    profiles=("recommended",),
    summary="a PodDisruptionBudget selects every workload with more than one replica",
    rationale=(
        "When nodes are drained for an upgrade, nothing else keeps the drain from taking all replicas "
        "down at the same time."
    ),
    remediation=(
        "Add one that lets a single pod go at a time:\napiVersion: policy/v1\n"
        "kind: PodDisruptionBudget\nmetadata: {name: api}\nspec:\n  maxUnavailable: 1\n"
        "  unhealthyPodEvictionPolicy: AlwaysAllow\n  selector:\n    matchLabels: {app: api}"
    ),
    references=(
        "https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
        "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload that no budget selects."""
    if not workload.is_replicated:
        return
    inventory = context.inventory
    least = least_replicas(workload, inventory)
    if (least is not None and least < 2) or inventory.selecting(
        "PodDisruptionBudget.policy", workload
    ):
        return
    resource = workload.resource
    if least is None:
        message = f"whether {resource.kind} {resource.name} has more than one replica is not known"
        yield Violation("/spec/replicas", message, unknown=True)
    elif not inventory.complete:
        message = (
            f"no PodDisruptionBudget selects {resource.kind} {resource.name} with {least} replicas "
            "here, but the other objects are not known"
        )
        yield Violation("/spec/replicas", message, unknown=True)
    else:
        yield Violation(
            "/spec/replicas",
            f"no PodDisruptionBudget selects {resource.kind} {resource.name}, which has {least} "
            "replicas",
        )
