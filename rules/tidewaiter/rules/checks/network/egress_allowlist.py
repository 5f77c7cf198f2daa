"""Marked workloads reach only the external addresses that the policy lists.

For payment and KYC partners: the policy gives their CIDRs, and marks the workloads that speak to them by
a label selector. Off until the policy gives a list. Restricted fields of each NetworkPolicy that selects
a marked workload for Egress: spec.egress[*].to[*].ipBlock.cidr (inside a listed block) and
spec.egress[*].to (not missing or empty, which is everywhere). Peers by podSelector or namespaceSelector
are inside the cluster and fine. A marked workload needs such a NetworkPolicy. Pods on the host's network
are `unknown`, for network plugins differ in whether policies hold there.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.manifest.network_policy import KIND, directions, why_isolation_is_unknown
from tidewaiter.rules.manifest.selector import InvalidSelector
from tidewaiter.rules.manifest.selector_text import parse_selector_text
from tidewaiter.rules.rule import ANY, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.selector import Selector
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="egress-allowlist",
    section="network",
    severity="warning",
    summary="marked workloads reach only the external addresses that the policy lists",
    rationale=(
        "A workload that holds card data or identity documents and may open connections to anywhere is "
        "the shortest way out for them. Its partners' addresses are known: no others need be reachable."
    ),
    remediation=(
        "Allow the partners' blocks and nothing wider:\n"
        "egress:\n"
        "  - to:\n      - ipBlock:\n          cidr: 203.0.113.0/28\n"
        "    ports:\n      - port: 443\n        protocol: TCP"
    ),
    references=("https://kubernetes.io/docs/concepts/services-networking/network-policies/",),
    applies_to=(ANY,),
    needs_inventory=True,
    parameters=(
        Parameter(
            "cidrs",
            "strings",
            (),
            "blocks of addresses that marked workloads may reach; the rule is off without any",
            stricter="fewer",
        ),
        Parameter(
            "selector",
            "string",
            "tidewaiter.dev/egress=partners",
            "label selector of the marked pods, as kubectl takes it; an empty one marks all",
        ),
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield the violations of a NetworkPolicy's blocks, or of a marked workload without one."""
    cidrs = context.parameters["cidrs"]
    if not cidrs or (resource.workload is None and resource.kind_id != KIND):
        return
    try:
        marking = parse_selector_text(context.parameters["selector"])
        allowed = _networks(tuple(cidrs))
    except (InvalidSelector, ValueError) as error:
        yield Violation("", f"the parameters of the rule cannot be read: {error}", unknown=True)
        return
    if resource.workload is not None:
        if resource.kind_id != "PodTemplate" and marking.matches(resource.workload.pod_labels):
            yield from _workload(resource.workload, context)
    elif "Egress" in directions(resource):
        marked = _marked(resource, marking, context)
        if marked is not None:
            yield from _policy(resource, marked, allowed)


def _workload(workload: Workload, context: Context) -> Iterator[Violation]:
    name, inventory = workload.resource.name, context.inventory
    if workload.pod_spec.get("hostNetwork") is True:
        yield Violation(
            f"{workload.pod_pointer}/hostNetwork",
            f"the pods of {name} use the host's network, where NetworkPolicies may not hold",
            unknown=True,
        )
        return
    if any("Egress" in directions(policy) for policy in inventory.selecting(KIND, workload)):
        return
    pointer = f"{workload.template_pointer}/metadata/labels"
    message = f"no NetworkPolicy limits the egress of {name}, whose external addresses are listed"
    unknown = why_isolation_is_unknown(inventory, namespace_of(workload.resource))
    yield Violation(
        pointer,
        message + (f", but {unknown}" if unknown else ""),
        unknown=unknown is not None,
    )


def _marked(policy: Resource, marking: Selector, context: Context) -> Workload | None:
    """Return the first marked workload that a NetworkPolicy selects."""
    selector = pod_selector(policy)
    if selector is None:
        return None
    for workload in context.inventory.workloads_matching(namespace_of(policy), selector):
        if workload.kind_id != "PodTemplate" and marking.matches(workload.pod_labels):
            return workload
    return None


def _policy(policy: Resource, marked: Workload, allowed: tuple[Any, ...]) -> Iterator[Violation]:
    name = marked.resource.name
    for index, rule in enumerate(sequence(policy.spec.get("egress"))):
        pointer = f"/spec/egress/{index}"
        if rule is not None and not isinstance(rule, dict):
            continue
        peers = mapping(rule).get("to")
        if not peers:
            yield Violation(
                pointer, f"egress rule {index} lets {name} reach every address (it has no to)"
            )
            continue
        for peer, place in items(peers, f"{pointer}/to"):
            cidr = text(dig(peer, "ipBlock", "cidr"))
            if cidr and not _is_inside(cidr, allowed):
                yield Violation(
                    f"{place}/ipBlock/cidr",
                    f"egress rule {index} lets {name} reach {cidr}, which is not in the policy's list",
                )


@lru_cache(maxsize=64)
def _networks(cidrs: tuple[str, ...]) -> tuple[Any, ...]:
    """Read the policy's list. Raises `ValueError` at an entry that is no block of addresses."""
    import ipaddress

    return tuple(ipaddress.ip_network(cidr.strip(), strict=False) for cidr in cidrs)


def _is_inside(cidr: str, allowed: tuple[Any, ...]) -> bool:
    """Tell whether a block lies in an allowed one; what is no block is nothing to report here."""
    import ipaddress

    try:
        block: Any = ipaddress.ip_network(cidr.strip(), strict=False)
    except ValueError:
        return True
    return any(block.version == one.version and block.subnet_of(one) for one in allowed)
