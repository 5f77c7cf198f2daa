"""Every container says how much of its node's disk it uses.

Restricted fields: resources.requests and resources.limits of containers and initContainers. Allowed: both name
ephemeral-storage; the limit alone will do, as the API server makes it the request too. The resources of the
pod as a whole know no storage.
https://kubernetes.io/docs/concepts/storage/ephemeral-storage/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.resources import amounts, sized_containers
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ephemeral-storage",
    section="resources",
    severity="info",
    summary="every container has a request and a limit of ephemeral storage",
    rationale=(
        "Logs, emptyDir volumes and what a container writes beside its volumes share the disk of the node. "
        "One that fills it has all its neighbours evicted."
    ),
    remediation=(
        "State how much the container writes:\n"
        "resources:\n  requests: {ephemeral-storage: 256Mi}\n  limits: {ephemeral-storage: 1Gi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/storage/ephemeral-storage/",
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#local-ephemeral-storage",
    ),
    applies_to=(WORKLOAD,),
)

_NAME = "ephemeral-storage"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container without a limit of ephemeral storage."""
    del context
    for container in sized_containers(workload):
        if _NAME in amounts(container.spec, "limits"):
            continue
        pointer = f"{container.pointer}/resources"
        if _NAME in amounts(container.spec, "requests"):
            message = f"container {container.name} has no limit of {_NAME}"
            yield Violation(f"{pointer}/limits/{_NAME}", message, container.name)
        else:
            message = f"container {container.name} has no request and no limit of {_NAME}"
            yield Violation(pointer, message, container.name)
