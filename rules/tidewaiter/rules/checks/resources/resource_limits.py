"""Every container has a limit of memory and, unless the policy says otherwise, of cpu.

Restricted field: resources.limits of containers and initContainers. Allowed: memory (and cpu) are stated,
there or from 1.34 for the pod as a whole.
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_at
from tidewaiter.rules.manifest.quantity import quantity_of
from tidewaiter.rules.manifest.resources import amounts, pod_amounts, sized_containers
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.fixes.edit import Fix
    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="resource-limits",
    section="resources",
    severity="error",
    profiles=("recommended",),
    summary="every container has limits of cpu and memory",
    rationale=(
        "A container without a memory limit that leaks takes its node down, and its neighbours with it; "
        "without a cpu limit it slows them whenever it is busy."
    ),
    remediation=(
        "State what the container may use at most:\nresources:\n  limits: {cpu: 500m, memory: 256Mi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
        "https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "cpu",
            "choice",
            "required",
            "whether a cpu limit has to be there beside that of memory",
            choices=("required", "optional"),
            stricter="less",
        ),
    ),
    cel=(
        CelCheck(
            "pod",
            "(variables.spec.containers + variables.spec.?initContainers.orValue([])).all(c, ['cpu', 'memory'].all(r, r in c.?resources.?limits.orValue({}) || r in variables.spec.?resources.?limits.orValue({})))",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that leaves a limit out."""
    wanted = ("cpu", "memory") if context.parameters["cpu"] == "required" else ("memory",)
    of_pod = pod_amounts(workload, "limits", context.version)
    for container in sized_containers(workload):
        limits = amounts(container.spec, "limits")
        missing = [name for name in wanted if name not in limits and name not in of_pod]
        if missing:
            pointer = f"{container.pointer}/resources/limits"
            yield Violation(
                f"{pointer}/{missing[0]}" if len(missing) == 1 else pointer,
                f"container {container.name} has no limit of {' or '.join(missing)}",
                container.name,
                fix=_fix(missing, container),
            )


def _fix(missing: list[str], container: Container) -> Fix | None:
    """Limit memory to what is requested, where that is all that is missing."""
    requested = amounts(container.spec, "requests").get("memory")
    if missing != ["memory"] or quantity_of(requested) is None:
        return None
    return set_at(f"{container.pointer}/resources/limits/memory", requested, safe=False)
