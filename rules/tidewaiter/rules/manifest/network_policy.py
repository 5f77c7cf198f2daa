"""What a NetworkPolicy isolates and allows, and which other kinds do a NetworkPolicy's work.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, mapping, sequence
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

KIND = "NetworkPolicy.networking.k8s.io"
DIRECTIONS = ("Ingress", "Egress")

_NAMESPACED_ALTERNATIVES = (
    "CiliumNetworkPolicy.cilium.io",
    "NetworkPolicy.crd.projectcalico.org",
    "NetworkPolicy.projectcalico.org",
    "NetworkPolicy.crd.antrea.io",
)
_CLUSTER_ALTERNATIVES = (
    "AdminNetworkPolicy.policy.networking.k8s.io",
    "BaselineAdminNetworkPolicy.policy.networking.k8s.io",
    "CiliumClusterwideNetworkPolicy.cilium.io",
    "ClusterNetworkPolicy.crd.antrea.io",
    "ClusterNetworkPolicy.policy.networking.k8s.io",
    "GlobalNetworkPolicy.crd.projectcalico.org",
    "GlobalNetworkPolicy.projectcalico.org",
)
_PEERS = {"Ingress": "from", "Egress": "to"}


def directions(policy: Resource) -> tuple[str, ...]:
    """Return the directions that a policy isolates its pods for.

    Without policyTypes these are Ingress, and Egress where there is an egress rule.
    """
    types = sequence(policy.spec.get("policyTypes"))
    if types:
        return tuple(direction for direction in DIRECTIONS if direction in types)
    return DIRECTIONS if sequence(policy.spec.get("egress")) else DIRECTIONS[:1]


def denies_by_default(policy: Resource, direction: str) -> bool:
    """Tell whether a policy isolates every pod of its namespace for a direction.

    Rules that allow something leave the rest denied; only one that allows everything undoes it.
    """
    if direction not in directions(policy):
        return False
    try:
        if not parse_selector(mapping(policy.spec.get("podSelector"))).selects_everything:
            return False
    except InvalidSelector:
        return False
    rules = sequence(policy.spec.get(direction.lower()))
    return not any(is_everything(rule, direction) for rule in rules)


def is_everything(rule: object, direction: str) -> bool:
    """Tell whether a rule allows every peer on every port: it names neither."""
    fields = mapping(rule)
    return not fields.get(_PEERS[direction]) and not names_ports(fields)


def names_ports(rule: dict[str, Any]) -> bool:
    """Tell whether a rule allows certain ports only; an entry without a port stands for all."""
    ports = sequence(rule.get("ports"))
    return bool(ports) and all(dig(port, "port") is not None for port in ports)


def why_isolation_is_unknown(inventory: Inventory, namespace: str) -> str | None:
    """Say, as a clause after "but", why pods that no NetworkPolicy isolates may be so, or None."""
    if not inventory.complete:
        return "the other objects are not known"
    other = alternative(inventory, namespace)
    return f"{other} may" if other is not None else None


def alternative(inventory: Inventory, namespace: str) -> str | None:
    """Name an object of another kind that may isolate the pods of a namespace, or None.

    Those of Cilium, Calico and Antrea, the cluster's own policies, and Kyverno policies that
    generate a NetworkPolicy.
    """
    for kind in _NAMESPACED_ALTERNATIVES:
        for resource in inventory.of_kind(kind, namespace):
            return f"{resource.kind} {resource.name}"
    for kind in _CLUSTER_ALTERNATIVES:
        for resource in inventory.of_kind(kind):
            return f"{resource.kind} {resource.name}"
    for resource in inventory.of_kind("ClusterPolicy.kyverno.io"):
        for rule in sequence(resource.spec.get("rules")):
            if dig(rule, "generate", "kind") == "NetworkPolicy":
                return f"{resource.kind} {resource.name}"
    return None
