"""A PodDisruptionBudget selects pods, and no other one selects the same.

Restricted field: spec.selector. Allowed: it matches the pod template of a workload of the namespace that no
other budget matches (the eviction API refuses pods with two).
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.selection import selected, why_unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="pdb-selects",
    section="availability",
    severity="warning",
    profiles=("recommended",),
    summary="every PodDisruptionBudget selects pods that no other one selects",
    rationale=(
        "A budget that selects nothing protects nothing, often because a label was renamed. A pod under "
        "two budgets cannot be evicted at all."
    ),
    remediation=(
        "Use the labels of the workload's pod template, each in one budget:\n"
        "spec:\n  selector:\n    matchLabels: {app: api}"
    ),
    references=(
        "https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/",
    ),
    applies_to=("PodDisruptionBudget.policy",),
    needs_inventory=True,
)

_PDB = "PodDisruptionBudget.policy"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a budget without pods, and for each workload under two."""
    inventory, namespace = context.inventory, namespace_of(resource)
    selector = pod_selector(resource)
    pointer = "/spec/selector"
    if selector is None:
        if _can_be_read(resource):
            yield Violation(pointer, "the budget has no selector, so it selects no pod")
        return
    found = selected(inventory, namespace, selector)
    if not found:
        unknown = why_unknown(inventory, namespace, selector)
        yield Violation(
            pointer,
            "the budget selects no workload"
            + (f" here, but {unknown}" if unknown else f" in namespace {namespace}"),
            unknown=unknown is not None,
        )
    for workload in found:
        others = [
            other.name
            for other in inventory.selecting(_PDB, workload)
            if other is not resource and other.name < resource.name
        ]
        if others:
            yield Violation(
                pointer,
                f"PodDisruptionBudget {others[0]} selects {workload.resource.kind} "
                f"{workload.resource.name} as well; pods under two budgets cannot be evicted",
            )


def _can_be_read(resource: Resource) -> bool:
    """Tell whether the selector is one, though it selects nothing; others are reported elsewhere."""
    try:
        parse_selector(resource.spec.get("selector") or {})
    except InvalidSelector:
        return False
    return True
