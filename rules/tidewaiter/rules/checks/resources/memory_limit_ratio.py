"""No memory limit is far above its request.

Restricted fields: resources.requests.memory and resources.limits.memory of containers and initContainers, and
from 1.34 of the pod. Allowed: a limit of at most the policy's ratio times the request. A limit without a
request is its own request; a request without a limit is for `resource-limits` to report.
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.quantity import NANO, quantity_of
from tidewaiter.rules.manifest.resources import (
    amounts,
    pod_amounts,
    requested_together,
    sized_containers,
)
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="memory-limit-ratio",
    section="resources",
    severity="warning",
    summary="no memory limit is far above its request",
    rationale=(
        "Pods are placed by their requests. Where limits are far above them, a node is promised several "
        "times over, and when the promises fall due it evicts pods that use more than they requested."
    ),
    remediation=(
        "Bring the request up to what the container uses at its busiest, or the limit down:\n"
        "resources:\n  requests: {memory: 256Mi}\n  limits: {memory: 384Mi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "ratio",
            "number",
            2,
            "how many times its memory request a container may have for its limit",
            minimum=1,
            stricter="less",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each memory limit above the ratio."""
    ratio = context.parameters["ratio"]
    for container in sized_containers(workload):
        limit = amounts(container.spec, "limits").get("memory")
        request = amounts(container.spec, "requests").get("memory")
        if _is_above(quantity_of(limit), quantity_of(request), ratio):
            yield Violation(
                f"{container.pointer}/resources/limits/memory",
                f"container {container.name} has a memory limit of {limit}, more than {ratio} times its "
                f"request of {request}",
                container.name,
            )
    limit = pod_amounts(workload, "limits", context.version).get("memory")
    if limit is None:
        return
    request = pod_amounts(workload, "requests", context.version).get("memory")
    if request is not None:
        requested, shown = quantity_of(request), f"its request of {request}"
    else:
        requested = requested_together(workload).get("memory")
        shown = "what its containers request"
    if _is_above(quantity_of(limit), requested, ratio):
        yield Violation(
            f"{workload.pod_pointer}/resources/limits/memory",
            f"the pod has a memory limit of {limit}, more than {ratio} times {shown}",
        )


def _is_above(limit: int | None, request: int | None, ratio: float) -> bool:
    """Compare in whole numbers, so that 1.1 is eleven tenths and not the nearest binary fraction."""
    factor = quantity_of(ratio)
    if limit is None or request is None or factor is None:
        return False
    return limit * NANO > request * factor
