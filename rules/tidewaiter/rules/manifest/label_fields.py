"""Where manifests hold labels and label selectors, by kind.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and the fields of type
LabelSelector in https://kubernetes.io/docs/reference/kubernetes-api/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

    Place = tuple[Any, str]
    """What a field holds, and its JSON pointer from the object's root."""

_MAP_SELECTORS = frozenset({"Service", "ReplicationController"})
_SELECTORS = frozenset(
    {
        "Deployment.apps",
        "StatefulSet.apps",
        "DaemonSet.apps",
        "ReplicaSet.apps",
        "Job.batch",
        "Rollout.argoproj.io",
        "CloneSet.apps.kruise.io",
        "StatefulSet.apps.kruise.io",
        "DaemonSet.apps.kruise.io",
        "PodDisruptionBudget.policy",
        "PersistentVolumeClaim",
        "ServiceMonitor.monitoring.coreos.com",
        "PodMonitor.monitoring.coreos.com",
    }
)
_POLICY_PEERS = (("ingress", "from"), ("egress", "to"))
_METRIC_SOURCES = ("pods", "object", "external")


def label_maps(resource: Resource) -> Iterator[Place]:
    """Yield every map of labels: the object's own, its templates', and nodeSelector."""
    obj = resource.object
    yield dig(obj, "metadata", "labels"), "/metadata/labels"
    workload = resource.workload
    if workload is not None:
        if workload.template_pointer:
            yield workload.pod_labels, f"{workload.template_pointer}/metadata/labels"
        yield workload.pod_spec.get("nodeSelector"), f"{workload.pod_pointer}/nodeSelector"
    if resource.kind_id == "CronJob.batch":
        path = ("spec", "jobTemplate", "metadata", "labels")
        yield dig(obj, *path), "/" + "/".join(path)
    for template, pointer in items(
        resource.spec.get("volumeClaimTemplates"), "/spec/volumeClaimTemplates"
    ):
        yield dig(template, "metadata", "labels"), f"{pointer}/metadata/labels"


def map_selectors(resource: Resource) -> Iterator[Place]:
    """Yield the selectors that are plain maps of labels, as a Service's."""
    if resource.kind_id in _MAP_SELECTORS:
        yield resource.spec.get("selector"), "/spec/selector"


def label_selectors(resource: Resource) -> Iterator[Place]:
    """Yield every field of type LabelSelector."""
    spec, kind = resource.spec, resource.kind_id
    if kind in _SELECTORS:
        yield spec.get("selector"), "/spec/selector"
    elif kind == "NetworkPolicy.networking.k8s.io":
        yield from _of_network_policy(spec)
    elif kind == "HorizontalPodAutoscaler.autoscaling":
        for metric, pointer in items(spec.get("metrics"), "/spec/metrics"):
            for source in _METRIC_SOURCES:
                yield (
                    dig(metric, source, "metric", "selector"),
                    f"{pointer}/{source}/metric/selector",
                )
    elif kind.endswith("WebhookConfiguration.admissionregistration.k8s.io"):
        for webhook, pointer in items(resource.object.get("webhooks"), "/webhooks"):
            for field in ("namespaceSelector", "objectSelector"):
                yield webhook.get(field), f"{pointer}/{field}"
    for template, pointer in items(spec.get("volumeClaimTemplates"), "/spec/volumeClaimTemplates"):
        yield dig(template, "spec", "selector"), f"{pointer}/spec/selector"
    if resource.workload is not None:
        yield from _of_pod(resource.workload)


def _of_network_policy(spec: dict[str, Any]) -> Iterator[Place]:
    yield spec.get("podSelector"), "/spec/podSelector"
    for direction, side in _POLICY_PEERS:
        for rule, pointer in items(spec.get(direction), f"/spec/{direction}"):
            for peer, place in items(rule.get(side), f"{pointer}/{side}"):
                for field in ("podSelector", "namespaceSelector"):
                    yield peer.get(field), f"{place}/{field}"


def _of_pod(workload: Workload) -> Iterator[Place]:
    pod, root = workload.pod_spec, workload.pod_pointer
    for constraint, pointer in items(
        pod.get("topologySpreadConstraints"), f"{root}/topologySpreadConstraints"
    ):
        yield constraint.get("labelSelector"), f"{pointer}/labelSelector"
    affinity = mapping(pod.get("affinity"))
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = mapping(affinity.get(kind))
        for when in ("required", "preferred"):
            field = f"{when}DuringSchedulingIgnoredDuringExecution"
            for entry, pointer in items(rules.get(field), f"{root}/affinity/{kind}/{field}"):
                term, place = entry, pointer
                if when == "preferred":
                    term, place = (
                        mapping(entry.get("podAffinityTerm")),
                        f"{pointer}/podAffinityTerm",
                    )
                yield term.get("labelSelector"), f"{place}/labelSelector"
                yield term.get("namespaceSelector"), f"{place}/namespaceSelector"
