"""Containers keep the masks over /proc.

Restricted fields: securityContext.procMount of containers, initContainers and ephemeralContainers. Allowed
values: undefined, Default. From 1.35, at level baseline, pods with hostUsers: false are free (KEP-127).
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.pod_security import relaxed_by_user_namespace
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context


def _in_cel(_: tuple[int, int], level: str) -> str:
    relaxed = "variables.rootless || " if level == "baseline" else ""
    return f"{relaxed}c.?securityContext.?procMount.orValue('Default') == 'Default'"


RULE = Rule(
    name="proc-mount",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no container unmasks /proc",
    rationale=(
        "The runtime hides and write-protects parts of /proc, which belongs to the node's kernel. "
        "Unmasked shows them to the container."
    ),
    remediation="Remove the field, or set its default:\nsecurityContext:\n  procMount: Default",
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    cel=(CelCheck("container", _in_cel),),
)


_MASKED = set_here("Default", safe=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container with another procMount than Default."""
    if context.level == "baseline" and relaxed_by_user_namespace(workload, context.version):
        return
    for container in workload.containers:
        stated = container.security_context.get("procMount")
        if stated is not None and stated != "Default":
            yield Violation(
                f"{container.pointer}/securityContext/procMount",
                f"container {container.name} sets procMount to {quoted(stated)}",
                container.name,
                fix=_MASKED,
            )
