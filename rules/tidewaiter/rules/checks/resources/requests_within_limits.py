"""No request is above its limit.

Restricted fields: resources.requests and resources.limits of containers and initContainers, and from 1.34
of the pod. Allowed: quantities, a request at most as large as the limit of the same resource, and
containers that together request at most the limit of their pod.
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape, quoted
from tidewaiter.rules.manifest.quantity import NANO, quantity_of
from tidewaiter.rules.manifest.resources import (
    amounts,
    pod_amounts,
    requested_together,
    sized_containers,
)
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="requests-within-limits",
    section="resources",
    severity="error",
    profiles=("recommended",),
    summary="no request is above its limit",
    rationale="The API server refuses such an object, so the rollout stops before it has begun.",
    remediation=(
        "Lower the request or raise the limit:\nresources:\n  requests: {memory: 256Mi}\n"
        "  limits: {memory: 512Mi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
        "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each request above its limit and each amount that is no quantity."""
    for container in sized_containers(workload):
        yield from _compare(
            amounts(container.spec, "requests"),
            amounts(container.spec, "limits"),
            f"{container.pointer}/resources",
            container.name,
        )
    of_pod = pod_amounts(workload, "limits", context.version)
    pointer = f"{workload.pod_pointer}/resources"
    yield from _compare(pod_amounts(workload, "requests", context.version), of_pod, pointer, None)
    if of_pod:
        yield from _compare_together(requested_together(workload), of_pod, pointer)


def _compare(
    requests: dict[str, Any], limits: dict[str, Any], pointer: str, container: str | None
) -> Iterator[Violation]:
    whose = "the pod" if container is None else f"container {container}"
    for field, stated in (("requests", requests), ("limits", limits)):
        for name, amount in stated.items():
            if quantity_of(amount) is None:
                yield Violation(
                    f"{pointer}/{field}/{escape(name)}",
                    f"{whose} has {quoted(amount)} as {field[:-1]} of {name}, which is no quantity",
                    container,
                )
    for name, amount in requests.items():
        request, limit = quantity_of(amount), quantity_of(limits.get(name))
        if request is not None and limit is not None and request > limit:
            yield Violation(
                f"{pointer}/requests/{escape(name)}",
                f"{whose} requests {name} {amount}, which is above its limit {limits[name]}",
                container,
            )


def _compare_together(
    together: dict[str, int], of_pod: dict[str, Any], pointer: str
) -> Iterator[Violation]:
    for name, amount in of_pod.items():
        if name not in {"cpu", "memory"} and not name.startswith("hugepages-"):
            continue
        limit, request = quantity_of(amount), together.get(name)
        if limit is not None and request is not None and request > limit:
            yield Violation(
                f"{pointer}/limits/{escape(name)}",
                f"the containers together request {name} {_shown(request)}, which is above the limit "
                f"{amount} of their pod",
            )


def _shown(nano: int) -> str:
    """Write an amount as a quantity, rounded up to thousandths."""
    if nano % (NANO << 20) == 0:
        return f"{nano // (NANO << 20)}Mi"
    return str(nano // NANO) if nano % NANO == 0 else f"{-(-nano * 1000 // NANO)}m"
