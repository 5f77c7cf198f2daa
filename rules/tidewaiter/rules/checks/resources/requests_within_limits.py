"""No request is above its limit.

Restricted fields: resources.requests and resources.limits of containers and initContainers, and from 1.34
of the pod. Allowed: quantities, and a request at most as large as the limit of the same resource.
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape, quoted
from tidewaiter.rules.manifest.quantity import quantity_of
from tidewaiter.rules.manifest.resources import amounts, pod_amounts, sized_containers
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
    yield from _compare(
        pod_amounts(workload, "requests", context.version),
        pod_amounts(workload, "limits", context.version),
        f"{workload.pod_pointer}/resources",
        None,
    )


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
