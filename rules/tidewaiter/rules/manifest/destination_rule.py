"""Istio's DestinationRules: the traffic policies that one states.

https://istio.io/latest/docs/reference/config/networking/destination-rule/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import items, mapping, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

KIND = "DestinationRule.networking.istio.io"


@record
class TrafficPolicy:
    """One traffic policy: its fields, its JSON pointer, and whom it is for ("subset v1, port 80").

    `for_all` says that it is the rule's own, which holds where no other says otherwise; `inherits` that
    what it leaves out comes from there. A policy for a port inherits nothing.
    """

    fields: dict[str, Any]
    pointer: str
    scope: str = ""
    for_all: bool = False
    inherits: bool = False


def traffic_policies(rule: Resource) -> Iterator[TrafficPolicy]:
    """Yield the rule's own policy, also where it is missing, and those of its subsets and ports."""
    own = mapping(rule.spec.get("trafficPolicy"))
    yield TrafficPolicy(own, "/spec/trafficPolicy", for_all=True)
    yield from _ports(own, "/spec/trafficPolicy", "")
    for subset, pointer in items(rule.spec.get("subsets"), "/spec/subsets"):
        stated = subset.get("trafficPolicy")
        if isinstance(stated, dict):
            scope = f"subset {text(subset.get('name'))}"
            yield TrafficPolicy(stated, f"{pointer}/trafficPolicy", scope, inherits=True)
            yield from _ports(stated, f"{pointer}/trafficPolicy", f"{scope}, ")


def _ports(policy: dict[str, Any], pointer: str, prefix: str) -> Iterator[TrafficPolicy]:
    for entry, place in items(policy.get("portLevelSettings"), f"{pointer}/portLevelSettings"):
        number = mapping(entry.get("port")).get("number")
        yield TrafficPolicy(entry, place, f"{prefix}port {number}")
