"""Probes wait long enough for an answer, pause between questions, and decide neither too soon nor too late.

Restricted fields: timeoutSeconds, periodSeconds and failureThreshold of livenessProbe, readinessProbe and
startupProbe. Allowed: a timeout of at least 1 and shorter than the period; a period times a threshold within
the policy's bounds. What is left out has the API's default (1, 10 and 3). Knative asks readiness probes in
its own way: its are left out.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import mapping, whole_number
from tidewaiter.rules.manifest.probe import PROBES, handler_of, known_number
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="probe-timing",
    section="probes",
    severity="warning",
    summary="probes have a timeout shorter than their period and decide neither too soon nor too late",
    rationale=(
        "A readiness probe that gives up within a few seconds takes pods out of their Services for one slow "
        "answer, under load all of them at once; a liveness probe kills them. One that needs minutes leaves "
        "a dead pod in service. A timeout as long as the period leaves no pause between two questions, and "
        "a hanging container is noticed later than the numbers say."
    ),
    remediation=(
        "Let a few questions in a row fail, over 10 seconds or more:\nreadinessProbe:\n"
        "  httpGet: {path: /ready, port: http}\n  periodSeconds: 5\n  timeoutSeconds: 2\n"
        "  failureThreshold: 3"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
        "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "readinessMinimum",
            "integer",
            10,
            "the fewest seconds of failure after which a pod may count as not ready",
            minimum=1,
            stricter="more",
        ),
        Parameter(
            "readinessMaximum",
            "integer",
            120,
            "the most seconds of failure until a pod counts as not ready",
            minimum=1,
            stricter="less",
        ),
        Parameter(
            "livenessMinimum",
            "integer",
            10,
            "the fewest seconds of failure after which a container may be killed",
            minimum=1,
            stricter="more",
        ),
        Parameter(
            "livenessMaximum",
            "integer",
            300,
            "the most seconds of failure until a container is killed",
            minimum=1,
            stricter="less",
        ),
        Parameter(
            "startupMaximum",
            "integer",
            1800,
            "the most seconds that a container may take to start",
            minimum=1,
            stricter="less",
        ),
    ),
    tags=("anti-pattern",),
)

_BOUNDS = {
    "readinessProbe": ("readinessMinimum", "readinessMaximum"),
    "livenessProbe": ("livenessMinimum", "livenessMaximum"),
    "startupProbe": (None, "startupMaximum"),
}
"""The parameters with the least and the largest period times threshold."""


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield a violation for each timeout, and each time until a verdict, that is out of bounds."""
    fields: tuple[str, ...] = PROBES
    if workload.kind_id.endswith(".serving.knative.dev"):
        fields = tuple(field for field in PROBES if field != "readinessProbe")
    for container in workload.containers:
        for field in fields:
            probe = mapping(container.spec.get(field))
            if handler_of(probe) is not None:
                yield from _check_timeout(probe, field, container)
                yield from _check_bounds(probe, field, container, context)


def _check_timeout(probe: dict[str, Any], field: str, container: Container) -> Iterator[Violation]:
    pointer = f"{container.pointer}/{field}"
    subject = f"the {field} of container {container.name}"
    stated = whole_number(probe.get("timeoutSeconds"))
    if stated is not None and stated < 1:
        reading = "which is read as 1" if stated == 0 else "which the API server refuses"
        yield Violation(
            f"{pointer}/timeoutSeconds",
            f"{subject} has timeoutSeconds {stated}, {reading}; at least 1 is asked for",
            container.name,
            fix=set_here(1),
        )
    timeout, period = known_number(probe, "timeoutSeconds"), known_number(probe, "periodSeconds")
    if timeout is None or period is None or timeout < period:
        return
    at = "timeoutSeconds" if stated else "periodSeconds"
    yield Violation(
        f"{pointer}/{at}",
        f"{subject} has a timeout of {timeout} s, which is not below its period of {period} s",
        container.name,
    )


def _check_bounds(
    probe: dict[str, Any], field: str, container: Container, context: Context
) -> Iterator[Violation]:
    period, threshold = (
        known_number(probe, "periodSeconds"),
        known_number(probe, "failureThreshold"),
    )
    if period is None or threshold is None:
        return
    minimum, maximum = _BOUNDS[field]
    least = context.parameters[minimum] if minimum else 0
    most = context.parameters[maximum]
    time = period * threshold
    if least <= time <= most:
        return
    wanted = f"at least {least} s are" if time < least else f"at most {most} s are"
    yield Violation(
        f"{container.pointer}/{field}",
        f"the {field} of container {container.name} gives up after {time} s (periodSeconds {period} x "
        f"failureThreshold {threshold}); {wanted} asked for",
        container.name,
    )
