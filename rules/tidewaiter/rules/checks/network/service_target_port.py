"""The targetPort of each port of a Service exists on the pods that the Service picks.

Checked fields: spec.ports[*].targetPort and, where it is missing, spec.ports[*].port. A named targetPort
must be a named port of the same protocol in a container or a sidecar of each workload picked. A number
need not be declared to work, so it is reported only where the pods declare ports and it is not among
them. Jobs count only where nothing else is picked: they often share labels with what serves.
https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.selection import selected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

    Port = tuple[object, str, str]

RULE = Rule(
    name="service-target-port",
    section="network",
    severity="error",
    profiles=("recommended",),
    summary="the targetPort of a Service exists on the containers it picks",
    rationale=(
        "Connections to a port that no container listens on are refused, and a named port that no "
        "container has gives the Service no endpoints at all."
    ),
    remediation=(
        "Name a port of the container:\n"
        "# Service\nports:\n  - port: 80\n    targetPort: http\n"
        "# container\nports:\n  - name: http\n    containerPort: 8080"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports",
    ),
    applies_to=("Service",),
    needs_inventory=True,
)

_JOBS = frozenset({"Job.batch", "CronJob.batch"})


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each port whose target a workload lacks."""
    if resource.spec.get("type") == "ExternalName":
        return
    selector = pod_selector(resource)
    if selector is None:
        return
    workloads = selected(context.inventory, namespace_of(resource), selector)
    workloads = [one for one in workloads if one.kind_id not in _JOBS] or workloads
    if not workloads:
        return
    declared = [(one, list(_declared(one))) for one in workloads]
    for port, pointer in items(resource.spec.get("ports"), "/spec/ports"):
        field = "port" if port.get("targetPort") in (None, 0, "") else "targetPort"
        target = port.get(field)
        if isinstance(target, bool) or not isinstance(target, int | str):
            continue
        protocol = text(port.get("protocol")) or "TCP"
        lacking = [one for one, ports in declared if _lacks(ports, target, protocol)]
        if lacking:
            yield _violation(f"{pointer}/{field}", field, target, protocol, lacking, len(declared))


def _declared(workload: Workload) -> Iterator[Port]:
    """Yield number, name and protocol of each port that a pod declares while it serves."""
    for container in workload.containers:
        if container.is_regular or container.is_sidecar:
            for port, _ in items(container.spec.get("ports"), ""):
                yield (
                    port.get("containerPort"),
                    text(port.get("name")),
                    (text(port.get("protocol")) or "TCP"),
                )


def _lacks(ports: Sequence[Port], target: int | str, protocol: str) -> bool:
    if isinstance(target, str):
        return not any(name == target and proto == protocol for _, name, proto in ports)
    return bool(ports) and not any(
        number == target and proto == protocol for number, _, proto in ports
    )


def _violation(
    pointer: str,
    field: str,
    target: int | str,
    protocol: str,
    lacking: Sequence[Workload],
    picked: int,
) -> Violation:
    resource = lacking[0].resource
    verb = "has" if isinstance(target, str) else "declares"
    shown = repr(target) if isinstance(target, str) else target
    message = (
        f"no container of {resource.kind} {resource.name} {verb} the {field} {shown} ({protocol})"
    )
    # A named port leaves out the pods that lack it, and the others still serve.
    partial = isinstance(target, str) and len(lacking) < picked
    return Violation(pointer, message, severity="warning" if partial else None)
