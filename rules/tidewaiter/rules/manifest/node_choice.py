"""The nodes that a pod says it wants, by their labels.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, escape, items, mapping, sequence, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@record
class NodeLabel:
    """A label that a node has to have, or may have: its key, one of some values, and where that is said."""

    key: str
    values: tuple[str, ...]
    pointer: str


def selected_labels(workload: Workload) -> Iterator[NodeLabel]:
    """Yield the labels of nodeSelector, all of which a node must have."""
    for key, value in mapping(workload.pod_spec.get("nodeSelector")).items():
        if isinstance(value, str):
            yield NodeLabel(key, (value,), f"{workload.pod_pointer}/nodeSelector/{escape(key)}")


def required_terms(workload: Workload) -> list[tuple[NodeLabel, ...]]:
    """Return the terms of the required node affinity, of which a node must meet one.

    Of each the labels that it wants by the operator In; the other operators name no values to have.
    """
    required = dig(workload.pod_spec, "affinity", "nodeAffinity", _REQUIRED)
    pointer = f"{workload.pod_pointer}/affinity/nodeAffinity/{_REQUIRED}/nodeSelectorTerms"
    terms = items(mapping(required).get("nodeSelectorTerms"), pointer)
    return [tuple(_wanted(term, place)) for term, place in terms]


def preferred_terms(workload: Workload) -> list[tuple[NodeLabel, ...]]:
    """Return the terms of the preferred node affinity, read as those of the required one."""
    preferred = dig(workload.pod_spec, "affinity", "nodeAffinity", _PREFERRED)
    pointer = f"{workload.pod_pointer}/affinity/nodeAffinity/{_PREFERRED}"
    return [
        tuple(_wanted(mapping(term.get("preference")), f"{place}/preference"))
        for term, place in items(preferred, pointer)
    ]


def tolerated_taints(workload: Workload) -> Iterator[NodeLabel]:
    """Yield the taints that a pod tolerates by key, as labels; without values where it takes any.

    A toleration without a key, as agents of nodes have it, names no taint.
    """
    pointer = f"{workload.pod_pointer}/tolerations"
    for toleration, place in items(workload.pod_spec.get("tolerations"), pointer):
        key = text(toleration.get("key"))
        if not key:
            continue
        operator = toleration.get("operator")
        if operator == "Exists":
            yield NodeLabel(key, (), f"{place}/key")
        elif operator is None or operator in ("", "Equal"):
            yield NodeLabel(key, (text(toleration.get("value")),), f"{place}/key")


def _wanted(term: dict[str, Any], pointer: str) -> Iterator[NodeLabel]:
    for requirement, place in items(term.get("matchExpressions"), f"{pointer}/matchExpressions"):
        if requirement.get("operator") == "In":
            values = sequence(requirement.get("values"))
            chosen = tuple(value for value in values if isinstance(value, str))
            yield NodeLabel(text(requirement.get("key")), chosen, f"{place}/values")
