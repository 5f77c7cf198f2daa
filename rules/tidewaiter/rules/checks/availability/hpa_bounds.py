"""An autoscaler keeps enough replicas and has room to scale.

Restricted fields: spec.minReplicas, spec.maxReplicas of HorizontalPodAutoscalers. Allowed: minReplicas (1
where it is left out) at least the policy's minimum, maxReplicas above it.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.scaling import HPA, bounds_of
from tidewaiter.rules.rule import Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="hpa-bounds",
    section="availability",
    severity="error",
    profiles=("recommended",),
    summary="an autoscaler keeps at least two replicas and can add more",
    rationale=(
        "With a minimum of one a quiet hour leaves a single pod, and every node drain is an outage. With "
        "maximum and minimum alike the autoscaler has nothing to do."
    ),
    remediation="Leave room in both directions:\nspec:\n  minReplicas: 2\n  maxReplicas: 10",
    references=(
        "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/",
        "https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale-walkthrough/",
    ),
    applies_to=(HPA,),
    parameters=(
        Parameter("minimum", "integer", 2, "the least minReplicas", minimum=1, stricter="more"),
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a minimum that is too low and one for bounds without room."""
    bounds = bounds_of(resource)
    least, most = bounds.least, bounds.most
    wanted = context.parameters["minimum"]
    if least is not None and least < wanted:
        state = (
            f"{least}" if resource.spec.get("minReplicas") is not None else "unset, which means 1"
        )
        yield Violation(
            "/spec/minReplicas", f"minReplicas is {state}; at least {wanted} are asked for"
        )
    if least is not None and most is not None and most <= least:
        yield Violation(
            "/spec/maxReplicas",
            f"maxReplicas {most} is not above minReplicas {least}, so there is nothing to scale",
        )
