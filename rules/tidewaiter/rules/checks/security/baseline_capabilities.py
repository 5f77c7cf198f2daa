"""Containers add none but the usual capabilities.

Restricted fields: securityContext.capabilities.add of containers, initContainers and ephemeralContainers.
Allowed values: undefined, and the list below. At level restricted drop-all-capabilities takes the place of
this control from 1.22, so from 1.25 neither is asked of Windows pods there.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, quoted
from tidewaiter.rules.manifest.pod_security import exempt_as_windows
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_ALLOWED = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)


def _in_cel(_: tuple[int, int], level: str) -> str:
    for_linux = "variables.isWindows || " if level == "restricted" else ""
    added = "c.?securityContext.?capabilities.?add.orValue([])"
    return f"{for_linux}{added}.all(a, a in {sorted(_ALLOWED)})"


RULE = Rule(
    name="baseline-capabilities",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no container adds a capability outside the baseline list",
    rationale=(
        "Capabilities such as SYS_ADMIN, NET_ADMIN or SYS_PTRACE let a container change its node or look "
        "into other containers; some are as good as root."
    ),
    remediation=(
        "Remove the capability. A server on a port below 1024 needs only this one:\n"
        "securityContext:\n  capabilities:\n    drop: [ALL]\n    add: [NET_BIND_SERVICE]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://man7.org/linux/man-pages/man7/capabilities.7.html",
    ),
    applies_to=(WORKLOAD,),
    cel=(CelCheck("container", _in_cel),),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each capability that is added and not on the list."""
    if context.level == "restricted" and exempt_as_windows(workload, context.version):
        return
    for container in workload.containers:
        added = dig(container.security_context, "capabilities", "add")
        pointer = f"{container.pointer}/securityContext/capabilities/add"
        if not isinstance(added, list):
            if added is not None:
                yield Violation(
                    pointer,
                    f"container {container.name} adds the capabilities {quoted(added)}, which is no list",
                    container.name,
                )
            continue
        for index, capability in enumerate(added):
            if not isinstance(capability, str) or capability not in _ALLOWED:
                yield Violation(
                    f"{pointer}/{index}",
                    f"container {container.name} adds the capability {quoted(capability)}",
                    container.name,
                )
