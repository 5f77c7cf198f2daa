"""The findings of a run by object, and which of them speak of an item of a service."""

from __future__ import annotations

from tidewaiter.rules.checklist.evidence import Evidence
from tidewaiter.rules.checklist.items import SERVING
from tidewaiter.rules.inventory import Inventory, namespace_of
from tidewaiter.rules.manifest.fields import text
from tidewaiter.rules.manifest.objective import RULES, watched
from tidewaiter.rules.manifest.references import references_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.rules.checklist.items import Item
    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.manifest.objective import Watched
    from tidewaiter.rules.manifest.resource import Resource

    Place = tuple[str, int, str]

_REFERENCES = "reference-exists"
"""A rule on all references, of which an item speaks of one kind."""
_NAMING = ("app.kubernetes.io/name", "app", "k8s-app")


class FindingIndex:
    """Findings by the place of their object, by namespace, and by the services that alerts name."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Index the findings; those on the policy file are left out."""
        self._by_place: dict[Place, list[Finding]] = {}
        self._by_namespace: dict[tuple[str, str], list[Finding]] = {}
        self._alerts: list[tuple[Watched, list[Finding]]] = []
        alerts: dict[Place, tuple[Resource, list[Finding]]] = {}
        for finding in findings:
            resource = finding.resource
            if resource is None:
                continue
            self._by_place.setdefault(resource.place, []).append(finding)
            self._by_namespace.setdefault((finding.rule, _concerned(resource)), []).append(finding)
            if resource.kind_id in RULES:
                alerts.setdefault(resource.place, (resource, []))[1].append(finding)
        for resource, found in alerts.values():
            self._alerts.append((watched(Inventory([resource], complete=True)), found))

    def of(self, item: Item, service: CheckedService) -> Iterator[Evidence]:
        """Yield what the rules of an item say of a service and of what belongs to it."""
        for resource in (*service.members, *service.belongings):
            for finding in self._by_place.get(resource.place, ()):
                if finding.rule in item.rules and _speaks_of(finding, item):
                    yield _evidence(finding, resource)
        for rule in item.namespace_rules:
            for finding in self._by_namespace.get((rule, service.namespace), ()):
                if finding.resource is not None and _is_of_namespace(finding):
                    yield _evidence(finding, finding.resource)
        if service.kind == SERVING:
            yield from self._of_alerts(item, service)

    def _of_alerts(self, item: Item, service: CheckedService) -> Iterator[Evidence]:
        if not self._alerts:
            return
        names = {service.name, *(each.name for each in (*service.members, *service.services))}
        for workload in service.workloads:
            names.update(text(workload.pod_labels.get(key)) for key in _NAMING)
        for names_in_rule, findings in self._alerts:
            if any(names_in_rule.holds(name) for name in names if name):
                for finding in findings:
                    if finding.rule in item.rules and finding.resource is not None:
                        yield _evidence(finding, finding.resource)


def _concerned(resource: Resource) -> str:
    return resource.name if resource.kind_id == "Namespace" else namespace_of(resource)


def _is_of_namespace(finding: Finding) -> bool:
    """Tell whether a finding is on a Namespace, or on the workload that stands for one."""
    resource = finding.resource
    if resource is None:
        return False
    if resource.kind_id == "Namespace":
        return True
    return resource.workload is not None and "/annotations" not in finding.pointer


def _speaks_of(finding: Finding, item: Item) -> bool:
    """Tell whether a finding on a reference is on one that the item is about."""
    if finding.rule != _REFERENCES or finding.resource is None:
        return True
    workload = finding.resource.workload
    if workload is None or item.id != "secrets":
        return True
    return any(
        reference.kind == "Secret" and finding.pointer in {reference.pointer, reference.key_pointer}
        for reference in references_of(workload)
    )


def _evidence(finding: Finding, resource: Resource) -> Evidence:
    return Evidence(
        finding.status,
        finding.message,
        resource,
        finding.pointer,
        finding.rule,
        finding.container,
        finding.exemption,
    )
