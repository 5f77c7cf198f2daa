"""Every container that serves has a readiness probe.

Restricted field: readinessProbe of the containers of Deployments, StatefulSets, DaemonSets, Argo Rollouts,
OpenKruise workloads, and ReplicaSets and ReplicationControllers that nothing owns; of their sidecars too
where the policy asks for it. Allowed: a probe with a handler. Knative gives a container without one a probe of its own and is left out.
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
    name="readiness-probe",
    section="probes",
    severity="error",
    profiles=("recommended",),
    summary="every container that serves has a readiness probe",
    rationale=(
        "Without one a pod gets traffic as soon as its process starts, before it can answer, and keeps "
        "getting it when it no longer can: every rollout shows users errors."
    ),
    remediation=(
        "Ask whether it can serve now:\nreadinessProbe:\n  httpGet: {path: /ready, port: http}\n"
        "  periodSeconds: 5"
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

_FIELD = "readinessProbe"


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
