"""A NetworkPolicy's podSelector and the peers of its ingress rules pick some workload.

Checked fields: spec.podSelector, spec.ingress[*].from[*].podSelector. Empty selectors pick all pods and
are fine. A peer in other namespaces (namespaceSelector) that nothing here fits is `unknown`: such
namespaces are seldom part of one set of manifests.
https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import items
from tidewaiter.rules.manifest.network_policy import KIND, directions
from tidewaiter.rules.manifest.selector import EVERYTHING, InvalidSelector, parse_selector
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.selection import selected, why_unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.selector import Selector
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="network-policy-selects",
    section="network",
    severity="warning",
    profiles=("recommended",),
    summary="the podSelector of a NetworkPolicy and its ingress peers pick some workload",
    rationale=(
        "A selector that picks no pod is most often misspelt: the pods that were meant stay open, or "
        "the peers that were meant are shut out."
    ),
    remediation=(
        "Use the labels of the pods, as in spec.template.metadata.labels of their workload:\n"
        "spec:\n  podSelector:\n    matchLabels:\n      app: api"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors",
    ),
    applies_to=(KIND,),
    needs_inventory=True,
)

_NAME_LABEL = "kubernetes.io/metadata.name"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each selector that picks nothing."""
    inventory = context.inventory
    namespace = namespace_of(resource)
    selector = _selector(resource.spec.get("podSelector"))
    if selector is not None:
        message = f"podSelector picks no workload of namespace {namespace}"
        yield from _judge(selector, namespace, inventory, "/spec/podSelector", message)
    if "Ingress" not in directions(resource):
        return
    for rule, place in items(resource.spec.get("ingress"), "/spec/ingress"):
        for peer, pointer in items(rule.get("from"), f"{place}/from"):
            if peer.get("namespaceSelector") is not None:
                yield from _judge_elsewhere(peer, inventory, pointer)
                continue
            selector = _selector(peer.get("podSelector"))
            if selector is not None:
                message = f"this ingress peer picks no workload of namespace {namespace}"
                yield from _judge(selector, namespace, inventory, f"{pointer}/podSelector", message)


def _selector(value: object) -> Selector | None:
    """Read a selector that has requirements; None for an empty, missing or invalid one."""
    try:
        selector = parse_selector(value)
    except InvalidSelector:
        return None
    return None if selector.selects_everything or selector.selects_nothing else selector


def _judge(
    selector: Selector, namespace: str, inventory: Inventory, pointer: str, message: str
) -> Iterator[Violation]:
    if selected(inventory, namespace, selector):
        return
    reason = why_unknown(inventory, namespace, selector)
    if reason is None:
        yield Violation(pointer, message)
    else:
        yield Violation(pointer, f"{message}, but {reason}", unknown=True)


def _judge_elsewhere(
    peer: dict[str, Any], inventory: Inventory, pointer: str
) -> Iterator[Violation]:
    """Yield `unknown` where no namespace of the set, or no workload in those, fits the peer."""
    try:
        namespaces = parse_selector(peer["namespaceSelector"])
    except InvalidSelector:
        return
    pods = _selector(peer.get("podSelector"))
    if namespaces == EVERYTHING and pods is None:
        return
    name = dict(namespaces.equalities).get(_NAME_LABEL)
    named = inventory.find("Namespace", name) if name else None
    for namespace in [named] if named else inventory.of_kind("Namespace"):
        labels = {**namespace.labels, _NAME_LABEL: namespace.name}
        if namespaces.matches(labels) and (
            pods is None or selected(inventory, namespace.name, pods)
        ):
            return
    yield Violation(
        f"{pointer}/namespaceSelector",
        "nothing in this set fits this ingress peer, but it may be in a namespace that is not part of it",
        unknown=True,
    )
