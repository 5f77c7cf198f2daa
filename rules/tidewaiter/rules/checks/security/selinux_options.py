"""SELinux options name no user or role, and only a type made for containers.

Restricted fields: securityContext.seLinuxOptions of the pod, containers, initContainers and
ephemeralContainers. Allowed values: type undefined, empty, container_t, container_init_t, container_kvm_t
and from 1.31 container_engine_t; user and role undefined or empty.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import mapping, quoted
from tidewaiter.rules.manifest.pod_security import owner, security_contexts
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_TYPES_SINCE = (
    ((1, 31), ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")),
    ((1, 0), ("container_t", "container_init_t", "container_kvm_t")),
)


def _in_cel(subject: str) -> Callable[[tuple[int, int], str], str]:
    def expression(version: tuple[int, int], _: str) -> str:
        allowed = next(types for since, types in _TYPES_SINCE if version >= since)
        options = f"{subject}.?securityContext.?seLinuxOptions"
        unset = " && ".join(f"{options}.?{field}.orValue('') == ''" for field in ("user", "role"))
        return f"{options}.?type.orValue('') in {['', *allowed]} && {unset}"

    return expression


RULE = Rule(
    name="selinux-options",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="seLinuxOptions set no user or role, and only a container type",
    rationale=(
        "A type such as spc_t, or another user or role, takes a container out of the confinement that "
        "SELinux gives it on its node."
    ),
    remediation=(
        "Remove user and role, and use a container type:\nsecurityContext:\n  seLinuxOptions:\n"
        "    type: container_t"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    cel=(CelCheck("pod", _in_cel("variables.spec")), CelCheck("container", _in_cel("c"))),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each type that is not allowed and each user or role."""
    allowed = next(types for since, types in _TYPES_SINCE if context.version >= since)
    for stated, pointer, container in security_contexts(workload):
        options = mapping(stated.get("seLinuxOptions"))
        kind = options.get("type")
        if kind and kind not in allowed:
            yield Violation(
                f"{pointer}/seLinuxOptions/type",
                f"{owner(container)} has the SELinux type {quoted(kind)}, not one of "
                f"{', '.join(allowed)}",
                container,
            )
        for field in ("user", "role"):
            if options.get(field):
                yield Violation(
                    f"{pointer}/seLinuxOptions/{field}",
                    f"{owner(container)} sets the SELinux {field} {quoted(options[field])}",
                    container,
                )
