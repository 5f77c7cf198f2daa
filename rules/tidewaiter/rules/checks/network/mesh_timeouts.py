"""Every route of the mesh has a timeout, and its retries are bounded.

VirtualService: spec.http[*].timeout is there and not 0s; where spec.http[*].retries is there and
spec.http[*].retries.attempts is not 0, attempts and perTryTimeout are stated. Redirects, direct responses
and delegates ask no backend.
HTTPRoute (Gateway API and Linkerd's own): spec.rules[*].timeouts.request, or backendRequest, is there and
not 0s; where retry is there, its attempts are stated. Linkerd's timeout annotations and a timeout in a
policy of Envoy Gateway or kgateway on the route or its Gateway are fine; without the other objects, or on
GKE's Gateways, which take timeouts from a GCPBackendPolicy only, the answer is `unknown`.
https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute and
https://gateway-api.sigs.k8s.io/geps/gep-1742/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.gateway_route import KINDS, is_redirect, policies_of
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, quoted, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="mesh-timeouts",
    section="network",
    severity="warning",
    summary="every route of the mesh has a timeout and bounded retries",
    rationale=(
        "Without a timeout a caller waits for a backend that hangs, holding its own connections and "
        "memory, until the callers hang as well. Retries without bounds multiply the load on a service "
        "just when it fails."
    ),
    remediation=(
        "State how long the route may take, and how often and how long it is tried:\n"
        "http:\n"
        "  - timeout: 5s\n"
        "    retries:\n      attempts: 2\n      perTryTimeout: 2s\n"
        "    route:\n      - destination: {host: ledger}"
    ),
    references=(
        "https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute",
        "https://gateway-api.sigs.k8s.io/geps/gep-1742/",
        "https://linkerd.io/2/reference/timeouts/",
    ),
    applies_to=(
        "VirtualService.networking.istio.io",
        KINDS[0],
        "HTTPRoute.policy.linkerd.io",
    ),
    needs_inventory=True,
    tags=("anti-pattern",),
)

_ROUTE_REMEDIATION = (
    "State how long the route may take:\n"
    "rules:\n"
    "  - timeouts:\n      request: 5s\n"
    "    backendRefs:\n      - name: ledger\n        port: 8080"
)
_LINKERD_ANNOTATIONS = ("timeout.linkerd.io/request", "timeout.linkerd.io/response")


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each route without a timeout, and each with open retries."""
    if resource.kind == "VirtualService":
        for route, pointer in items(resource.spec.get("http"), "/spec/http"):
            if not any(route.get(field) for field in ("redirect", "directResponse", "delegate")):
                yield from _virtual(route, pointer)
        return
    stated = any(_is_time(resource.annotations.get(key)) for key in _LINKERD_ANNOTATIONS)
    stated = stated or _is_timed_by_policy(resource, context.inventory)
    why = None if stated else _why_unknown(resource, context.inventory)
    for rule, pointer in items(resource.spec.get("rules"), "/spec/rules"):
        if rule.get("backendRefs") and not is_redirect(rule):
            yield from _rule(rule, pointer, stated=stated, why=why)


def _virtual(route: dict[str, Any], pointer: str) -> Iterator[Violation]:
    name = text(route.get("name")) or pointer.rpartition("/")[2]
    timeout = route.get("timeout")
    if timeout is None:
        yield Violation(f"{pointer}/timeout", f"http route {name} has no timeout")
    elif not _is_time(timeout):
        yield Violation(
            f"{pointer}/timeout", f"http route {name} has its timeout off ({quoted(timeout)})"
        )
    retries = mapping(route.get("retries"))
    if not retries or retries.get("attempts") == 0:
        return
    for field in ("attempts", "perTryTimeout"):
        if retries.get(field) is None:
            yield Violation(
                f"{pointer}/retries/{field}", f"the retries of http route {name} have no {field}"
            )


def _rule(
    rule: dict[str, Any], pointer: str, *, stated: bool, why: str | None
) -> Iterator[Violation]:
    index = pointer.rpartition("/")[2]
    timeouts = mapping(rule.get("timeouts"))
    if not stated and not any(_is_time(timeouts.get(key)) for key in ("request", "backendRequest")):
        off = "request" in timeouts
        shown = (
            f"has its timeout off ({quoted(timeouts['request'])})"
            if off
            else "has no request timeout"
        )
        yield Violation(
            f"{pointer}/timeouts/request",
            f"rule {index} {shown}" + (f", but {why}" if why else ""),
            unknown=why is not None,
            remediation=_ROUTE_REMEDIATION,
        )
    retry = rule.get("retry")
    if isinstance(retry, dict) and retry.get("attempts") is None:
        yield Violation(
            f"{pointer}/retry/attempts",
            f"the retries of rule {index} have no attempts",
            remediation="Say how often:\nretry:\n  attempts: 2\n  codes: [503]",
        )


def _why_unknown(route: Resource, inventory: Inventory) -> str | None:
    """Say what may give a route its timeout by other means, or return None."""
    for parent, _ in items(route.spec.get("parentRefs"), ""):
        if parent.get("kind", "Gateway") != "Gateway":
            continue
        place = text(parent.get("namespace")) or namespace_of(route)
        name = text(parent.get("name"))
        gateway = inventory.get("Gateway.gateway.networking.k8s.io", place, name)
        if gateway is not None and text(gateway.spec.get("gatewayClassName")).startswith("gke-"):
            return "a GCPBackendPolicy states it for Gateways of GKE"
    if not inventory.complete and route.kind_id == KINDS[0]:
        return "a policy may state it, and the other objects are not known"
    return None


def _is_timed_by_policy(route: Resource, inventory: Inventory) -> bool:
    """Tell whether a policy of Envoy Gateway or of kgateway gives a route its timeout."""
    return any(
        _is_time(dig(policy.spec, "timeout", "http", "requestTimeout"))
        for policy in policies_of(route, inventory, "timeout")
    ) or any(
        _is_time(dig(policy.spec, "timeouts", "request"))
        for policy in policies_of(route, inventory, "timeouts")
    )


def _is_time(value: object) -> bool:
    """Tell whether a duration such as 5s is stated and more than zero."""
    if isinstance(value, str):
        return value.strip("0.hmsnuµ") != ""
    return isinstance(value, int | float) and value > 0
