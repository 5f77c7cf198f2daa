"""Workloads have at least two replicas.

Restricted field: spec.replicas of Deployments, StatefulSets, Argo Rollouts, OpenKruise CloneSets, and
ReplicaSets and ReplicationControllers that nothing owns. Allowed: at least the policy's minimum, 0 (switched
off), or any where an autoscaler holds the number or an Argo Rollout runs the pods (workloadRef).
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#replicas
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, text
from tidewaiter.rules.manifest.replica_set import is_replica_set_of_its_own
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule
from tidewaiter.rules.scaling import scalers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
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
    parameters=(
        Parameter(
            "minimum", "integer", 2, "the least number of replicas", minimum=1, stricter="more"
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload with too few replicas and no autoscaler."""
    if not workload.is_replicated and not is_replica_set_of_its_own(workload):
        return
    stated, wanted = workload.replicas, context.parameters["minimum"]
    resource = workload.resource
    if stated is None and (wanted <= 1 or resource.spec.get("replicas") is not None):
        # One replica is enough, or the field is no number, which is not for this rule to judge.
        return
    if stated == 0 or (stated is not None and stated >= wanted):
        return
    if scalers_of(resource, context.inventory) or _is_run_by_rollout(resource, context.inventory):
        return
    if stated is not None:
        # An autoscaler elsewhere does not mend it: with one the field must not be there at all.
        yield Violation(
            "/spec/replicas",
            f"{resource.kind} {resource.name} has {stated} "
            f"{'replica' if stated == 1 else 'replicas'}; at least {wanted} are asked for",
        )
    elif context.inventory.complete:
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


def _is_run_by_rollout(resource: Resource, inventory: Inventory) -> bool:
    """Tell whether an Argo Rollout takes its pods from a workload and counts replicas itself.

    https://argo-rollouts.readthedocs.io/en/stable/migrating/
    """
    key = (resource.kind_id, resource.name)
    return bool(inventory.lookup("Rollout.argoproj.io", namespace_of(resource), _references, key))


def _references(rollout: Resource) -> tuple[tuple[str, str], ...]:
    reference = dig(rollout.spec, "workloadRef")
    kind = kind_id(text(dig(reference, "apiVersion")), text(dig(reference, "kind")))
    return ((kind, text(dig(reference, "name"))),)
