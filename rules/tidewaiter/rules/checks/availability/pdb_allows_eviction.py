"""A PodDisruptionBudget lets at least one pod go.

Restricted fields: spec.minAvailable, spec.maxUnavailable, spec.unhealthyPodEvictionPolicy. Allowed:
minAvailable below the number of replicas (an autoscaler's minimum where there is one), maxUnavailable above
0; shares are rounded up, as the disruption controller does. unhealthyPodEvictionPolicy is AlwaysAllow (from
1.27, a warning).
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.int_or_percent import InvalidIntOrPercent, parse_int_or_percent
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.scaling import least_replicas
from tidewaiter.rules.selection import selected, why_unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="pdb-allows-eviction",
    section="availability",
    severity="error",
    profiles=("recommended",),
    summary="every PodDisruptionBudget lets at least one pod go",
    rationale=(
        "A budget that lets no pod go stops every drain: nodes cannot be upgraded, and the autoscaler "
        "cannot remove them, until somebody deletes the budget by night."
    ),
    remediation="Let one pod go at a time:\nspec:\n  maxUnavailable: 1",
    references=(
        "https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
        "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/",
    ),
    applies_to=("PodDisruptionBudget.policy",),
    needs_inventory=True,
)

_POLICY = "unhealthyPodEvictionPolicy"
_POLICY_SINCE = (1, 27)


_LET_GO = set_here("AlwaysAllow")


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield the violations of one budget."""
    spec = resource.spec
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable")
    if most is not None and least is not None:
        yield Violation(
            "/spec/minAvailable",
            f"the budget sets both minAvailable ({quoted(least)}) and maxUnavailable "
            f"({quoted(most)}), which the API server refuses",
        )
    elif most is not None:
        yield from _max_unavailable(most)
    elif least is not None:
        yield from _min_available(least, resource, context)
    policy = spec.get(_POLICY)
    if context.version >= _POLICY_SINCE and policy != "AlwaysAllow":
        yield Violation(
            f"/spec/{_POLICY}",
            f"pods that are not ready may block a drain ({_POLICY}: "
            f"{'unset' if policy is None else quoted(policy)})",
            severity="warning",
            remediation=f"Let pods that do not work go at any time:\nspec:\n  {_POLICY}: AlwaysAllow",
            fix=_LET_GO if resource.api_version == "policy/v1" else None,
        )


def _max_unavailable(value: Any) -> Iterator[Violation]:
    pointer = "/spec/maxUnavailable"
    try:
        amount = parse_int_or_percent(value)
    except InvalidIntOrPercent as error:
        yield Violation(pointer, f"maxUnavailable cannot be read: {error}")
        return
    if amount.value <= 0:
        yield Violation(pointer, f"the budget lets no pod go (maxUnavailable: {quoted(value)})")


def _min_available(value: Any, resource: Resource, context: Context) -> Iterator[Violation]:
    pointer = "/spec/minAvailable"
    try:
        amount = parse_int_or_percent(value)
    except InvalidIntOrPercent as error:
        yield Violation(pointer, f"minAvailable cannot be read: {error}")
        return
    if amount.is_percent and amount.value >= 100:
        yield Violation(pointer, f"the budget lets no pod go (minAvailable: {quoted(value)})")
        return
    selector = pod_selector(resource)
    if selector is None:
        return
    inventory, namespace = context.inventory, namespace_of(resource)
    counts = [
        least_replicas(workload, inventory) if workload.is_replicated else None
        for workload in selected(inventory, namespace, selector)
    ]
    if not counts or None in counts:
        # No pods: see pdb-selects. Jobs, DaemonSets and bare pods have no number of replicas.
        return
    total = sum(count for count in counts if count is not None)
    needed = amount.scaled(total, round_up=True)
    if total and needed >= total:
        unknown = why_unknown(inventory, namespace, selector)
        yield Violation(
            pointer,
            f"the budget lets no pod go: minAvailable {quoted(value)} of {total} "
            f"{'replica' if total == 1 else 'replicas'}" + (f", but {unknown}" if unknown else ""),
            unknown=unknown is not None,
        )
