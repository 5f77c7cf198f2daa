"""Containers whose liveness probe kills them early have a startup probe.

Restricted fields: livenessProbe and startupProbe of containers and sidecars. Allowed: a startup probe; no
liveness probe; one that leaves the container the policy's time to start, which is initialDelaySeconds +
failureThreshold x periodSeconds.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#when-should-you-use-a-startup-probe
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.manifest.probe import handler_of, known_number
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_SINCE = (1, 18)
"""The version whose API servers keep the field without a feature gate (KEP-950)."""

RULE = Rule(
    name="startup-probe",
    section="probes",
    severity="warning",
    summary="containers whose liveness probe kills them early have a startup probe",
    rationale=(
        "A liveness probe cannot tell a slow start from a deadlock: on a busy node it kills the container "
        "before it is up, again and again. A startup probe holds it off until the container has started, "
        "and then hangs are noticed at once."
    ),
    remediation=(
        "Let a startup probe wait for the slowest start:\nstartupProbe:\n"
        "  httpGet: {path: /live, port: http}\n  periodSeconds: 5\n  failureThreshold: 36"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#when-should-you-use-a-startup-probe",
        "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
    ),
    applies_to=(WORKLOAD,),
    since=_SINCE,
    parameters=(
        Parameter(
            "seconds",
            "integer",
            60,
            "the time to start that a liveness probe must leave where there is no startup probe",
            minimum=1,
            stricter="more",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that has too little time to start."""
    if context.version < _SINCE:
        return
    wanted = context.parameters["seconds"]
    for container in workload.containers:
        liveness = mapping(container.spec.get("livenessProbe"))
        stated = container.spec.get("startupProbe")
        if handler_of(liveness) is None or handler_of(mapping(stated)) is not None:
            continue
        time = _time_to_start(liveness)
        if time is not None and time < wanted:
            state = "no startupProbe" if stated is None else "a startupProbe that asks nothing"
            yield Violation(
                f"{container.pointer}/startupProbe",
                f"container {container.name} has {state}, and its livenessProbe leaves it {time} s to start; "
                f"at least {wanted} s are asked for",
                container.name,
            )


def _time_to_start(probe: dict[str, Any]) -> int | None:
    """Return after how many seconds a container that never answers is killed, None if unknown."""
    delay = known_number(probe, "initialDelaySeconds")
    period = known_number(probe, "periodSeconds")
    threshold = known_number(probe, "failureThreshold")
    if delay is None or period is None or threshold is None:
        return None
    return delay + period * threshold
