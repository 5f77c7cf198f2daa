"""What the checklist sees of the traffic to a service: who may reach it, the edge and the mesh."""

from __future__ import annotations

from tidewaiter.rules.checklist.backends import INGRESS
from tidewaiter.rules.checklist.evidence import unknown, wrong
from tidewaiter.rules.checklist.items import DATABASE, SERVING
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.manifest.istio import is_in_mesh, joins_mesh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.checklist.evidence import Evidence, Facts
    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

_READ_EDGES = frozenset(
    {
        INGRESS,
        "HTTPRoute.gateway.networking.k8s.io",
        "Gateway.gateway.networking.k8s.io",
        "Gateway.networking.istio.io",
    }
)
"""Kinds of the edge of which rules read TLS, and limits or that they cannot know them."""
_MESH_GROUPS = frozenset(
    {
        "install.istio.io",
        "networking.istio.io",
        "policy.linkerd.io",
        "linkerd.io",
        "sailoperator.io",
        "security.istio.io",
        "telemetry.istio.io",
    }
)
_LINKERD_INJECT = "linkerd.io/inject"
_LINKERD_ON = ("enabled", "ingress")
_LINKERD_TIMEOUTS = ("timeout.linkerd.io/request", "timeout.linkerd.io/response")
_LINKERD_BREAKER = "balancer.linkerd.io/failure-accrual"
_NO_HTTP = ("tcp", "tls", "udp", "mysql", "mongo", "redis", "postgres", "amqp", "kafka")
"""How the name or appProtocol of a port begins whose requests no mesh can time."""


def network_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the pods that NetworkPolicies do not hold for, and databases that none selects."""
    for workload in service.workloads:
        if workload.pod_spec.get("hostNetwork") is True:
            message = f"NetworkPolicies do not hold for {workload.resource!r}, which is in its node's network"
            yield unknown(workload.resource, f"{workload.pod_pointer}/hostNetwork", message)
    if service.kind == DATABASE and not service.network_policies:
        for member in service.members:
            message = (
                f"no NetworkPolicy here selects the pods of {member!r} by its operator's label"
            )
            yield unknown(member, "/metadata/name", message)
    del facts


def why_no_edge(service: CheckedService, facts: Facts) -> str | None:
    """Say why TLS at the edge does not concern a service."""
    if service.edges or not facts.inventory.complete:
        return None
    return "nothing lets the public in to it"


def edge_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield what lets the public in and is not read by the rules."""
    if not service.edges:
        if not facts.inventory.complete:
            message = "whether anything lets the public in is not known from this file alone"
            yield unknown(service.members[0], "/metadata/name", message)
        return
    for edge in service.edges:
        if edge.kind_id not in _READ_EDGES:
            message = f"the rules do not read TLS and rate limits of {edge!r}"
            yield unknown(edge, "/spec", message)


def why_no_mesh(service: CheckedService, facts: Facts) -> str | None:
    """Say that nothing among the manifests is of a mesh, where the Namespace is one of them."""
    inventory = facts.inventory
    if inventory.once(mesh_of_set) or inventory.find("Namespace", service.namespace) is None:
        return None
    return "nothing among the manifests is of a mesh" if inventory.complete else None


def mesh_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members outside the mesh, and what callers of a service in it are not told."""
    inventory = facts.inventory
    mesh = inventory.once(mesh_of_set)
    joined: list[Workload] = []
    for member in service.members:
        workload = member.workload
        if workload is None:
            message = f"whether the pods of {member!r} are in a mesh is for its operator to say"
            yield unknown(member, "/metadata/name", message)
        elif is_in_mesh(workload, inventory) or _is_in_linkerd(workload, inventory):
            joined.append(workload)
        else:
            yield from _outside(workload, mesh, facts)
    if service.kind == SERVING and joined and service.services:
        if all(is_in_mesh(each, inventory) for each in joined):
            yield from _istio_gaps(service, facts)
        else:
            yield from _linkerd_gaps(service, facts)


def _outside(workload: Workload, mesh: str, facts: Facts) -> Iterator[Evidence]:
    resource, namespace = workload.resource, namespace_of(workload.resource)
    place = f"{workload.template_pointer}/metadata/labels"
    known = facts.inventory.find("Namespace", namespace) is not None
    opted_out = workload.pod_spec.get("hostNetwork") is True or _is_opted_out(workload)
    if mesh and (known or opted_out) and facts.inventory.complete:
        yield wrong(resource, place, f"{resource!r} is not in the mesh that {mesh} is of")
    else:
        message = (
            f"whether {resource!r} is in a mesh is not known: Namespace {namespace} is not here"
        )
        if known:
            message = f"whether {resource!r} is in a mesh is not known from these manifests"
        yield unknown(resource, place, message)


def _is_opted_out(workload: Workload) -> bool:
    stated = workload.pod_labels.get(
        "sidecar.istio.io/inject", workload.pod_annotations.get("sidecar.istio.io/inject")
    )
    linkerd = workload.pod_annotations.get(_LINKERD_INJECT)
    return str(stated).lower() == "false" or linkerd == "disabled"


def _istio_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    named = service.services[0]
    if not service.destination_rules:
        message = f"no DestinationRule gives callers of Service {named.name} a circuit breaker"
        yield facts.missing(named, "/metadata/name", message)
    if not service.routes and _speaks_http(service.services):
        message = f"no VirtualService or HTTPRoute gives requests to Service {named.name} a timeout"
        yield facts.missing(named, "/metadata/name", message)


def _linkerd_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    for named in service.services:
        if not named.annotations.get(_LINKERD_BREAKER):
            message = f"Service {named.name} has no circuit breaker ({_LINKERD_BREAKER})"
            yield wrong(named, "/metadata/annotations", message)
        timed = any(named.annotations.get(key) for key in _LINKERD_TIMEOUTS)
        if not timed and not service.routes and _speaks_http([named]):
            message = f"no HTTPRoute or annotation gives requests to Service {named.name} a timeout"
            yield facts.missing(named, "/metadata/annotations", message)


def _speaks_http(services: list[Resource]) -> bool:
    for service in services:
        for port, _ in items(service.spec.get("ports"), ""):
            said = text(port.get("appProtocol")) or text(port.get("name"))
            if port.get("protocol", "TCP") == "TCP" and not said.startswith(_NO_HTTP):
                return True
    return False


def _is_in_linkerd(workload: Workload, inventory: Inventory) -> bool:
    stated = workload.pod_annotations.get(_LINKERD_INJECT)
    if stated is not None:
        return stated in _LINKERD_ON
    around = inventory.find("Namespace", namespace_of(workload.resource))
    return around is not None and around.annotations.get(_LINKERD_INJECT) in _LINKERD_ON


def mesh_of_set(inventory: Inventory) -> str:
    """Name the first object of a mesh among the manifests, "" where there is none."""
    for kind in inventory.kinds():
        if kind.partition(".")[2] in _MESH_GROUPS:
            return repr(inventory.of_kind(kind)[0])
    for namespace in inventory.of_kind("Namespace"):
        if joins_mesh(namespace.labels) or (
            namespace.annotations.get(_LINKERD_INJECT) in _LINKERD_ON
        ):
            return repr(namespace)
    for kind in inventory.kinds():
        for resource in inventory.of_kind(kind):
            workload = resource.workload
            if workload is not None and (
                workload.pod_annotations.get(_LINKERD_INJECT) in _LINKERD_ON
                or is_in_mesh(workload, inventory)
            ):
                return repr(resource)
    return ""
