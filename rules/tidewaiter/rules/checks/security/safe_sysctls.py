"""Pods set only sysctls that touch no other pod.

Restricted field: spec.securityContext.sysctls[*].name. Allowed values: the list below, which grew in 1.27,
1.29, 1.32 and 1.37.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, quoted
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_SAFE_SINCE = {
    "kernel.shm_rmid_forced": (1, 0),
    "net.ipv4.ip_local_port_range": (1, 0),
    "net.ipv4.ip_unprivileged_port_start": (1, 0),
    "net.ipv4.ping_group_range": (1, 0),
    "net.ipv4.tcp_syncookies": (1, 0),
    "net.ipv4.ip_local_reserved_ports": (1, 27),
    "net.ipv4.tcp_fin_timeout": (1, 29),
    "net.ipv4.tcp_keepalive_intvl": (1, 29),
    "net.ipv4.tcp_keepalive_probes": (1, 29),
    "net.ipv4.tcp_keepalive_time": (1, 29),
    "net.ipv4.tcp_rmem": (1, 32),
    "net.ipv4.tcp_wmem": (1, 32),
    "net.ipv4.tcp_notsent_lowat": (1, 37),
    "net.ipv4.tcp_slow_start_after_idle": (1, 37),
}


def _in_cel(version: tuple[int, int], _: str) -> str:
    safe = [name for name, since in _SAFE_SINCE.items() if version >= since]
    return f"variables.spec.?securityContext.?sysctls.orValue([]).all(s, s.name in {safe})"


RULE = Rule(
    name="safe-sysctls",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="pods set only the safe sysctls",
    rationale=(
        "Other kernel parameters are shared by all pods of a node, or switch protections off: one pod "
        "would set them for its neighbours."
    ),
    remediation=(
        "Remove the sysctl, or set it for the nodes of a pool of their own. Safe ones look like this:\n"
        'securityContext:\n  sysctls:\n    - name: net.ipv4.tcp_syncookies\n      value: "1"'
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/",
    ),
    applies_to=(WORKLOAD,),
    cel=(CelCheck("pod", _in_cel),),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each sysctl that is not safe in the chosen version."""
    sysctls = workload.security_context.get("sysctls")
    for sysctl, pointer in items(sysctls, f"{workload.pod_pointer}/securityContext/sysctls"):
        name = sysctl.get("name")
        since = _SAFE_SINCE.get(name) if isinstance(name, str) else None
        if since is None:
            yield Violation(f"{pointer}/name", f"the pod sets the sysctl {quoted(name)}")
        elif context.version < since:
            yield Violation(
                f"{pointer}/name",
                f"the pod sets the sysctl {quoted(name)}, which is safe from "
                f"{since[0]}.{since[1]} only",
            )
