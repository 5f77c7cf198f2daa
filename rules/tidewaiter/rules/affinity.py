"""What sends a client to the same pod again: of a Service itself, and of the routes that lead to it.

https://kubernetes.io/docs/reference/networking/virtual-ips/#session-affinity and, for routes, the projects' own:
https://kubernetes.github.io/ingress-nginx/examples/affinity/cookie/
https://docs.nginx.com/nginx-ingress-controller/configuration/virtualserver-and-virtualserverroute-resources/
https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/http/ingressroute/
https://gateway-api.sigs.k8s.io/geps/gep-1619/
https://istio.io/latest/docs/reference/config/networking/destination-rule/#LoadBalancerSettings
https://projectcontour.io/docs/main/config/request-routing/#session-affinity
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.ingress import class_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

    Pair = tuple[str, str]
    """The namespace and the name of a Service."""

_COOKIE = ("cookie",)
_TRUE = ("true",)
_ANY_VALUE = ("",)
_ANNOTATIONS = {
    "alb.ingress.kubernetes.io/target-group-attributes": ("stickiness.enabled=true",),
    "appgw.ingress.kubernetes.io/cookie-based-affinity": _TRUE,
    "haproxy-ingress.github.io/affinity": _COOKIE,
    "haproxy-ingress.github.io/balance-algorithm": ("source",),
    "haproxy.org/cookie-persistence": _ANY_VALUE,
    "haproxy.org/load-balance": ("source", "hdr"),
    "ingress.kubernetes.io/affinity": _COOKIE,
    "nginx.ingress.kubernetes.io/affinity": _COOKIE,
    "nginx.ingress.kubernetes.io/upstream-hash-by": _ANY_VALUE,
    "nginx.org/lb-method": ("hash",),
    "nginx.org/sticky-cookie-services": _ANY_VALUE,
    "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes": (
        "stickiness.enabled=true",
    ),
    "service.beta.kubernetes.io/do-loadbalancer-sticky-sessions-type": _COOKIE,
    "traefik.ingress.kubernetes.io/affinity": _TRUE,
    "traefik.ingress.kubernetes.io/service.sticky.cookie": _TRUE,
}
"""Annotations of Ingresses and Services, and what is in their value where clients stick."""
_ELSEWHERE = (
    "cloud.google.com/backend-config",
    "beta.cloud.google.com/backend-config",
    "konghq.com/override",
    "konghq.com/upstream-policy",
)
"""Annotations of Services that name another object, in which it may be said."""
_POLICIES = (
    "BackendTrafficPolicy.gateway.envoyproxy.io",
    "GCPBackendPolicy.networking.gke.io",
    "TrafficPolicy.gateway.kgateway.dev",
)
"""Kinds of policies for routes and Services, in which it may be said."""


def is_kept(service: Resource, inventory: Inventory) -> bool:
    """Tell whether a Service, or a route of the inventory to it, keeps a client at one pod."""
    if service.spec.get("sessionAffinity") == "ClientIP" or _is_sticky(service):
        return True
    pair = (namespace_of(service), service.name)
    return any(inventory.lookup(kind, None, kept, pair) for kind, kept in _ROUTES.items())


def why_unknown(service: Resource, inventory: Inventory) -> str | None:
    """Say why clients that nothing here keeps may be kept, as a clause to put after "but", or None."""
    if not inventory.complete:
        return "the other objects are not known"
    for key in _ELSEWHERE:
        if key in service.annotations:
            return f"the object that the annotation {key} names may say it"
    for kind in _POLICIES:
        if found := inventory.of_kind(kind, namespace_of(service)):
            return f"{found[0].kind} {found[0].name} may say it"
    return None


def _is_sticky(resource: Resource) -> bool:
    for key, wanted in _ANNOTATIONS.items():
        value = resource.annotations.get(key)
        stated = "true" if value is True else text(value).strip().lower()
        if stated and any(part in stated for part in wanted):
            return True
    return False


def _ingress(ingress: Resource) -> tuple[Pair, ...]:
    if not _is_sticky(ingress) and not _is_of_openshift(ingress):
        return ()
    spec, namespace = ingress.spec, namespace_of(ingress)
    backends = [spec.get("defaultBackend"), spec.get("backend")]
    for rule, _ in items(spec.get("rules"), ""):
        backends += [path.get("backend") for path, _ in items(dig(rule, "http", "paths"), "")]
    return tuple(
        (namespace, text(dig(backend, "service", "name")) or text(dig(backend, "serviceName")))
        for backend in backends
    )


def _is_of_openshift(resource: Resource) -> bool:
    """Tell whether OpenShift's router serves this, which sets a cookie unless it is told not to."""
    return (
        resource.kind == "Route" or class_name(resource) == "openshift-default"
    ) and resource.annotations.get("haproxy.router.openshift.io/disable_cookies") not in (
        "true",
        True,
    )


