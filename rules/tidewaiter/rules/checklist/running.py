"""What the checklist sees in the pods themselves: containers, resources, replicas, scaling and cost."""

from __future__ import annotations

from tidewaiter.rules.catalogue import load
from tidewaiter.rules.checklist.evidence import unknown, wrong
from tidewaiter.rules.checklist.items import DATABASE, SERVING
from tidewaiter.rules.checklist.zones import ON_EVERY_NODE
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.node_choice import required_terms, selected_labels
from tidewaiter.rules.manifest.postgres import CLOUD_NATIVE_PG, POSTGRES, ZALANDO, instances_of
from tidewaiter.rules.manifest.quantity import quantity_of
from tidewaiter.rules.manifest.scaling import SCALABLE, SCALED_OBJECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.checklist.evidence import Evidence, Facts
    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Container, Workload

_STATEFUL = ("StatefulSet.apps", "StatefulSet.apps.kruise.io")
_OWN_RESOURCES = ("cpu", "memory")
_RESOURCE_TRIGGERS = frozenset({"cpu", "memory"})
_NO_POOL = (
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
"""Labels that every node has, whatever its pool."""


def image_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members whose images are not among the manifests."""
    del facts
    for member in service.members:
        if service.kind == DATABASE:
            message = f"which images {member!r} runs is for its operator to say"
            yield unknown(member, "/spec", message)
    yield from without_containers(service)


def probe_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members that the rules on probes do not look at."""
    del facts
    yield from without_containers(service)
    yield from not_looked_at(service, "probes and shutdown")


def resource_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield what the rules on requests and limits do not see."""
    del facts
    yield from without_containers(service)
    if service.kind != DATABASE:
        return
    for member in service.members:
        stated = mapping(member.spec.get("resources"))
        lacking = [
            f"{field}.{name}"
            for field in ("requests", "limits")
            for name in _OWN_RESOURCES
            if dig(stated, field, name) in (None, "")
        ]
        if not lacking:
            continue
        if member.kind_id in CLOUD_NATIVE_PG:
            message = f"the resources of {member!r} lack {', '.join(lacking)}"
            yield wrong(member, "/spec/resources", message)
        else:
            known = "default" if member.kind_id == ZALANDO else "own"
            message = f"{member!r} gets resources by its operator's {known} settings"
            yield unknown(member, "/spec/resources", message)


def quality_of_service(workload: Workload) -> str:
    """Return the QoS class of a workload's pods as Kubernetes works it out; "" without containers.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
    """
    counted = [each for each in workload.containers if not each.is_ephemeral]
    if not counted:
        return ""
    if all(_is_guaranteed(each) for each in counted):
        return "Guaranteed"
    if any(_resources(each, field) for each in counted for field in ("requests", "limits")):
        return "Burstable"
    return "BestEffort"


def _resources(container: Container, field: str) -> dict[str, object]:
    stated = mapping(dig(container.spec, "resources", field))
    return {name: stated[name] for name in _OWN_RESOURCES if stated.get(name) not in (None, "")}


def _is_guaranteed(container: Container) -> bool:
    limits = _resources(container, "limits")
    # A request that is left out is set to the limit.
    requests = {**limits, **_resources(container, "requests")}
    return len(limits) == len(_OWN_RESOURCES) and all(
        _amount(requests[name]) == _amount(limits[name]) for name in _OWN_RESOURCES
    )


def _amount(value: object) -> object:
    amount = quantity_of(value)
    return value if amount is None else amount


def availability_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield what the rules on replicas and budgets do not see."""
    del facts
    yield from not_looked_at(service, "replicas and budgets")
    if service.kind != DATABASE:
        return
    for member in service.members:
        if member.kind_id not in POSTGRES:
            message = f"how many instances {member!r} keeps up is for its operator to say"
            yield unknown(member, "/spec", message)
            continue
        count, place = instances_of(member)
        if count is None:
            yield unknown(member, place, f"how many instances {member!r} has is not known")
        elif count < 2:
            yield wrong(member, place, f"{member!r} has {count} instance, at least 2 are wanted")
        if member.spec.get("enablePDB") is False:
            message = f"{member!r} has its disruption budgets switched off (enablePDB: false)"
            yield wrong(member, "/spec/enablePDB", message)


def why_not_scaled(service: CheckedService, facts: Facts) -> str | None:
    """Say why a service has no number of replicas that a metric could set."""
    del facts
    if service.scalers or not service.members:
        return None
    kinds = {each.kind_id for each in service.members}
    if kinds.issubset(ON_EVERY_NODE):
        return "it runs on every node"
    if kinds.issubset(_STATEFUL) and all(_has_data(each) for each in service.workloads):
        return "each replica has data of its own"
    return None


def _has_data(workload: Workload) -> bool:
    return bool(workload.resource.spec.get("volumeClaimTemplates"))


def scaling_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the workloads without an autoscaler, and ScaledObjects that go by cpu and memory alone."""
    from tidewaiter.rules.scaling import scalers_of

    yield from not_looked_at(service, "autoscaling")
    for member in service.members:
        if member.kind_id not in SCALABLE:
            continue
        if member.kind_id in _STATEFUL and member.spec.get("volumeClaimTemplates"):
            continue
        if not scalers_of(member, facts.inventory) and not any(
            scalers_of(each, facts.inventory) for each in service.rollouts
        ):
            yield facts.missing(member, "/metadata/name", f"no autoscaler scales {member!r}")
    for scaler in service.scalers:
        if scaler.kind_id == SCALED_OBJECT:
            types = {text(each.get("type")) for each, _ in items(scaler.spec.get("triggers"), "")}
            if types.issubset(_RESOURCE_TRIGGERS):
                what = " and ".join(sorted(types)) or "nothing"
                message = f"ScaledObject {scaler.name} scales on {what} alone"
                yield wrong(scaler, "/spec/triggers", message)


def cost_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members that name no pool of nodes."""
    settings = facts.policy.settings(service.members[0])
    stated = settings.rules.get("node-pool", ("", {}))[1]
    labels = frozenset({**load("node-pool").defaults(), **stated}["labels"])
    yield from unread_namespace(service, facts)
    for member in service.members:
        if member.kind_id in ON_EVERY_NODE:
            continue
        if member.workload is None:
            chosen = mapping(dig(member.spec, "affinity", "nodeSelector"))
            if labels.isdisjoint(chosen):
                message = f"on which nodes {member!r} runs is for its operator to say"
                yield unknown(member, "/spec/affinity/nodeSelector", message)
            continue
        yield from _without_pool(member.workload, labels)


def _without_pool(workload: Workload, labels: frozenset[str]) -> Iterator[Evidence]:
    if not workload.pod_spec:
        return
    resource = workload.resource
    selected = {label.key for label in selected_labels(workload)}
    terms = [{label.key for label in term} for term in required_terms(workload)]
    if selected & labels or (terms and all(term & labels for term in terms)):
        return
    place = f"{workload.pod_pointer}/nodeSelector"
    others = selected.union(*terms).difference(_NO_POOL, labels)
    if others:
        message = (
            f"whether the label {min(others)}, by which {resource!r} chooses its nodes, is a pool"
        )
        yield unknown(resource, place, f"{message} is not known")
    else:
        yield wrong(resource, place, f"{resource!r} names no node pool, so it may run on any")


def unread_namespace(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Say that the rules pass over the namespace of a database: it has no workload of its own."""
    if service.kind == DATABASE and not facts.inventory.workloads(service.namespace):
        message = f"the rules do not look at namespace {service.namespace}, which has no workload"
        yield unknown(service.members[0], "/metadata/namespace", message)


def without_containers(service: CheckedService) -> Iterator[Evidence]:
    """Yield the members whose containers cannot be read."""
    for workload in service.workloads:
        if not workload.containers:
            resource = workload.resource
            yield unknown(resource, workload.pod_pointer, f"{resource!r} states no containers here")


def not_looked_at(service: CheckedService, what: str) -> Iterator[Evidence]:
    """Yield the members of kinds of which the rules on controllers say nothing."""
    if service.kind != SERVING:
        return
    for workload in service.workloads:
        if not workload.is_long_running:
            message = f"the rules on {what} do not look at a {workload.resource.kind}"
            yield unknown(workload.resource, "/kind", message)


def notes(service: CheckedService) -> list[str]:
    """Return the QoS classes of a service's workloads, as sentences to show."""
    found: dict[str, list[str]] = {}
    for workload in service.workloads:
        quality = quality_of_service(workload)
        if quality:
            found.setdefault(quality, []).append(_named(workload.resource))
    return [f"QoS class {quality}: {', '.join(names)}" for quality, names in found.items()]


def _named(resource: Resource) -> str:
    return f"{resource.kind} {resource.name}"
