"""Every namespace with workloads denies ingress and egress by default.

Wanted: a NetworkPolicy that selects all pods (podSelector: {}) for Ingress and for Egress, in one policy
or in two, and has no rule that allows everything. Rules that allow something, such as DNS, are fine.
Reported once for a namespace: on its Namespace object, or else on the first workload in it. Pods on the
host's network are not under NetworkPolicies and do not count.
https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-policies
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.network_policy import (
    DIRECTIONS,
    KIND,
    alternative,
    denies_by_default,
    directions,
)
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="network-policy-default-deny",
    section="network",
    severity="error",
    profiles=("recommended",),
    summary="every namespace with workloads denies ingress and egress by default",
    rationale=(
        "Without a default deny every pod of the cluster reaches every other one, and the Internet: "
        "whoever takes over one container can go on from there and carry data out."
    ),
    remediation=(
        "Deny everything in the namespace, then allow what each workload needs:\n"
        "apiVersion: networking.k8s.io/v1\n"
        "kind: NetworkPolicy\n"
        "metadata:\n  name: default-deny\n"
        "spec:\n  podSelector: {}\n  policyTypes: [Ingress, Egress]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-policies",
    ),
    applies_to=(ANY,),
    needs_inventory=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation, on the object that stands for its namespace."""
    inventory = context.inventory
    if resource.kind_id == "Namespace":
        namespace, pointer = resource.name, "/metadata/name"
        if _first_workload(inventory, namespace) is None:
            return
    elif resource.workload is not None:
        namespace, pointer = namespace_of(resource), "/metadata/namespace"
        if not _stands_for(resource, namespace, inventory):
            return
    else:
        return
    open_directions = inventory.once(_open_directions, namespace)
    if not open_directions:
        return
    what = " and ".join(direction.lower() for direction in open_directions)
    message = (
        f"namespace {namespace} has no NetworkPolicy that denies {what} of all pods by default"
    )
    if not inventory.complete:
        yield Violation(pointer, f"{message}, but the other objects are not known", unknown=True)
    elif (other := alternative(inventory, namespace)) is not None:
        yield Violation(pointer, f"{message}, but {other} may deny it", unknown=True)
    elif resource.workload is not None and _is_covered_elsewhere(resource, inventory):
        why = "but the manifests name no namespace, so its own policies may stand elsewhere"
        yield Violation(pointer, f"{message}, {why}", unknown=True)
    else:
        yield Violation(pointer, message)


def _open_directions(inventory: Inventory, namespace: str) -> tuple[str, ...]:
    """Return the directions that no policy of a namespace denies by default."""
    policies = inventory.of_kind(KIND, namespace)
    return tuple(
        direction
        for direction in DIRECTIONS
        if not any(denies_by_default(policy, direction) for policy in policies)
    )


def _is_covered_elsewhere(resource: Resource, inventory: Inventory) -> bool:
    """Tell whether manifests that leave the namespace open isolate each of their own workloads.

    They are one application's share of a namespace that somebody else defines.
    """
    return resource.namespace is None and all(
        _is_isolated(workload, inventory)
        for workload in inventory.workloads(namespace_of(resource))
        if _is_isolable(workload)
    )


def _is_isolated(workload: Workload, inventory: Inventory) -> bool:
    covered: set[str] = set()
    for policy in inventory.selecting(KIND, workload):
        covered.update(directions(policy))
    return len(covered) == len(DIRECTIONS)


def _stands_for(resource: Resource, namespace: str, inventory: Inventory) -> bool:
    if resource.workload is None or not _is_isolable(resource.workload):
        return False
    first = _first_workload(inventory, namespace)
    return (
        first is not None
        and first.resource.place == resource.place
        and inventory.find("Namespace", namespace) is None
    )


def _first_workload(inventory: Inventory, namespace: str) -> Workload | None:
    for workload in inventory.workloads(namespace):
        if _is_isolable(workload):
            return workload
    return None


def _is_isolable(workload: Workload) -> bool:
    return workload.kind_id != "PodTemplate" and workload.pod_spec.get("hostNetwork") is not True
