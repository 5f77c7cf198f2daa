"""The containers of a pod do not see each other's processes.

Restricted field: shareProcessNamespace of the pod. Allowed values: undefined, false.
https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-shared-process-namespace",
    section="security",
    severity="warning",
    summary="the containers of a pod do not share their process namespace",
    rationale=(
        "With a shared process namespace each container sees the processes of the others, with the "
        "secrets in their command lines and environment, can signal them, and reaches their files "
        "through /proc."
    ),
    remediation=(
        "Remove the field or set it to false; for debugging, kubectl debug --target shares the processes "
        "of one container for a while:\nspec:\n  shareProcessNamespace: false"
    ),
    references=(
        "https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/",
        "https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/#ephemeral-container",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "pod",
            "!variables.spec.?shareProcessNamespace.orValue(false)",
        ),
    ),
)


_APART = set_here(value=False, safe=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a pod with shareProcessNamespace: true."""
    del context
    if workload.pod_spec.get("shareProcessNamespace") is True:
        yield Violation(
            f"{workload.pod_pointer}/shareProcessNamespace",
            "the pod's containers share their processes (shareProcessNamespace: true)",
            fix=_APART,
        )
