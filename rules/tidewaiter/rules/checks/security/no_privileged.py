"""No container runs privileged.

Restricted fields: securityContext.privileged of containers, initContainers and ephemeralContainers.
Allowed values: undefined, false.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-privileged",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no container runs privileged",
    rationale=(
        "A privileged container has every capability, sees every device of its node and is held back "
        "by no seccomp or AppArmor profile: whoever takes it over owns the node."
    ),
    remediation=(
        "Remove the field or set it to false, and add only the capabilities that are needed:\n"
        "securityContext:\n  privileged: false"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "container",
            "!c.?securityContext.?privileged.orValue(false)",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container with privileged: true."""
    del context
    for container in workload.containers:
        if container.security_context.get("privileged") is True:
            yield Violation(
                f"{container.pointer}/securityContext/privileged",
                f"container {container.name} runs privileged (privileged: true)",
                container.name,
            )
