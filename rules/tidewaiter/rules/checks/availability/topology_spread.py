"""Replicas run on different nodes and in different zones.

Restricted fields: topologySpreadConstraints and affinity.podAntiAffinity of workloads with more than one replica,
or with an autoscaler that keeps more than one; not of DaemonSets, Jobs and bare pods. Allowed: for nodes and for
zones, a constraint or a term, required or preferred, whose labelSelector picks the workload's own pods; none where
the nodeSelector or the node affinity leaves a single zone or node.
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import APPEND, Edit, Fix
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.node_choice import required_terms, selected_labels
from tidewaiter.rules.manifest.replica_set import is_replica_set_of_its_own
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector
from tidewaiter.rules.rule import WORKLOAD, Rule
from tidewaiter.rules.scaling import least_replicas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="topology-spread",
    section="availability",
    severity="warning",
    summary="the replicas of a workload are spread over nodes and zones",
    rationale=(
        "The scheduler may put all replicas on one node, or in one zone: when it goes, so does the service, "
        "however many replicas it has."
    ),
    remediation=(
        "Ask for both, with the labels of the pods themselves:\nspec:\n  topologySpreadConstraints:\n"
        "    - maxSkew: 1\n      topologyKey: topology.kubernetes.io/zone\n"
        "      whenUnsatisfiable: ScheduleAnyway\n      labelSelector: {matchLabels: {app: api}}\n"
        "    - maxSkew: 1\n      topologyKey: kubernetes.io/hostname\n"
        "      whenUnsatisfiable: ScheduleAnyway\n      labelSelector: {matchLabels: {app: api}}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)

_PLACES = {"hostname": "nodes", "zone": "zones"}
_KEYS = {"hostname": "kubernetes.io/hostname", "zone": "topology.kubernetes.io/zone"}
"""What replicas are to be spread over, by the last part of the topology key.

The prefix is not always topology.kubernetes.io: old clusters and storage drivers have zones of their own.
"""


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload that is not spread over both."""
    if not workload.is_replicated and not is_replica_set_of_its_own(workload):
        return
    stated = list(_stated(workload))
    settled = {key for key, own in stated if own}
    missing = [kind for kind in _PLACES if kind not in settled]
    if missing:
        missing = [kind for kind in missing if kind not in _chosen(workload)]
    if not missing:
        return
    least = least_replicas(workload, context.inventory)
    if least is not None and least < 2:
        return
    named = f"{workload.resource.kind} {workload.resource.name}"
    state = f"is not spread over {' and '.join(_PLACES[kind] for kind in missing)}"
    if any(key in missing for key, _ in stated):
        state += ": what it states for that selects other pods"
    pointer = f"{workload.pod_pointer}/topologySpreadConstraints"
    if least is None:
        reason = "whether it has more than one replica is not known"
        yield Violation(pointer, f"{named} {state}; {reason}", unknown=True)
    else:
        yield Violation(
            pointer,
            f"{named} has {least} replicas, but {state}",
            fix=_fix(missing, pointer, workload),
        )


def _fix(missing: list[str], pointer: str, workload: Workload) -> Fix | None:
    """Ask for an even spread, without holding a pod back for it."""
    labels = {key: value for key, value in workload.pod_labels.items() if isinstance(value, str)}
    if not labels:
        return None
    entries = [
        {
            "maxSkew": 1,
            "topologyKey": _KEYS[kind],
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _selected(labels, workload)},
        }
        for kind in reversed(missing)
    ]
    return Fix(tuple(Edit(APPEND, pointer, entry) for entry in entries), is_safe=False)


def _selected(labels: dict[str, Any], workload: Workload) -> dict[str, Any]:
    """Return the labels by which the workload itself selects its pods, else all of theirs."""
    stated = mapping(dig(workload.resource.spec, "selector", "matchLabels"))
    return {key: value for key, value in stated.items() if labels.get(key) == value} or labels


def _stated(workload: Workload) -> Iterator[tuple[str, bool]]:
    """Yield for each constraint and term its kind of topology, and whether it picks the workload's pods."""
    for constraint, _ in items(workload.pod_spec.get("topologySpreadConstraints"), ""):
        yield _kind(constraint), _is_own(constraint, workload)
    rules = mapping(dig(workload.pod_spec, "affinity", "podAntiAffinity"))
    for term, _ in items(rules.get("requiredDuringSchedulingIgnoredDuringExecution"), ""):
        yield _kind(term), _is_own(term, workload)
    for entry, _ in items(rules.get("preferredDuringSchedulingIgnoredDuringExecution"), ""):
        term = mapping(entry.get("podAffinityTerm"))
        yield _kind(term), _is_own(term, workload)


def _kind(term: dict[str, Any]) -> str:
    return text(term.get("topologyKey")).rpartition("/")[2]


def _is_own(term: dict[str, Any], workload: Workload) -> bool:
    try:
        return parse_selector(term.get("labelSelector")).matches(workload.pod_labels)
    except InvalidSelector:
        # What it picks is not known; that it is no selector is for label-selector-valid to report.
        return True


def _chosen(workload: Workload) -> set[str]:
    """Return the kinds of topology of which the workload wants a single node or zone."""
    labels = [*selected_labels(workload)]
    terms = required_terms(workload)
    if len(terms) == 1:
        labels += [label for label in terms[0] if len(label.values) == 1]
    return {label.key.rpartition("/")[2] for label in labels}
