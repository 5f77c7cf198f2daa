"""A canary takes traffic in steps: little at first, then more and never less.

Restricted fields: spec.strategy.canary.steps of Argo Rollouts; spec.analysis of Flagger's Canary. Allowed: the
first weight is at most the parameter, each one at least the one before, and none outside 0 to the maximum. After
its last step a Rollout gets all traffic, so that a step of 100 may be left out.
https://argo-rollouts.readthedocs.io/en/stable/features/canary/ and
https://docs.flagger.app/usage/how-it-works#canary-analysis
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, mapping, quoted, sequence, whole_number
from tidewaiter.rules.rule import Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="canary-steps",
    section="availability",
    severity="warning",
    summary="a canary begins with little traffic and its weights only rise",
    rationale=(
        "A canary that begins with half of the traffic breaks half of the payments before anyone looks. Weights "
        "that fall again, or none at all, are a slip that nobody sees until the release."
    ),
    remediation=(
        "Begin small, and wait at each step:\n"
        "steps:\n  - setWeight: 5\n  - pause: {duration: 10m}\n  - setWeight: 25\n  - pause: {duration: 10m}"
    ),
    references=(
        "https://argo-rollouts.readthedocs.io/en/stable/features/canary/",
        "https://docs.flagger.app/usage/how-it-works#canary-analysis",
    ),
    applies_to=("Rollout.argoproj.io", "Canary.flagger.app"),
    parameters=(
        Parameter(
            "first",
            "integer",
            25,
            "the largest first weight, in per cent",
            minimum=0,
            stricter="less",
        ),
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each weight that is out of place, and for a canary without steps."""
    first = context.parameters["first"]
    if resource.kind == "Canary":
        yield from _of_flagger(resource, first)
        return
    canary = dig(resource.spec, "strategy", "canary")
    if not isinstance(canary, dict):
        return
    pointer = "/spec/strategy/canary/steps"
    steps = list(items(canary.get("steps"), pointer))
    if not steps:
        yield Violation(
            pointer, "the canary has no steps, so a new version gets all traffic at once"
        )
        return
    weights = [
        (step["setWeight"], f"{place}/setWeight") for step, place in steps if "setWeight" in step
    ]
    if not weights:
        if not any("setCanaryScale" in step or "setHeaderRoute" in step for step, _ in steps):
            yield Violation(pointer, "none of the canary's steps sets a weight")
        return
    most = whole_number(dig(canary, "trafficRouting", "maxTrafficWeight")) or 100
    yield from _judge(weights, first * most // 100, most)


def _of_flagger(resource: Resource, first: int) -> Iterator[Violation]:
    field = "analysis" if "analysis" in resource.spec else "canaryAnalysis"
    analysis, pointer = mapping(resource.spec.get(field)), f"/spec/{field}"
    if "stepWeights" in analysis:
        stated = sequence(analysis["stepWeights"])
        weights = [(weight, f"{pointer}/stepWeights/{at}") for at, weight in enumerate(stated)]
        yield from _judge(weights, first, 100)
    elif "stepWeight" in analysis:
        yield from _judge([(analysis["stepWeight"], f"{pointer}/stepWeight")], first, 100)
        if "maxWeight" in analysis:
            yield from _judge([(analysis["maxWeight"], f"{pointer}/maxWeight")], 100, 100)


def _judge(weights: list[tuple[Any, str]], first: int, most: int) -> Iterator[Violation]:
    before: int | None = None
    for stated, pointer in weights:
        weight = whole_number(stated)
        if weight is None or not 0 <= weight <= most:
            yield Violation(
                pointer, f"the weight {quoted(stated)} is no whole number from 0 to {most}"
            )
            continue
        if before is None and weight > first:
            yield Violation(pointer, f"the canary begins with the weight {weight}, above {first}")
        elif before is not None and weight < before:
            yield Violation(pointer, f"the weight falls from {before} to {weight}")
        before = weight
