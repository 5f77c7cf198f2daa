"""Objects that are missing beside others, as a start: default-deny policies, disruption budgets, autoscalers.

https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-ingress-and-all-egress-traffic
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
"""

from __future__ import annotations

from tidewaiter.rules.fixes.rendering import Style, entry_lines
from tidewaiter.rules.manifest.fields import dig, mapping, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

NETWORK_POLICY, PDB, HPA = "network-policy", "pdb", "hpa"
KINDS = (NETWORK_POLICY, PDB, HPA)
"""What can be generated, as the command line names it."""

_POLICY_SINCE = (1, 27)
"""The first version in which unhealthyPodEvictionPolicy is on by default (KEP-3017)."""
_NOT_INHERITED = ("helm.sh/", "app.kubernetes.io/managed-by")
_CPU_PERCENT = 70


def default_deny(namespace: str | None, labels: dict[str, Any]) -> dict[str, Any]:
    """Return a policy that denies all pods of a namespace all traffic but questions to the cluster's DNS."""
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    to = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata("default-deny", namespace, labels),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [{"to": [to], "ports": dns}],
        },
    }


def disruption_budget(workload: Resource, version: tuple[int, int]) -> dict[str, Any] | None:
    """Return a budget that lets one pod of a workload go at a time, or None where its pods are not known."""
    selector = dig(workload.object, "spec", "selector")
    if workload.kind_id == "DeploymentConfig.apps.openshift.io":
        selector = {"matchLabels": selector}
    if not isinstance(selector, dict) or not selector:
        return None
    spec: dict[str, Any] = {"maxUnavailable": 1}
    if version >= _POLICY_SINCE:
        spec["unhealthyPodEvictionPolicy"] = "AlwaysAllow"
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(workload.name, workload.namespace, labels_of(workload)),
        "spec": {**spec, "selector": selector},
    }


def autoscaler(workload: Resource) -> dict[str, Any]:
    """Return an autoscaler by cpu from the number of replicas there is to three times as many."""
    view = workload.workload
    least = max((view.replicas if view is not None else None) or 0, 2)
    target = {"type": "Utilization", "averageUtilization": _CPU_PERCENT}
    reference = {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "name": workload.name,
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(workload.name, workload.namespace, labels_of(workload)),
        "spec": {
            "scaleTargetRef": reference,
            "minReplicas": least,
            "maxReplicas": 3 * least,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def manifest(obj: dict[str, Any], comment: str) -> str:
    """Return the text of a new file with one object, under a comment."""
    lines = [f"# {comment}"]
    for key, value in obj.items():
        lines += entry_lines(key, value, 0, Style())
    return "\n".join(lines) + "\n"


def labels_of(resource: Resource) -> dict[str, Any]:
    """Return the labels that an object's companions take over from it."""
    return {
        key: value
        for key, value in mapping(resource.labels).items()
        if isinstance(key, str) and text(value) and not key.startswith(_NOT_INHERITED)
    }


def _metadata(name: str, namespace: str | None, labels: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return metadata
