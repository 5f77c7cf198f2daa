"""A ScaledObject of KEDA has a fallback, keeps a replica and states how many there may be.

Restricted fields: spec.fallback, spec.minReplicaCount, spec.idleReplicaCount, spec.maxReplicaCount. Allowed: a
fallback with a number of replicas where a trigger can fail and KEDA takes a fallback; at least one replica,
unless the policy allows zero; an upper bound. Triggers of cpu and memory alone never scale to zero.
https://keda.sh/docs/latest/reference/scaledobject-spec/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, mapping, quoted, text, whole_number
from tidewaiter.rules.manifest.scaling import SCALED_OBJECT
from tidewaiter.rules.rule import Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="keda-fallback",
    section="availability",
    severity="warning",
    profiles=(),
    summary="a ScaledObject has a fallback, a minimum of at least one replica and a maximum",
    rationale=(
        "When the source of the metrics fails, KEDA leaves the number of replicas as it happens to be, or at "
        "zero. From zero the first request waits for a pod, and without a maximum a wrong metric asks for 100."
    ),
    remediation=(
        "State how many replicas there are without metrics, at least and at most:\nspec:\n"
        "  minReplicaCount: 2\n  maxReplicaCount: 10\n  fallback:\n    failureThreshold: 3\n    replicas: 4"
    ),
    references=(
        "https://keda.sh/docs/latest/reference/scaledobject-spec/#fallback",
        "https://keda.sh/docs/latest/reference/scaledobject-spec/#minreplicacount",
    ),
    applies_to=(SCALED_OBJECT,),
    parameters=(
        Parameter(
            "scaleToZero",
            "boolean",
            False,
            "whether a ScaledObject may go down to no replica while nothing is to be done",
            stricter="less",
        ),
    ),
)

_OF_PODS = ("cpu", "memory")
"""Triggers that the metrics server of the cluster answers: no fallback, no scaling to zero."""
_WITHOUT_SOURCE = (*_OF_PODS, "cron")
"""Triggers that ask nobody, or nobody of whom KEDA knows a failure."""


@RULE.check
def check(scaled: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each of fallback, minimum and maximum that is missing."""
    spec = scaled.spec
    types = {text(row.get("type")) for row, _ in items(spec.get("triggers"), "")}
    if _takes_fallback(scaled) and whole_number(dig(spec, "fallback", "replicas")) is None:
        yield Violation(
            "/spec/fallback",
            f"ScaledObject {scaled.name} has no fallback for when the source of its metrics fails",
            remediation="Say how many replicas there are meanwhile:\nspec:\n  fallback:\n"
            "    failureThreshold: 3\n    replicas: 4",
        )
    if not context.parameters["scaleToZero"] and not types <= {*_OF_PODS}:
        yield from _zero(scaled)
    if spec.get("maxReplicaCount") is None:
        yield Violation(
            "/spec/maxReplicaCount",
            f"ScaledObject {scaled.name} sets no maxReplicaCount, so there may be 100 replicas",
            remediation="Say how many there may be:\nspec:\n  maxReplicaCount: 10",
        )


def _takes_fallback(scaled: Resource) -> bool:
    """Tell whether a source can fail, and KEDA accepts a fallback for it: one for average values."""
    modifiers = mapping(dig(scaled.spec, "advanced", "scalingModifiers"))
    if modifiers:
        return modifiers.get("metricType") != "Value"
    return any(
        text(row.get("type")) not in _WITHOUT_SOURCE
        and (row.get("metricType") or "AverageValue") == "AverageValue"
        for row, _ in items(scaled.spec.get("triggers"), "")
    )


def _zero(scaled: Resource) -> Iterator[Violation]:
    """Yield a violation for a ScaledObject that goes down to zero, be it only while idle."""
    stated, idle = scaled.spec.get("minReplicaCount"), scaled.spec.get("idleReplicaCount")
    least = 0 if stated is None else whole_number(stated)
    if least is not None and least < 1:
        how = (
            "leaves minReplicaCount out, which means 0"
            if stated is None
            else f"has minReplicaCount {quoted(stated)}"
        )
        yield Violation(
            "/spec/minReplicaCount",
            f"ScaledObject {scaled.name} {how}",
            remediation="Keep at least one replica:\nspec:\n  minReplicaCount: 2",
        )
    elif whole_number(idle) == 0:
        yield Violation(
            "/spec/idleReplicaCount",
            f"ScaledObject {scaled.name} has idleReplicaCount 0, so it goes down to no replica when idle",
            remediation="Remove idleReplicaCount; minReplicaCount then holds when idle too.",
        )
