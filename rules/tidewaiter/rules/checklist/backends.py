"""Which Services a route leads to: Ingresses, routes of gateways and meshes, and the rules on callers.

Every function here returns pairs of namespace and name, in which "*" stands for any.
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

    Pair = tuple[str, str]

INGRESS = "Ingress.networking.k8s.io"
VIRTUAL_SERVICE = "VirtualService.networking.istio.io"
DESTINATION_RULE = "DestinationRule.networking.istio.io"
ROUTES = (
    "HTTPRoute.gateway.networking.k8s.io",
    "GRPCRoute.gateway.networking.k8s.io",
)
OTHER_EDGES = (
    "IngressRoute.traefik.io",
    "IngressRoute.traefik.containo.us",
    "HTTPProxy.projectcontour.io",
    "Route.route.openshift.io",
    "VirtualServer.k8s.nginx.org",
    "Mapping.getambassador.io",
    "TCPRoute.gateway.networking.k8s.io",
    "TLSRoute.gateway.networking.k8s.io",
)
"""Kinds that lead the public to a Service and that no rule on TLS or rate limits reads."""
TRAFFIC_SPLIT = "TrafficSplit.split.smi-spec.io"
ANY = "*"


def backends(resource: Resource) -> tuple[Pair, ...]:
    """Return the Services that an object of any of these kinds leads to, each once."""
    found = _READERS.get(resource.kind_id, _gateway_route)(resource)
    return tuple(dict.fromkeys(found))


def _ingress(resource: Resource) -> Iterator[Pair]:
    spec, namespace = resource.spec, namespace_of(resource)
    stated = [spec.get("defaultBackend"), spec.get("backend")]
    for rule, _ in items(spec.get("rules"), ""):
        stated += [path.get("backend") for path, _ in items(dig(rule, "http", "paths"), "")]
    for backend in stated:
        name = text(dig(backend, "service", "name")) or text(dig(backend, "serviceName"))
        if name:
            yield namespace, name


def _gateway_route(resource: Resource) -> Iterator[Pair]:
    for rule, _ in items(resource.spec.get("rules"), ""):
        for backend, _ in items(rule.get("backendRefs"), ""):
            if backend.get("kind", "Service") == "Service" and text(backend.get("name")):
                place = text(backend.get("namespace")) or namespace_of(resource)
                yield place, backend["name"]


def _virtual_service(resource: Resource) -> Iterator[Pair]:
    namespace = namespace_of(resource)
    for field in ("http", "tcp", "tls"):
        for route, _ in items(resource.spec.get(field), ""):
            for entry, _ in items(route.get("route"), ""):
                yield host_pair(text(dig(entry, "destination", "host")), namespace)


def _destination_rule(resource: Resource) -> Iterator[Pair]:
    yield host_pair(text(resource.spec.get("host")), namespace_of(resource))


def host_pair(host: str, namespace: str) -> Pair:
    """Return the Service that a host of Istio names: `api`, `api.payments.svc.cluster.local`, `*.local`.

    A short name is one of the namespace of the object that names it.
    https://istio.io/latest/docs/reference/config/networking/destination-rule/#DestinationRule
    """
    name, _, rest = host.partition(".")
    if not rest:
        return namespace, name
    if name == ANY and rest in {"local", "cluster.local", "svc.cluster.local"}:
        return ANY, ANY
    return rest.partition(".")[0], name


def _routes_with_services(resource: Resource) -> Iterator[Pair]:
    for route, _ in items(resource.spec.get("routes"), ""):
        for service, _ in items(route.get("services"), ""):
            if text(service.get("name")):
                yield text(service.get("namespace")) or namespace_of(resource), service["name"]


def _openshift_route(resource: Resource) -> Iterator[Pair]:
    targets = [resource.spec.get("to"), *sequence(resource.spec.get("alternateBackends"))]
    for target in targets:
        if text(mapping(target).get("name")):
            yield namespace_of(resource), mapping(target)["name"]


def _virtual_server(resource: Resource) -> Iterator[Pair]:
    for upstream, _ in items(resource.spec.get("upstreams"), ""):
        if text(upstream.get("service")):
            yield namespace_of(resource), upstream["service"]


def _mapping(resource: Resource) -> Iterator[Pair]:
    stated = text(resource.spec.get("service")).rpartition("//")[2].partition(":")[0]
    if stated:
        yield host_pair(stated, namespace_of(resource))


def _traffic_split(resource: Resource) -> Iterator[Pair]:
    namespace = namespace_of(resource)
    names: list[Any] = [resource.spec.get("service")]
    names += [row.get("service") for row, _ in items(resource.spec.get("backends"), "")]
    for name in names:
        if text(name):
            yield namespace, text(name).partition(".")[0]


_READERS = {
    INGRESS: _ingress,
    VIRTUAL_SERVICE: _virtual_service,
    DESTINATION_RULE: _destination_rule,
    TRAFFIC_SPLIT: _traffic_split,
    "IngressRoute.traefik.io": _routes_with_services,
    "IngressRoute.traefik.containo.us": _routes_with_services,
    "HTTPProxy.projectcontour.io": _routes_with_services,
    "Route.route.openshift.io": _openshift_route,
    "VirtualServer.k8s.nginx.org": _virtual_server,
    "Mapping.getambassador.io": _mapping,
}
