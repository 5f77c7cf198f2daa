"""No NetworkPolicy allows egress to everywhere on every port.

Restricted fields: spec.egress[*].to (missing or empty is everywhere) and
spec.egress[*].to[*].ipBlock.cidr (0.0.0.0/0 and ::/0 are everywhere). Allowed: a rule with ports, each
with a port number or name, and an ipBlock with `except`. Policies that are not for Egress have no
effect on it and are passed over.
https://kubernetes.io/docs/concepts/services-networking/network-policies/#allow-all-egress-traffic
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.manifest.network_policy import KIND, directions, is_everything, names_ports
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="network-policy-egress",
    section="network",
    severity="warning",
    profiles=("recommended",),
    summary="no NetworkPolicy allows egress to everywhere on every port",
    rationale=(
        "A rule that allows every destination and port is no isolation: a container that is taken "
        "over can fetch tools, reach the nodes' metadata service and carry data out."
    ),
    remediation=(
        "Name the peers, or at least the ports:\n"
        "egress:\n"
        "  - to:\n      - ipBlock:\n          cidr: 0.0.0.0/0\n          except: [169.254.169.254/32]\n"
        "    ports:\n      - port: 443\n        protocol: TCP"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/#allow-all-egress-traffic",
    ),
    applies_to=(KIND,),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each rule or ipBlock that allows everything."""
    del context
    if "Egress" not in directions(resource):
        return
    for index, rule in enumerate(sequence(resource.spec.get("egress"))):
        pointer = f"/spec/egress/{index}"
        if rule is not None and not isinstance(rule, dict):
            continue
        if is_everything(rule, "Egress"):
            yield Violation(
                pointer, f"egress rule {index} allows every destination on every port ({{}})"
            )
            continue
        fields = mapping(rule)
        if names_ports(fields):
            continue
        for peer, place in items(fields.get("to"), f"{pointer}/to"):
            block = mapping(peer.get("ipBlock"))
            cidr = text(dig(block, "cidr"))
            if _is_every_address(cidr) and not sequence(block.get("except")):
                yield Violation(
                    f"{place}/ipBlock/cidr",
                    f"egress rule {index} allows every address on every port (cidr: {cidr})",
                )


def _is_every_address(cidr: str) -> bool:
    """Tell whether a block has a prefix of no bits: no address of its family is outside."""
    return cidr.strip().endswith("/0")
