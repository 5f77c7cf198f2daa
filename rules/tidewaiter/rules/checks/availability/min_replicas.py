"""Workloads have at least two replicas.

Restricted field: spec.replicas of Deployments, StatefulSets, Argo Rollouts and OpenKruise CloneSets.
Allowed: at least the policy's minimum, 0 (switched off), or any where an autoscaler holds the number.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#replicas
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule
from tidewaiter.rules.scaling import scalers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="min-replicas",
    section="availability",
    severity="warning",
    profiles=("recommended",),
    summary="workloads have at least two replicas",
    rationale="With one pod every node drain, crash and slow start is an outage.",
    remediation="Run at least two:\nspec:\n  replicas: 2",
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#replicas",
        "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
    parameters=(Parameter("minimum", "integer", 2, "the least number of replicas", minimum=1),),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload with too few replicas and no autoscaler."""
    if not workload.is_replicated:
        return
    stated, wanted = workload.replicas, context.parameters["minimum"]
    if stated == 0 or (stated is not None and stated >= wanted):
        return
    resource = workload.resource
    if scalers_of(resource, context.inventory):
        return
    if stated is not None:
        # An autoscaler elsewhere does not mend it: with one the field must not be there at all.
        yield Violation(
            "/spec/replicas",
            f"{resource.kind} {resource.name} has {stated} "
            f"{'replica' if stated == 1 else 'replicas'}; at least {wanted} are asked for",
        )
    elif context.inventory.complete:
        if wanted > 1:
            yield Violation(
                "/spec/replicas",
                f"{resource.kind} {resource.name} leaves replicas out, which means 1, and no "
                f"autoscaler scales it; at least {wanted} are asked for",
            )
    else:
        yield Violation(
            "/spec/replicas",
            f"{resource.kind} {resource.name} leaves replicas out; whether an autoscaler scales it "
            "is not known",
            unknown=True,
        )
