"""Every container requests cpu and memory.

Restricted field: resources.requests of containers and initContainers. Allowed: cpu and memory are stated,
there, as a limit (which the API server takes for the request), or from 1.34 for the pod as a whole.
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.resources import amounts, pod_amounts, sized_containers
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="resource-requests",
    section="resources",
    severity="error",
    profiles=("recommended",),
    summary="every container requests cpu and memory",
    rationale=(
        "The scheduler counts requests only: a pod without them lands on a full node, is the first to be "
        "evicted there, and no autoscaler can tell how busy it is."
    ),
    remediation="State what the container usually uses:\nresources:\n  requests: {cpu: 250m, memory: 256Mi}",
    references=(
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "pod",
            "(variables.spec.containers + variables.spec.?initContainers.orValue([])).all(c, ['cpu', 'memory'].all(r, r in c.?resources.?requests.orValue({}) || r in variables.spec.?resources.?requests.orValue({}) || r in c.?resources.?limits.orValue({}) || r in variables.spec.?resources.?limits.orValue({})))",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that leaves a request out."""
    of_pod = {
        **pod_amounts(workload, "limits", context.version),
        **pod_amounts(workload, "requests", context.version),
    }
    for container in sized_containers(workload):
        requests = amounts(container.spec, "requests")
        limits = amounts(container.spec, "limits")
        missing = [
            name
            for name in ("cpu", "memory")
            if name not in requests and name not in limits and name not in of_pod
        ]
        if missing:
            pointer = f"{container.pointer}/resources/requests"
            yield Violation(
                f"{pointer}/{missing[0]}" if len(missing) == 1 else pointer,
                f"container {container.name} requests no {' and no '.join(missing)}",
                container.name,
            )
