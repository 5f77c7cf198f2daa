"""A Service of WebSockets keeps a client at one pod, and a PodDisruptionBudget keeps its pods.

Subjects: Services with a port whose appProtocol is kubernetes.io/ws or wss, with a port that is named so here or
in the pod, or with a label that the policy names, before workloads that may have several pods. Restricted field:
spec.sessionAffinity. Allowed: ClientIP, or a route to the Service that keeps clients by a cookie or a hash.
Headless Services balance nothing.
https://kubernetes.io/docs/reference/networking/virtual-ips/#session-affinity
"""

from __future__ import annotations

from tidewaiter.rules.affinity import is_kept, why_unknown
from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.manifest.scaling import bounds_of
from tidewaiter.rules.rule import Parameter, Rule
from tidewaiter.rules.scaling import scalers_of
from tidewaiter.rules.selection import selected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="session-affinity",
    section="availability",
    severity="warning",
    profiles=(),
    summary="services of WebSockets keep a client at one pod and have a PodDisruptionBudget",
    rationale=(
        "A client that connects again, or first polls as many libraries do, is sent to a pod that knows "
        "nothing of its session. Without a budget a drain cuts all connections at the same time."
    ),
    remediation=(
        "Keep clients at their pod, by address or by a cookie of the ingress, and add a budget:\nspec:\n"
        "  sessionAffinity: ClientIP\n  sessionAffinityConfig:\n    clientIP: {timeoutSeconds: 10800}"
    ),
    references=(
        "https://kubernetes.io/docs/reference/networking/virtual-ips/#session-affinity",
        "https://kubernetes.io/docs/concepts/services-networking/service/#application-protocol",
    ),
    applies_to=("Service",),
    needs_inventory=True,
    parameters=(
        Parameter(
            "labels",
            "strings",
            ("app.kubernetes.io/component=websocket",),
            "labels of Services or their pods, as key or key=value, that say that they serve WebSockets",
            stricter="more",
        ),
        Parameter(
            "ports",
            "strings",
            ("ws", "wss", "websocket", "websockets"),
            "names of ports that say so, alone or as a word between hyphens",
            stricter="more",
        ),
    ),
)

_PROTOCOLS = ("kubernetes.io/ws", "kubernetes.io/wss")
_DRAINED_ALONE = "DaemonSet."


@RULE.check
def check(service: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation where clients are not kept, and one for each workload without a budget."""
    selector = pod_selector(service)
    if selector is None or _balances_nothing(service):
        return
    inventory = context.inventory
    workloads = [
        workload
        for workload in selected(inventory, namespace_of(service), selector)
        if workload.is_long_running and workload.replicas != 0
    ]
    sign = _sign(service, workloads, context.parameters)
    if sign is None:
        return
    if not _may_have_several(workloads, inventory):
        return
    if not is_kept(service, inventory):
        yield _not_kept(service, sign, inventory)
    for workload in workloads:
        if workload.is_replicated and not inventory.selecting(
            "PodDisruptionBudget.policy", workload
        ):
            yield _without_budget(service, workload, inventory)


def _not_kept(service: Resource, sign: str, inventory: Inventory) -> Violation:
    message = f"nothing keeps a client of Service {service.name} ({sign}) at one pod"
    unknown = why_unknown(service, inventory)
    return Violation(
        "/spec/sessionAffinity",
        f"{message}, but {unknown}" if unknown else message,
        unknown=unknown is not None,
    )


def _without_budget(service: Resource, workload: Workload, inventory: Inventory) -> Violation:
    resource = workload.resource
    message = (
        f"no PodDisruptionBudget selects {resource.kind} {resource.name}, which serves the WebSockets "
        f"of Service {service.name}"
    )
    return Violation(
        "/spec/selector",
        message if inventory.complete else f"{message}, but the other objects are not known",
        unknown=not inventory.complete,
        remediation="Let a drain take one pod at a time:\napiVersion: policy/v1\n"
        f"kind: PodDisruptionBudget\nmetadata: {{name: {resource.name}}}\nspec:\n  maxUnavailable: 1\n"
        f"  selector:\n    matchLabels: {{app: {resource.name}}}",
    )


def _balances_nothing(service: Resource) -> bool:
    spec = service.spec
    return spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName"


def _sign(
    service: Resource, workloads: Sequence[Workload], parameters: Mapping[str, Any]
) -> str | None:
    """Return by what a Service is known to serve WebSockets, or None."""
    names = frozenset(parameters["ports"])
    ports = [port for port, _ in items(service.spec.get("ports"), "")]
    for port in ports:
        if port.get("appProtocol") in _PROTOCOLS:
            return f"appProtocol {port['appProtocol']}"
        if found := next(_named(port, workloads, names), None):
            return f"port {found}"
    if ports and all("metrics" in text(port.get("name")).split("-") for port in ports):
        return None
    maps = (service.labels, *(workload.pod_labels for workload in workloads))
    for wanted in parameters["labels"]:
        key, has_value, value = wanted.partition("=")
        for labels in maps:
            if key in labels and (not has_value or labels[key] == value):
                return f"label {wanted}"
    return None


def _named(
    port: dict[str, Any], workloads: Sequence[Workload], names: frozenset[str]
) -> Iterator[str]:
    """Yield each name of a Service's port, its own and that of the pod's port, that says so."""
    target = port.get("targetPort")
    if target is None:
        target = port.get("port")
    for name in (text(port.get("name")), text(target)):
        if _says_so(name, names):
            yield name
    for workload in workloads:
        for container in workload.containers:
            for entry, _ in items(container.spec.get("ports"), ""):
                name = text(entry.get("name"))
                if entry.get("containerPort") == target and _says_so(name, names):
                    yield name


def _says_so(name: str, names: frozenset[str]) -> bool:
    return name in names or not names.isdisjoint(name.split("-"))


def _may_have_several(workloads: Sequence[Workload], inventory: Inventory) -> bool:
    """Tell whether there may be several pods.

    Where the set is not complete an autoscaler or the workload itself may stand elsewhere; a complete
    set without the workload is the matter of the rules on selectors.
    """
    if len(workloads) > 1 or any(_has_several(workload, inventory) for workload in workloads):
        return True
    stated = [workload.replicas for workload in workloads]
    return not inventory.complete and (not stated or None in stated)


def _has_several(workload: Workload, inventory: Inventory) -> bool:
    if workload.kind_id.startswith(_DRAINED_ALONE):
        return True
    scalers = scalers_of(workload.resource, inventory)
    if scalers:
        return any((most := bounds_of(scaler).most) is None or most > 1 for scaler in scalers)
    return workload.replicas is not None and workload.replicas > 1
