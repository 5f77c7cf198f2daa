"""Traffic that is split reaches Services that exist, in shares that add up.

Restricted fields: the weights of Istio's VirtualServices, of routes of the Gateway API, of TrafficSplits of SMI,
and the canary annotations of ingress-nginx. Allowed: weights of which one at least is above 0; of a VirtualService
also a sum of 100, since its weights are read as per cent by people, though Istio takes any proportion.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRouteDestination,
https://gateway-api.sigs.k8s.io/guides/traffic-splitting/ and
https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.gateway_route import KINDS as ROUTES
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, escape, items, quoted, text, whole_number
from tidewaiter.rules.manifest.istio import is_service_host
from tidewaiter.rules.manifest.service import why_may_exist
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="traffic-split",
    section="availability",
    severity="error",
    summary="the weights of split traffic add up, and its Services and subsets exist",
    rationale=(
        "A share that goes to a Service or subset that does not exist is answered by 503, and weights that are all "
        "0 answer nobody. Weights that miss 100 give other shares than their author reads."
    ),
    remediation=(
        "Let the weights of one route add up to 100:\n"
        "route:\n  - destination: {host: api, subset: stable}\n    weight: 90\n"
        "  - destination: {host: api, subset: canary}\n    weight: 10"
    ),
    references=(
        "https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRouteDestination",
        "https://gateway-api.sigs.k8s.io/guides/traffic-splitting/",
        "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary",
    ),
    applies_to=(
        "VirtualService.networking.istio.io",
        *ROUTES,
        "TrafficSplit.split.smi-spec.io",
        "Ingress.networking.k8s.io",
    ),
    needs_inventory=True,
)

_NGINX = "nginx.ingress.kubernetes.io/"
_MOST = 1_000_000
"""The largest weight of a backend of the Gateway API."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each weight, sum, Service and subset that is wrong."""
    if resource.kind == "VirtualService":
        yield from _of_virtual_service(resource, context.inventory)
    elif resource.kind == "Ingress":
        yield from _of_ingress(resource)
    elif resource.kind == "TrafficSplit":
        backends = list(items(resource.spec.get("backends"), "/spec/backends"))
        yield from _weights(backends, "/spec/backends", default=0)
        for backend, place in backends:
            yield from _service(
                text(backend.get("service")), f"{place}/service", resource, context.inventory
            )
    else:
        for rule, pointer in items(resource.spec.get("rules"), "/spec/rules"):
            backends = list(items(rule.get("backendRefs"), f"{pointer}/backendRefs"))
            yield from _weights(backends, f"{pointer}/backendRefs", default=1)


def _weights(
    rows: list[tuple[dict[str, Any], str]], pointer: str, *, default: int, percent: bool = False
) -> Iterator[Violation]:
    """Judge the weights of one split: each for itself, then together."""
    total, is_known = 0, True
    for row, place in rows:
        stated = row.get("weight", default)
        weight = whole_number(stated)
        if weight is None or not 0 <= weight <= _MOST:
            is_known = False
            yield Violation(
                f"{place}/weight", f"the weight {quoted(stated)} is no whole number from 0 on"
            )
        else:
            total += weight
    if not rows or not is_known or (percent and len(rows) == 1):
        return
    if total == 0:
        yield Violation(pointer, "the weights are all 0, so nothing gets any traffic")
    elif percent and total != 100:
        yield Violation(
            pointer, f"the weights add up to {total}, not to 100, so each is a share of {total}"
        )


def _of_virtual_service(resource: Resource, inventory: Inventory) -> Iterator[Violation]:
    for protocol in ("http", "tls", "tcp"):
        for rule, pointer in items(resource.spec.get(protocol), f"/spec/{protocol}"):
            place = f"{pointer}/route"
            routes = list(items(rule.get("route"), place))
            if len(routes) < 2 and not any("weight" in route for route, _ in routes):
                continue
            yield from _weights(routes, place, default=0, percent=True)
            for route, at in routes:
                yield from _destination(route, f"{at}/destination", resource, inventory)


def _destination(
    route: dict[str, Any], pointer: str, resource: Resource, inventory: Inventory
) -> Iterator[Violation]:
    host, subset = (
        text(dig(route, "destination", "host")),
        text(dig(route, "destination", "subset")),
    )
    if not host or is_service_host(host, inventory) is not True:
        return
    missing = list(_service(host, f"{pointer}/host", resource, inventory))
    yield from missing
    if not subset or missing:
        return
    namespace, name = _named(host, namespace_of(resource))
    rules = inventory.lookup("DestinationRule.networking.istio.io", None, _hosts, (namespace, name))
    if any(subset in _subsets(rule) for rule in rules):
        return
    message = f"there is no subset {subset} of {host} in a DestinationRule"
    if inventory.complete:
        yield Violation(f"{pointer}/subset", message)
    else:
        yield Violation(f"{pointer}/subset", f"{message} among the manifests", unknown=True)


def _subsets(rule: Resource) -> list[str]:
    return [text(row.get("name")) for row, _ in items(rule.spec.get("subsets"), "")]


def _hosts(rule: Resource) -> tuple[object, ...]:
    host = text(rule.spec.get("host"))
    return (_named(host, namespace_of(rule)),) if host else ()


def _named(host: str, namespace: str) -> tuple[str, str]:
    """Return the namespace and name of a Service that a host stands for."""
    name, *rest = host.split(".")
    return (rest[0] if rest else namespace), name


def _service(
    host: str, pointer: str, resource: Resource, inventory: Inventory
) -> Iterator[Violation]:
    namespace, name = _named(host, namespace_of(resource))
    if not name or inventory.get("Service", namespace, name) is not None:
        return
    message = f"there is no Service {name} in namespace {namespace}"
    reason = why_may_exist(inventory, namespace, name)
    if reason is None and namespace != namespace_of(resource) and not inventory.kinds_in(namespace):
        reason = "nothing of that namespace was read"
    if reason is None:
        yield Violation(pointer, message)
    else:
        yield Violation(pointer, f"{message}, but {reason}", unknown=True)


def _of_ingress(resource: Resource) -> Iterator[Violation]:
    annotations = resource.annotations
    if annotations.get(f"{_NGINX}canary") != "true":
        return
    total = _number(annotations.get(f"{_NGINX}canary-weight-total", "100"))
    pointer = "/metadata/annotations/"
    if total is None or total < 1:
        stated = annotations[f"{_NGINX}canary-weight-total"]
        key = escape(f"{_NGINX}canary-weight-total")
        yield Violation(
            f"{pointer}{key}", f"canary-weight-total is {quoted(stated)}, no number above 0"
        )
        return
    key = f"{_NGINX}canary-weight"
    if key in annotations:
        weight = _number(annotations[key])
        if weight is None or not 0 <= weight <= total:
            yield Violation(
                f"{pointer}{escape(key)}",
                f"canary-weight is {quoted(annotations[key])}, no whole number from 0 to {total}",
            )


def _number(stated: object) -> int | None:
    if isinstance(stated, str):
        return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 10 else None
    return whole_number(stated)
