"""What scrapes the metrics of pods: monitors by label selectors, and annotations.

ServiceMonitor and PodMonitor of the Prometheus operator, VMServiceScrape and VMPodScrape of VictoriaMetrics,
PodMonitoring and ClusterPodMonitoring of Google Cloud's managed Prometheus.
https://prometheus-operator.dev/docs/api-reference/api/ and https://docs.victoriametrics.com/operator/resources/
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, mapping, sequence
from tidewaiter.rules.manifest.selector import InvalidSelector, parse_selector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.selector import Selector

POD_MONITORS = (
    "PodMonitor.monitoring.coreos.com",
    "PodMonitor.azmonitoring.coreos.com",
    "VMPodScrape.operator.victoriametrics.com",
    "PodMonitoring.monitoring.googleapis.com",
    "ClusterPodMonitoring.monitoring.googleapis.com",
)
SERVICE_MONITORS = (
    "ServiceMonitor.monitoring.coreos.com",
    "ServiceMonitor.azmonitoring.coreos.com",
    "VMServiceScrape.operator.victoriametrics.com",
)
_OF_CLUSTER = "ClusterPodMonitoring.monitoring.googleapis.com"
_SCRAPED = ("prometheus.io/scrape", "k8s.grafana.com/scrape")
_DATADOG = "ad.datadoghq.com/"


class Monitors:
    """The selectors of monitors of pods or of Services, by namespace and a label that they ask for."""

    __slots__ = ("_by_pair", "_others")

    def __init__(self, resources: Iterator[Resource]) -> None:
        """Index the monitors; one whose selector cannot be read selects nothing."""
        self._by_pair: dict[tuple[str | None, str, str], list[Selector]] = {}
        self._others: dict[str | None, list[Selector]] = {}
        for resource in resources:
            try:
                selector = parse_selector(mapping(resource.spec.get("selector")))
            except InvalidSelector:
                continue
            for namespace in _namespaces(resource):
                if selector.equalities:
                    key = (namespace, *selector.equalities[0])
                    self._by_pair.setdefault(key, []).append(selector)
                else:
                    self._others.setdefault(namespace, []).append(selector)

    def select(self, namespace: str, labels: Mapping[str, Any]) -> bool:
        """Tell whether a monitor selects an object with such labels in a namespace."""
        for where in (namespace, None):
            if any(selector.matches(labels) for selector in self._others.get(where, ())):
                return True
            for key, value in labels.items():
                if isinstance(value, str) and any(
                    selector.matches(labels)
                    for selector in self._by_pair.get((where, key, value), ())
                ):
                    return True
        return False


def monitors_of_pods(inventory: Inventory) -> Monitors:
    """Return the monitors that select pods, for `Inventory.once`."""
    return Monitors(resource for kind in POD_MONITORS for resource in inventory.of_kind(kind))


def monitors_of_services(inventory: Inventory) -> Monitors:
    """Return the monitors that select Services, for `Inventory.once`."""
    return Monitors(resource for kind in SERVICE_MONITORS for resource in inventory.of_kind(kind))


def asks_for_scrape(annotations: Mapping[str, Any]) -> bool:
    """Tell whether annotations of a pod or Service ask for it to be scraped."""
    if any(str(annotations.get(key)).lower() == "true" for key in _SCRAPED):
        return True
    return any(
        key.startswith(_DATADOG) and key.endswith((".checks", ".instances")) for key in annotations
    )


def _namespaces(monitor: Resource) -> list[str | None]:
    """Return the namespaces that a monitor looks into, None standing for all."""
    chosen = mapping(monitor.spec.get("namespaceSelector"))
    if monitor.kind_id == _OF_CLUSTER or chosen.get("any") is True:
        return [None]
    names = [name for name in sequence(dig(chosen, "matchNames")) if isinstance(name, str)]
    return list(names) or [namespace_of(monitor)]
