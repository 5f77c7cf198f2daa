"""Every container that serves has a liveness probe.

Restricted field: livenessProbe of the containers of Deployments, StatefulSets, DaemonSets, Argo Rollouts,
OpenKruise workloads, and ReplicaSets and ReplicationControllers that nothing owns; of their sidecars too
where the policy asks for it. Allowed: a probe with a handler. Jobs, bare pods and Knative Services are left out.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.probe import unprobed
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="liveness-probe",
    section="probes",
    severity="error",
    profiles=("recommended",),
    summary="every container that serves has a liveness probe",
    rationale=(
        "A process that hangs, in a deadlock for example, is never restarted without one: it stays up and "
        "does nothing until somebody notices."
    ),
    remediation=(
        "Ask whether the process itself still works, not what it depends on:\nlivenessProbe:\n"
        "  httpGet: {path: /live, port: http}\n  periodSeconds: 10\n  failureThreshold: 6"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes",
        "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "sidecars",
            "boolean",
            False,
            "whether sidecar containers need one as well",
            stricter="more",
        ),
    ),
)

_FIELD = "livenessProbe"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container without the probe."""
    sidecars = context.parameters["sidecars"]
    for container, state in unprobed(workload, _FIELD, sidecars=sidecars):
        yield Violation(
            f"{container.pointer}/{_FIELD}",
            f"container {container.name} has {state}",
            container.name,
        )
