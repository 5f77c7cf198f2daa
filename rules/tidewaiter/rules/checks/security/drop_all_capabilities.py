"""Containers drop all capabilities and add at most NET_BIND_SERVICE.

Restricted fields: securityContext.capabilities.drop and .add of containers, initContainers and
ephemeralContainers. Allowed values: drop has ALL; add is undefined or NET_BIND_SERVICE. From 1.22; from
1.25 not asked of Windows pods.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import APPEND, HERE, Edit, Fix, remove_at, set_here
from tidewaiter.rules.manifest.fields import mapping, quoted, sequence
from tidewaiter.rules.manifest.pod_security import exempt_as_windows
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="drop-all-capabilities",
    section="security",
    severity="error",
    profiles=("pss-restricted", "recommended"),
    summary="every container drops ALL capabilities and adds at most NET_BIND_SERVICE",
    rationale=(
        "The container runtime grants a dozen capabilities by default, raw sockets and changing file "
        "owners among them. Hardly a service needs any, and each helps whoever breaks in."
    ),
    remediation="Drop them all on every container:\nsecurityContext:\n  capabilities:\n    drop: [ALL]",
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    since=(1, 22),
    cel=(
        CelCheck(
            "container",
            "variables.isWindows || 'ALL' in c.?securityContext.?capabilities.?drop.orValue([]) && c.?securityContext.?capabilities.?add.orValue([]).all(a, a == 'NET_BIND_SERVICE')",
        ),
    ),
)


_DROP_ALL = set_here(["ALL"])
_ADD_ALL = Fix((Edit(APPEND, HERE, "ALL"),))


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a container that keeps capabilities, and for each one it adds."""
    if context.version < (1, 22) or exempt_as_windows(workload, context.version):
        return
    for container in workload.containers:
        capabilities = mapping(container.security_context.get("capabilities"))
        pointer = f"{container.pointer}/securityContext/capabilities"
        dropped = capabilities.get("drop")
        if "ALL" not in sequence(dropped):
            yield Violation(
                f"{pointer}/drop",
                f"container {container.name} {_dropped(dropped)} where ALL is asked for",
                container.name,
                fix=_ADD_ALL if isinstance(dropped, list) else _DROP_ALL,
            )
        added = capabilities.get("add")
        if added is not None and not isinstance(added, list):
            yield Violation(
                f"{pointer}/add",
                f"container {container.name} adds the capabilities {quoted(added)}, which is no list",
                container.name,
            )
        for index, name in enumerate(sequence(added)):
            if name != "NET_BIND_SERVICE":
                yield Violation(
                    f"{pointer}/add/{index}",
                    f"container {container.name} adds the capability {quoted(name)}; only "
                    "NET_BIND_SERVICE may be added",
                    container.name,
                    fix=remove_at(f"{pointer}/add/{index}", safe=False),
                )


def _dropped(stated: object) -> str:
    if isinstance(stated, list):
        names = ", ".join(quoted(name) for name in stated[:5])
        return f"drops only {names}" if names else "drops no capabilities"
    return (
        "drops no capabilities" if stated is None else f"drops {quoted(stated)}, which is no list,"
    )
