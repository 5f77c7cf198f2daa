"""Probes and lifecycle handlers ask no other host than their pod.

Restricted fields: livenessProbe, readinessProbe, startupProbe and lifecycle.postStart and .preStop of
containers, initContainers and ephemeralContainers, httpGet.host and tcpSocket.host. Allowed values:
undefined, empty. From 1.34.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import remove_at
from tidewaiter.rules.manifest.fields import dig, items, quoted
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.fixes.edit import Fix
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-host-probes",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no probe or lifecycle handler names a host",
    rationale=(
        "The kubelet sends probes from the node. With a host of its own choice a pod makes it call "
        "services that the pod itself cannot reach."
    ),
    remediation="Remove host; the pod's own address is asked then:\nhttpGet:\n  path: /ready\n  port: http",
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/",
    ),
    applies_to=(WORKLOAD,),
    since=(1, 34),
)

_HANDLERS = (
    ("livenessProbe",),
    ("readinessProbe",),
    ("startupProbe",),
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each host that is named."""
    if context.version < (1, 34):
        return
    for container in workload.containers:
        for path in _HANDLERS:
            handler = dig(container.spec, *path)
            if not isinstance(handler, dict):
                continue
            for kind in ("httpGet", "tcpSocket"):
                host = dig(handler, kind, "host")
                if host is not None and host != "":
                    yield Violation(
                        f"{container.pointer}/{'/'.join(path)}/{kind}/host",
                        f"the {path[-1]} of container {container.name} asks the host {quoted(host)}",
                        container.name,
                        fix=_fix(
                            workload,
                            handler[kind],
                            f"{container.pointer}/{'/'.join(path)}/{kind}/host",
                        ),
                    )


def _fix(workload: Workload, action: dict[str, Any], pointer: str) -> Fix | None:
    """Ask the pod itself, where one of its containers says that it listens there."""
    declared = {
        port[field]
        for container in workload.containers
        for port, _ in items(container.spec.get("ports"), "")
        for field in ("name", "containerPort")
        if isinstance(port.get(field), int | str)
    }
    asked = action.get("port")
    is_declared = isinstance(asked, int | str) and asked in declared
    return remove_at(pointer, safe=False) if is_declared else None
