"""The Service and port behind each path of an Ingress or HTTPRoute exist.

Checked fields: spec.defaultBackend (spec.backend in v1beta1), spec.rules[*].http.paths[*].backend with
service.name and service.port.{number,name} (serviceName and servicePort in v1beta1), and
spec.rules[*].backendRefs[*] of HTTPRoutes and GRPCRoutes. Passed over: resource backends, backendRefs of
other kinds, and the port `use-annotation`, by which the AWS load balancer controller names an action.
https://kubernetes.io/docs/concepts/services-networking/ingress/#the-ingress-resource and
https://gateway-api.sigs.k8s.io/api-types/httproute/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.service import offers_port, shown_ports, why_may_exist
from tidewaiter.rules.record import record
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ingress-backend",
    section="network",
    severity="error",
    profiles=("recommended",),
    summary="the Service and port behind each path of an Ingress exist",
    rationale=(
        "A path whose Service or port does not exist answers 503 to everyone, and the Ingress is "
        "accepted all the same."
    ),
    remediation=(
        "Name a Service of the namespace and one of its ports:\n"
        "backend:\n  service:\n    name: api\n    port:\n      name: http"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/ingress/#the-ingress-resource",
        "https://gateway-api.sigs.k8s.io/api-types/httproute/#backendrefs-optional",
    ),
    applies_to=(
        "Ingress.networking.k8s.io",
        "HTTPRoute.gateway.networking.k8s.io",
        "GRPCRoute.gateway.networking.k8s.io",
    ),
    needs_inventory=True,
)

_ACTION = "use-annotation"


@record
class _Backend:
    """A reference to a port of a Service, and where its two parts stand."""

    namespace: str
    name: str
    port: object
    name_pointer: str
    port_pointer: str


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each backend whose Service or port is missing."""
    backends = _of_ingress if resource.kind == "Ingress" else _of_route
    for backend in backends(resource):
        if backend.name and backend.port != _ACTION:
            yield from _judge(backend, namespace_of(resource), context.inventory)


def _of_ingress(resource: Resource) -> Iterator[_Backend]:
    namespace = namespace_of(resource)
    for field in ("defaultBackend", "backend"):
        yield from _backend(resource.spec.get(field), f"/spec/{field}", namespace)
    for rule, pointer in items(resource.spec.get("rules"), "/spec/rules"):
        for path, place in items(dig(rule, "http", "paths"), f"{pointer}/http/paths"):
            yield from _backend(path.get("backend"), f"{place}/backend", namespace)


def _backend(value: object, pointer: str, namespace: str) -> Iterator[_Backend]:
    fields = mapping(value)
    service = fields.get("service")
    if isinstance(service, dict):
        port = mapping(service.get("port"))
        field = "number" if port.get("number") is not None else "name"
        yield _Backend(
            namespace,
            text(service.get("name")),
            port.get(field),
            f"{pointer}/service/name",
            f"{pointer}/service/port/{field}",
        )
    elif "serviceName" in fields:
        yield _Backend(
            namespace,
            text(fields["serviceName"]),
            fields.get("servicePort"),
            f"{pointer}/serviceName",
            f"{pointer}/servicePort",
        )


def _of_route(resource: Resource) -> Iterator[_Backend]:
    for rule, pointer in items(resource.spec.get("rules"), "/spec/rules"):
        for ref, place in items(rule.get("backendRefs"), f"{pointer}/backendRefs"):
            if not ref.get("group") and ref.get("kind", "Service") == "Service":
                namespace = text(ref.get("namespace")) or namespace_of(resource)
                name = text(ref.get("name"))
                yield _Backend(namespace, name, ref.get("port"), f"{place}/name", f"{place}/port")


def _judge(backend: _Backend, own_namespace: str, inventory: Inventory) -> Iterator[Violation]:
    service = inventory.get("Service", backend.namespace, backend.name)
    if service is None:
        message = f"there is no Service {backend.name} in namespace {backend.namespace}"
        reason = why_may_exist(inventory, backend.namespace, backend.name)
        if reason is None and backend.namespace != own_namespace:
            if not inventory.kinds_in(backend.namespace):
                reason = "nothing of that namespace was read"
        if reason is None:
            yield Violation(backend.name_pointer, message)
        else:
            yield Violation(backend.name_pointer, f"{message}, but {reason}", unknown=True)
        return
    port = backend.port
    if isinstance(port, bool) or not isinstance(port, int | str) or offers_port(service, port):
        return
    ports = _ports(service)
    if ports:
        yield Violation(
            backend.port_pointer, f"Service {backend.name} has no port {port}; it has {ports}"
        )


def _ports(service: Resource) -> str:
    """Name the ports, or return "" for a Service that needs none: an ExternalName."""
    if service.spec.get("type") == "ExternalName" and not service.spec.get("ports"):
        return ""
    return shown_ports(service)
