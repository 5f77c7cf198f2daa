"""Routes of the Gateway API: HTTPRoute and GRPCRoute.

https://gateway-api.sigs.k8s.io/reference/spec/#httproute
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

KINDS = ("HTTPRoute.gateway.networking.k8s.io", "GRPCRoute.gateway.networking.k8s.io")

_KUADRANT = "RateLimitPolicy.kuadrant.io"
_POLICY_KINDS = (
    "BackendTrafficPolicy.gateway.envoyproxy.io",
    "TrafficPolicy.gateway.kgateway.dev",
    _KUADRANT,
)


def is_for_mesh(route: Resource) -> bool:
    """Tell whether a route is for traffic inside the cluster only: all its parents are Services."""
    parents = [parent for parent, _ in items(route.spec.get("parentRefs"), "")]
    return bool(parents) and all(parent.get("kind") == "Service" for parent in parents)


def is_redirect(rule: dict[str, Any]) -> bool:
    """Tell whether a rule answers by a redirect, so that no backend is asked."""
    return any(
        entry.get("type") == "RequestRedirect" for entry, _ in items(rule.get("filters"), "")
    )


def policies_of(route: Resource, inventory: Inventory, field: str) -> list[Resource]:
    """Return the policies attached to a route or to its Gateways that have a field in their spec.

    Policies of Envoy Gateway and kgateway, and for `rateLimit` those of Kuadrant, which are for nothing
    else. A policy is attached by spec.targetRef or spec.targetRefs, in the namespace of what it names.
    """
    namespace = namespace_of(route)
    targets = [(namespace, route.kind, route.name)]
    for parent, _ in items(route.spec.get("parentRefs"), ""):
        if parent.get("kind", "Gateway") == "Gateway":
            place = text(parent.get("namespace")) or namespace
            targets.append((place, "Gateway", text(parent.get("name"))))
    found = []
    for kind in _POLICY_KINDS:
        for place, target, name in targets:
            for policy in inventory.lookup(kind, place, _attachments, (target, name)):
                if field in policy.spec or (field == "rateLimit" and kind == _KUADRANT):
                    found.append(policy)
    return found


def _attachments(policy: Resource) -> tuple[tuple[str, str], ...]:
    references = [policy.spec.get("targetRef"), *sequence(policy.spec.get("targetRefs"))]
    return tuple(
        (text(reference.get("kind")), text(reference.get("name")))
        for reference in references
        if isinstance(reference, dict)
    )
