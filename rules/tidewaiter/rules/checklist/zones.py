"""Whether the pods of a service are spread over zones, by what the manifests state.

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""

from __future__ import annotations

from tidewaiter.rules.checklist.evidence import unknown, wrong
from tidewaiter.rules.checklist.items import DATABASE
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.manifest.node_choice import required_terms, selected_labels
from tidewaiter.rules.manifest.postgres import CLOUD_NATIVE_PG, POSTGRES, instances_of
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector
from tidewaiter.rules.scaling import least_replicas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.checklist.evidence import Evidence, Facts
    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.node_choice import NodeLabel
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
ON_EVERY_NODE = ("DaemonSet.apps", "DaemonSet.apps.kruise.io")


def why_zones_do_not_matter(service: CheckedService, facts: Facts) -> str | None:
    """Say why a service needs no spread: one pod runs on every node, in whatever zone."""
    del facts
    if service.members and all(each.kind_id in ON_EVERY_NODE for each in service.members):
        return "it runs on every node"
    return None


def zone_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield what keeps a service in one zone."""
    for member in service.members:
        if service.kind == DATABASE:
            yield from _of_database(member)
        elif member.workload is not None and member.kind_id not in ON_EVERY_NODE:
            yield from _of_workload(member.workload, facts.inventory)


def _of_workload(workload: Workload, inventory: Inventory) -> Iterator[Evidence]:
    resource = workload.resource
    least = least_replicas(workload, inventory)
    single = _single_zone(workload)
    if single is not None:
        zone = single.values[0]
        yield wrong(resource, single.pointer, f"{resource!r} wants nodes of the zone {zone!r} only")
    elif least is not None and least < 2:
        yield wrong(resource, "/spec/replicas", f"{resource!r} has {least} replica, in one zone")
    elif not _is_spread(workload):
        place = f"{workload.pod_pointer}/topologySpreadConstraints"
        yield wrong(resource, place, f"nothing spreads the pods of {resource!r} over zones")
    elif least is None:
        message = f"whether {resource!r} has more than one replica is not known"
        yield unknown(resource, "/spec/replicas", message)


def _single_zone(workload: Workload) -> NodeLabel | None:
    labels = list(selected_labels(workload))
    terms = required_terms(workload)
    if len(terms) == 1:
        labels += terms[0]
    return next((each for each in labels if each.key in ZONES and len(each.values) == 1), None)


def _is_spread(workload: Workload) -> bool:
    spec = workload.pod_spec
    terms: list[Any] = [each for each, _ in items(spec.get("topologySpreadConstraints"), "")]
    rules = mapping(dig(spec, "affinity", "podAntiAffinity"))
    terms += sequence(rules.get("requiredDuringSchedulingIgnoredDuringExecution"))
    for entry, _ in items(rules.get("preferredDuringSchedulingIgnoredDuringExecution"), ""):
        terms.append(entry.get("podAffinityTerm"))
    return any(_is_over_zones(mapping(term), workload.pod_labels) for term in terms)


def _is_over_zones(term: dict[str, Any], labels: dict[str, Any]) -> bool:
    if term.get("topologyKey") not in ZONES:
        return False
    try:
        return parse_selector(term.get("labelSelector")).matches(labels)
    except InvalidSelector:
        return False


def _of_database(cluster: Resource) -> Iterator[Evidence]:
    if cluster.kind_id in POSTGRES:
        count, place = instances_of(cluster)
        if count is not None and count < 2:
            yield wrong(cluster, place, f"{cluster!r} has {count} instance, in one zone")
            return
    if cluster.kind_id in CLOUD_NATIVE_PG:
        constraints = items(cluster.spec.get("topologySpreadConstraints"), "")
        over_zones = any(each.get("topologyKey") in ZONES for each, _ in constraints)
        # Without another key CloudNativePG keeps the instances apart by host name.
        affinity = mapping(cluster.spec.get("affinity"))
        keyed = affinity.get("topologyKey") in ZONES
        if not over_zones and not (keyed and affinity.get("enablePodAntiAffinity") is not False):
            place = "/spec/affinity/topologyKey"
            yield wrong(cluster, place, f"nothing spreads the instances of {cluster!r} over zones")
        return
    if text(dig(cluster.spec, "kafka", "rack", "topologyKey")) in ZONES:
        return
    yield unknown(cluster, "/spec", f"how its operator spreads {cluster!r} is not read")