def _openshift_route(route: Resource) -> tuple[Pair, ...]:
    if not _is_of_openshift(route):
        return ()
    others = [row for row, _ in items(route.spec.get("alternateBackends"), "")]
    return _named(route, mapping(route.spec.get("to")), *others)


def _gateway_route(route: Resource) -> tuple[Pair, ...]:
    return tuple(_gateway_rules(route))


def _gateway_rules(route: Resource) -> Iterator[Pair]:
    for rule, _ in items(route.spec.get("rules"), ""):
        if isinstance(rule.get("sessionPersistence"), dict):
            for backend, _ in items(rule.get("backendRefs"), ""):
                namespace = text(backend.get("namespace")) or namespace_of(route)
                yield namespace, text(backend.get("name"))


def _traefik_route(route: Resource) -> tuple[Pair, ...]:
    return tuple(
        (text(service.get("namespace")) or namespace_of(route), text(service.get("name")))
        for entry, _ in items(route.spec.get("routes"), "")
        for service, _ in items(entry.get("services"), "")
        if isinstance(dig(service, "sticky", "cookie"), dict)
    )


def _contour_proxy(proxy: Resource) -> tuple[Pair, ...]:
    return tuple(
        pair
        for entry, _ in items(proxy.spec.get("routes"), "")
        if dig(entry, "loadBalancerPolicy", "strategy") in ("Cookie", "RequestHash")
        for pair in _named(proxy, *(row for row, _ in items(entry.get("services"), "")))
    )


def _virtual_server(server: Resource) -> tuple[Pair, ...]:
    return tuple(
        (namespace_of(server), text(upstream.get("service")))
        for upstream, _ in items(server.spec.get("upstreams"), "")
        if dig(upstream, "sessionCookie", "enable") is True
        or "hash" in text(upstream.get("lb-method"))
    )


def _destination_rule(rule: Resource) -> tuple[Pair, ...]:
    if not isinstance(dig(rule.spec, "trafficPolicy", "loadBalancer", "consistentHash"), dict):
        return ()
    name, _, rest = text(rule.spec.get("host")).partition(".")
    return ((rest.partition(".")[0] or namespace_of(rule), name),)


def _named(route: Resource, *services: dict[str, object]) -> tuple[Pair, ...]:
    return tuple((namespace_of(route), text(service.get("name"))) for service in services)


_ROUTES: dict[str, Callable[[Resource], tuple[Pair, ...]]] = {
    "Ingress.networking.k8s.io": _ingress,
    "Route.route.openshift.io": _openshift_route,
    "HTTPRoute.gateway.networking.k8s.io": _gateway_route,
    "GRPCRoute.gateway.networking.k8s.io": _gateway_route,
    "IngressRoute.traefik.io": _traefik_route,
    "IngressRoute.traefik.containo.us": _traefik_route,
    "HTTPProxy.projectcontour.io": _contour_proxy,
    "VirtualServer.k8s.nginx.org": _virtual_server,
    "DestinationRule.networking.istio.io": _destination_rule,
}
"""By kind of route, the Services whose clients it keeps at one pod."""
