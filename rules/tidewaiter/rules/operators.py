"""Which custom resources may make pods: where one stands, absent pods are no proof.

An operator makes pods, and often Services and Secrets, from a custom resource in the namespace of that
resource; no manifest of the set shows them. Built-in kinds and the projects named here, whose resources
only configure, make none.
https://kubernetes.io/docs/concepts/extend-kubernetes/operator/
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.inventory import Inventory

_CONFIGURING_GROUPS = frozenset(
    {
        "access.smi-spec.io",
        "bitnami.com",
        "cert-manager.io",
        "cilium.io",
        "cloud.google.com",
        "cluster.x-k8s.io",
        "config.gatekeeper.sh",
        "configuration.konghq.com",
        "constraints.gatekeeper.sh",
        "crd.projectcalico.org",
        "elbv2.k8s.aws",
        "extensions.istio.io",
        "external-secrets.io",
        "gateway.envoyproxy.io",
        "generators.external-secrets.io",
        "getambassador.io",
        "image.toolkit.fluxcd.io",
        "isindir.github.com",
        "k8s.nginx.org",
        "karpenter.k8s.aws",
        "karpenter.sh",
        "kueue.x-k8s.io",
        "kyverno.io",
        "linkerd.io",
        "metallb.io",
        "mutations.gatekeeper.sh",
        "networking.gke.io",
        "networking.istio.io",
        "notification.toolkit.fluxcd.io",
        "openreports.io",
        "policies.kyverno.io",
        "policy.linkerd.io",
        "projectcalico.org",
        "pyrra.dev",
        "reports.kyverno.io",
        "route.openshift.io",
        "scheduling.x-k8s.io",
        "secrets-store.csi.x-k8s.io",
        "security.istio.io",
        "security.openshift.io",
        "sloth.slok.dev",
        "source.toolkit.fluxcd.io",
        "specs.smi-spec.io",
        "split.smi-spec.io",
        "telemetry.istio.io",
        "templates.gatekeeper.sh",
        "tidewaiter.dev",
        "traefik.containo.us",
        "traefik.io",
        "velero.io",
        "vpcresources.k8s.aws",
        "wgpolicyk8s.io",
    }
)
"""API groups of which no resource makes pods."""

_CONFIGURING_KINDS = frozenset(
    {
        "AlertmanagerConfig.monitoring.coreos.com",
        "AlertProvider.flagger.app",
        "AnalysisTemplate.argoproj.io",
        "AppProject.argoproj.io",
        "Backup.postgresql.cnpg.io",
        "ClusterTriggerAuthentication.keda.sh",
        "Database.postgresql.cnpg.io",
        "GrafanaAlertRuleGroup.grafana.integreatly.org",
        "GrafanaDashboard.grafana.integreatly.org",
        "GrafanaDatasource.grafana.integreatly.org",
        "GrafanaFolder.grafana.integreatly.org",
        "Instrumentation.opentelemetry.io",
        "KafkaRebalance.kafka.strimzi.io",
        "KafkaTopic.kafka.strimzi.io",
        "KafkaUser.kafka.strimzi.io",
        "MetricTemplate.flagger.app",
        "PodMonitor.monitoring.coreos.com",
        "Probe.monitoring.coreos.com",
        "PrometheusRule.monitoring.coreos.com",
        "ScaledObject.keda.sh",
        "ScheduledBackup.postgresql.cnpg.io",
        "ScrapeConfig.monitoring.coreos.com",
        "ServiceMonitor.monitoring.coreos.com",
        "TriggerAuthentication.keda.sh",
        "WorkflowTemplate.argoproj.io",
    }
)
"""Kinds that make no pods, of groups of which other kinds do."""


def pod_maker(inventory: Inventory, namespace: str) -> str | None:
    """Name the first custom resource of a namespace that may make pods, as "Kind name", or None.

    A resource whose pod template can be read counts as a workload and not as a maker of unknown pods.
    """
    for kind_id in inventory.kinds_in(namespace):
        if not may_make_pods(kind_id):
            continue
        for resource in inventory.of_kind(kind_id, namespace):
            if resource.workload is None:
                return f"{resource.kind} {resource.name}"
    return None


def may_make_pods(kind_id: str) -> bool:
    """Tell whether a kind is a custom one that an operator may make pods from."""
    group = kind_id.partition(".")[2]
    # The group of a custom resource has a dot by rule; `k8s.io` groups are Kubernetes' own.
    if "." not in group or group == "k8s.io" or group.endswith(".k8s.io"):
        return False
    return group not in _CONFIGURING_GROUPS and kind_id not in _CONFIGURING_KINDS
