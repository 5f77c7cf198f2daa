"""The metrics of every long-running workload are scraped.

Restricted kinds: Deployments, StatefulSets, DaemonSets, Rollouts and the like. Allowed: a PodMonitor selects
the pods, a ServiceMonitor selects a Service of theirs, or annotations on the pods or the Service ask for it
(prometheus.io/scrape). The monitors of VictoriaMetrics, Google Cloud and Azure count too. Where the set holds
a ScrapeConfig, or scrape configurations that are added by hand, the answer is unknown.
https://prometheus-operator.dev/docs/developer/getting-started/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.monitor import (
    asks_for_scrape,
    monitors_of_pods,
    monitors_of_services,
)
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="metrics-scraped",
    section="observability",
    severity="warning",
    summary="a ServiceMonitor, PodMonitor or annotation has every workload's metrics scraped",
    rationale=(
        "What nobody scrapes raises no alert, scales on nothing and leaves no trace of the hour before "
        "it failed."
    ),
    remediation=(
        "Have the Prometheus operator scrape the pods:\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: api}\n"
        "spec:\n  selector:\n    matchLabels: {app: api}\n  podMetricsEndpoints:\n    - port: metrics"
    ),
    references=(
        "https://prometheus-operator.dev/docs/developer/getting-started/",
        "https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload that nothing scrapes."""
    inventory = context.inventory
    if not workload.is_long_running or _is_scraped(workload, inventory):
        return
    message = (
        f"no ServiceMonitor, PodMonitor or annotation has the pods of {workload.resource!r} scraped"
    )
    unknown = inventory.once(_why_unknown)
    yield Violation(
        f"{workload.template_pointer}/metadata/labels",
        f"{message} here, but {unknown}" if unknown else message,
        unknown=unknown is not None,
    )


def _is_scraped(workload: Workload, inventory: Inventory) -> bool:
    if asks_for_scrape(workload.pod_annotations):
        return True
    namespace = namespace_of(workload.resource)
    if inventory.once(monitors_of_pods).select(namespace, workload.pod_labels):
        return True
    return any(
        asks_for_scrape(service.annotations)
        or inventory.once(monitors_of_services).select(namespace, service.labels)
        for service in inventory.selecting("Service", workload)
    )


def _why_unknown(inventory: Inventory) -> str | None:
    if not inventory.complete:
        return "the other objects are not known"
    for resource in inventory.of_kind("ScrapeConfig.monitoring.coreos.com"):
        if resource.spec.get("kubernetesSDConfigs"):
            return f"the ScrapeConfig {resource.name} may"
    for kind in ("Prometheus", "PrometheusAgent"):
        for resource in inventory.of_kind(f"{kind}.monitoring.coreos.com"):
            if resource.spec.get("additionalScrapeConfigs"):
                return f"the additionalScrapeConfigs of {kind} {resource.name} may"
    return None
