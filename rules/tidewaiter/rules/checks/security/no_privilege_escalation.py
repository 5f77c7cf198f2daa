"""No process can gain more privileges than its parent.

Restricted fields: securityContext.allowPrivilegeEscalation of containers, initContainers and
ephemeralContainers. Allowed values: false. From 1.8; from 1.25 not asked of Windows pods.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import mapping, quoted, sequence, text
from tidewaiter.rules.manifest.pod_security import exempt_as_windows
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-privilege-escalation",
    section="security",
    severity="error",
    profiles=("pss-restricted", "recommended"),
    summary="every container sets allowPrivilegeEscalation to false",
    rationale=(
        "Left open, a set-user-ID program in the image makes a process root again. The field sets "
        "no_new_privs, by which the kernel refuses that."
    ),
    remediation="Set it on every container:\nsecurityContext:\n  allowPrivilegeEscalation: false",
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    since=(1, 8),
    cel=(
        CelCheck(
            "container",
            "variables.isWindows || !c.?securityContext.?allowPrivilegeEscalation.orValue(true)",
        ),
    ),
)


_FORBID = set_here(value=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that leaves escalation open."""
    if context.version < (1, 8) or exempt_as_windows(workload, context.version):
        return
    for container in workload.containers:
        stated = container.security_context.get("allowPrivilegeEscalation")
        if stated is not False:
            state = "unset" if stated is None else quoted(stated)
            yield Violation(
                f"{container.pointer}/securityContext/allowPrivilegeEscalation",
                f"container {container.name} may gain privileges "
                f"(allowPrivilegeEscalation: {state})",
                container.name,
                fix=None if _needs_privileges(container) else _FORBID,
            )


def _needs_privileges(container: Container) -> bool:
    """Tell whether the API server refuses the field as false: beside privileged or CAP_SYS_ADMIN."""
    added = sequence(mapping(container.security_context.get("capabilities")).get("add"))
    return container.security_context.get("privileged") is True or bool(
        {"SYS_ADMIN", "CAP_SYS_ADMIN"}.intersection(map(text, added))
    )
