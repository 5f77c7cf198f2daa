"""Every DestinationRule takes failing hosts out and limits the connections to a service.

Restricted fields: spec.trafficPolicy.outlierDetection and .connectionPool, which subsets inherit and
portLevelSettings do not. Allowed: outlierDetection whose consecutive errors are not all switched off by 0,
and connectionPool with tcp.maxConnections, http.http1MaxPendingRequests or http.http2MaxRequests. Where
the rule's own policy leaves one out, each of its subsets, or each of its ports, may state it instead.
https://istio.io/latest/docs/reference/config/networking/destination-rule/#OutlierDetection
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.destination_rule import KIND, traffic_policies
from tidewaiter.rules.manifest.fields import dig, items
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="mesh-circuit-breaker",
    section="network",
    severity="warning",
    summary="every DestinationRule has outlier detection and connection limits",
    rationale=(
        "Without a circuit breaker callers go on asking a host that only fails, and pile up connections "
        "and waiting requests before a slow one until they fail themselves."
    ),
    remediation=(
        "Take failing hosts out, and limit what may be under way:\n"
        "trafficPolicy:\n"
        "  outlierDetection:\n    consecutive5xxErrors: 5\n    interval: 10s\n    baseEjectionTime: 30s\n"
        "  connectionPool:\n    tcp:\n      maxConnections: 100\n"
        "    http:\n      http1MaxPendingRequests: 50"
    ),
    references=(
        "https://istio.io/latest/docs/tasks/traffic-management/circuit-breaking/",
        "https://istio.io/latest/docs/reference/config/networking/destination-rule/#ConnectionPoolSettings",
        "https://istio.io/latest/docs/reference/config/networking/destination-rule/#OutlierDetection",
    ),
    applies_to=(KIND,),
    tags=("anti-pattern",),
)

_ERRORS = (
    "consecutiveErrors",
    "consecutive5xxErrors",
    "consecutiveGatewayErrors",
    "consecutiveLocalOriginFailures",
)
_LIMITS = (
    ("tcp", "maxConnections"),
    ("http", "http1MaxPendingRequests"),
    ("http", "http2MaxRequests"),
)
_WORDS = {"outlierDetection": "outlier detection", "connectionPool": "connection limits"}


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each traffic policy that lacks one of the two, or both."""
    del context
    policies = list(traffic_policies(resource))
    for policy in policies:
        missing = [
            field
            for field in _WORDS
            if not _states(policy.fields, field)
            and not (policy.inherits and field not in policy.fields)
            and not (policy.for_all and _is_stated_below(resource, field))
        ]
        if missing:
            whose = f" for {policy.scope}" if policy.scope else ""
            what = " and no ".join(_WORDS[field] for field in missing)
            yield Violation(
                f"{policy.pointer}/{missing[0]}" if len(missing) == 1 else policy.pointer,
                f"DestinationRule {resource.name} has no {what}{whose}",
            )


def _is_stated_below(rule: Resource, field: str) -> bool:
    """Tell whether all subsets, or all ports that the rule names, state what its own policy does not."""
    subsets = [subset for subset, _ in items(rule.spec.get("subsets"), "")]
    if subsets and all(_states(dig(subset, "trafficPolicy"), field) for subset in subsets):
        return True
    ports = [port for port, _ in items(dig(rule.spec, "trafficPolicy", "portLevelSettings"), "")]
    return bool(ports) and all(_states(port, field) for port in ports)


def _states(policy: Any, field: str) -> bool:
    stated = dig(policy, field)
    if not isinstance(stated, dict):
        return False
    if field == "connectionPool":
        return any(dig(stated, *path) is not None for path in _LIMITS)
    # Only the 5xx errors count by default; 0 switches a count off.
    off = stated.get("consecutive5xxErrors", stated.get("consecutiveErrors")) == 0
    return not off or any(stated.get(key) not in (None, 0) for key in _ERRORS)
