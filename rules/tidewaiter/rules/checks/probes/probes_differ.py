"""The liveness probe is not the readiness probe over again.

Restricted fields: livenessProbe and readinessProbe of a container. Allowed: they ask different things, or
the liveness probe is more patient (failureThreshold x periodSeconds or timeoutSeconds is larger).
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.manifest.probe import handler_of, number_of, port_numbers
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="probes-differ",
    section="probes",
    severity="warning",
    profiles=("recommended",),
    summary="the liveness probe is not identical to the readiness probe",
    rationale=(
        "With the same probe a pod that is busy for a moment is not only taken out of service but killed, "
        "and its load kills the next one."
    ),
    remediation=(
        "Let liveness ask less, or wait longer:\nlivenessProbe:\n"
        "  httpGet: {path: /live, port: http}\n  periodSeconds: 10\n  failureThreshold: 6"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container whose probes are the same."""
    del context
    for container in workload.containers:
        liveness = mapping(container.spec.get("livenessProbe"))
        readiness = mapping(container.spec.get("readinessProbe"))
        asked = _asked(liveness, container)
        if asked is None or asked != _asked(readiness, container):
            continue
        if _patience(liveness) <= _patience(readiness) and _waits_no_longer(liveness, readiness):
            yield Violation(
                f"{container.pointer}/livenessProbe",
                f"container {container.name} has a livenessProbe that asks the same as its "
                f"readinessProbe and gives up after {_patience(liveness)} s, no later than that",
                container.name,
            )


def _asked(probe: dict[str, Any], container: Container) -> tuple[str, dict[str, Any]] | None:
    """Return a probe's handler with its defaults filled in and its port as a number."""
    handler = handler_of(probe)
    if handler is None:
        return None
    name, content = handler
    # An empty string or list is the same as a field that is left out.
    full = {key: value for key, value in content.items() if value not in (None, "", [])}
    if name == "httpGet":
        full = {"path": "/", "scheme": "HTTP", **full}
    port = full.get("port")
    if isinstance(port, str):
        full["port"] = port_numbers(container).get(port, port)
    return name, full


def _patience(probe: dict[str, Any]) -> int:
    return number_of(probe, "failureThreshold") * number_of(probe, "periodSeconds")


def _waits_no_longer(liveness: dict[str, Any], readiness: dict[str, Any]) -> bool:
    return number_of(liveness, "timeoutSeconds") <= number_of(readiness, "timeoutSeconds")
