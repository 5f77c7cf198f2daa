"""An object as admission sees it: with what the API server fills in before it asks the policies.

Expressions such as `object.spec.replicas > 1` have no value without that. Where the value depends on the
cluster (an address, a name, who wrote it), reading it gives no answer.
https://kubernetes.io/docs/concepts/overview/kubernetes-api/; k8s.io/kubernetes/pkg/apis/*/v1/defaults.go
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.pod_defaults import fill_pod_spec, fill_template
from tidewaiter.rules.admission_policy.stored_form import stored_form
from tidewaiter.rules.cel.values import Unknown
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.api_resource import CLUSTER_SCOPED
from tidewaiter.rules.manifest.fields import mapping, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.manifest.resource import Resource

    Fill = Callable[[dict[str, Any]], None]


def admitted(resource: Resource, version: tuple[int, int]) -> dict[str, Any]:
    """Return a copy of an object, filled in as on its creation in a version of Kubernetes."""
    value = stored_form(_copy(resource.object), version)
    metadata = value.setdefault("metadata", {})
    if isinstance(metadata, dict):
        if resource.kind_id in CLUSTER_SCOPED:
            metadata.pop("namespace", None)
        else:
            metadata.setdefault("namespace", namespace_of(resource))
        for field in ("uid", "creationTimestamp", "generation", "managedFields"):
            metadata[field] = Unknown(f"the object's {field}")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = Unknown("the name that is made from generateName")
    fill = _FILLS.get(resource.kind_id)
    if fill is not None:
        if resource.kind_id in _WHOLE:
            fill(value)
        elif isinstance(value.get("spec"), dict):
            fill(value["spec"])
        if resource.kind_id == "Pod" and version >= (1, 30):
            _as_fields(mapping(metadata), mapping(value.get("spec")))
        if resource.kind_id in _LABELLED_BY_TEMPLATE:
            _take_labels(value, resource)
    if resource.kind_id in _WITH_STATUS:
        value["status"] = Unknown("the object's status")
    if resource.kind_id in _PROTECTED and isinstance(metadata, dict):
        metadata.setdefault("finalizers", [_PROTECTED[resource.kind_id]])
    return value


def _as_fields(metadata: dict[str, Any], spec: dict[str, Any]) -> None:
    """Write the AppArmor annotations of a pod into its fields, as the API server does from 1.30 on."""
    for key, profile in mapping(metadata.get("annotations")).items():
        name = key.removeprefix(_APPARMOR)
        if name == key or not isinstance(profile, str):
            continue
        found = {"type": _APPARMOR_TYPES.get(profile.partition("/")[0], "")}
        if profile.startswith("localhost/"):
            found["localhostProfile"] = profile.partition("/")[2]
        for field in ("initContainers", "containers"):
            for container in sequence(spec.get(field)):
                if mapping(container).get("name") == name and found["type"]:
                    context = container.setdefault("securityContext", {})
                    mapping(context).setdefault("appArmorProfile", found)


def _take_labels(value: dict[str, Any], resource: Resource) -> None:
    template = mapping(mapping(mapping(value.get("spec")).get("template")).get("metadata"))
    labels = mapping(template.get("labels"))
    if (
        resource.kind_id == "Job.batch"
        and mapping(value.get("spec")).get("manualSelector") is not True
    ):
        made = Unknown("the uid that the API server gives to the Job")
        name = mapping(value.get("metadata")).get("name")
        labels = {**labels, "controller-uid": made, "batch.kubernetes.io/controller-uid": made}
        labels = {**labels, "job-name": name, "batch.kubernetes.io/job-name": name}
        template["labels"] = labels
    if labels and isinstance(value.get("metadata"), dict):
        value["metadata"].setdefault("labels", dict(labels))


def _copy(value: Any) -> Any:
    """Copy mappings and lists, without the nulls: a field that is null is not set."""
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items() if each is not None}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _set(field: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        field.setdefault(name, value)


def _template(spec: dict[str, Any]) -> None:
    if isinstance(spec.get("template"), dict):
        fill_template(spec["template"])


def _deployment(spec: dict[str, Any]) -> None:
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    strategy = mapping(spec["strategy"])
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = mapping(strategy.setdefault("rollingUpdate", {}))
        _set(rolling, maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _stateful_set(spec: dict[str, Any]) -> None:
    _set(
        spec,
        serviceName="",
        replicas=1,
        podManagementPolicy="OrderedReady",
        revisionHistoryLimit=10,
        updateStrategy={},
    )
    strategy = mapping(spec["updateStrategy"])
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(mapping(strategy.setdefault("rollingUpdate", {})), partition=0, maxUnavailable=1)
    retention = mapping(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}))
    _set(retention, whenDeleted="Retain", whenScaled="Retain")
    for claim in sequence(spec.get("volumeClaimTemplates")):
        if isinstance(claim, dict):
            _set(claim, apiVersion="v1", kind="PersistentVolumeClaim")
            if isinstance(claim.get("spec"), dict):
                _claim(claim["spec"])
            claim["status"] = {"phase": "Pending"}
    _template(spec)


def _pod_template(value: dict[str, Any]) -> None:
    _template(value)


def _daemon_set(spec: dict[str, Any]) -> None:
    _set(spec, revisionHistoryLimit=10, updateStrategy={})
    strategy = mapping(spec["updateStrategy"])
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(mapping(strategy.setdefault("rollingUpdate", {})), maxUnavailable=1, maxSurge=0)
    _template(spec)


def _replica_set(spec: dict[str, Any]) -> None:
    _set(spec, replicas=1)
    _template(spec)


def _replication_controller(spec: dict[str, Any]) -> None:
    _replica_set(spec)
    labels = mapping(mapping(mapping(spec.get("template")).get("metadata")).get("labels"))
    _set(spec, selector=dict(labels))


def _job(spec: dict[str, Any]) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _set(spec, backoffLimit=_MOST_RETRIES if "backoffLimitPerIndex" in spec else 6)
    _set(spec, parallelism=1, completionMode="NonIndexed", suspend=False)
    _set(spec, manualSelector=False, podReplacementPolicy="TerminatingOrFailed")
    if not spec["manualSelector"]:
        spec["selector"] = Unknown("the selector that the API server makes for a Job")
    if mapping(spec.get("podFailurePolicy")):
        spec["podReplacementPolicy"] = "Failed"
    _template(spec)


def _cron_job(spec: dict[str, Any]) -> None:
    _set(spec, concurrencyPolicy="Allow", suspend=False)
    _set(spec, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    job = mapping(spec.get("jobTemplate"))
    job.setdefault("metadata", {})
    _template(mapping(job.get("spec")))


def _pod(spec: dict[str, Any]) -> None:
    fill_pod_spec(spec)
    _set(spec, enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority")
    for field in ("priority", "tolerations", "serviceAccountName", "serviceAccount"):
        if field not in spec or field == "tolerations":
            spec[field] = Unknown(f"the pod's {field}, which the API server completes")
    for field in ("initContainers", "containers"):
        for container in sequence(spec.get(field)):
            resources = mapping(mapping(container).get("resources"))
            requests, limits = mapping(resources.get("requests")), mapping(resources.get("limits"))
            if limits:
                resources["requests"] = {**limits, **requests}


def _service(spec: dict[str, Any]) -> None:
    _set(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        config = mapping(spec.setdefault("sessionAffinityConfig", {}))
        mapping(config.setdefault("clientIP", {})).setdefault("timeoutSeconds", 10800)
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            _set(spec, **{field: Unknown(f"the Service's {field}, which the cluster gives")})
    if spec["type"] in {"LoadBalancer", "NodePort"} or spec.get("externalIPs"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    for port in sequence(spec.get("ports")):
        if isinstance(port, dict):
            _set(port, protocol="TCP")
            if "port" in port:
                _set(port, targetPort=port["port"])
            if spec["type"] in {"LoadBalancer", "NodePort"}:
                _set(port, nodePort=Unknown("the port that the cluster gives"))


def _autoscaler(spec: dict[str, Any]) -> None:
    _set(spec, minReplicas=1)
    if not spec.get("metrics"):
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
        spec["metrics"] = [{"type": "Resource", "resource": cpu}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        up = mapping(behavior.setdefault("scaleUp", {}))
        _set(up, stabilizationWindowSeconds=0, selectPolicy="Max")
        by_percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
        _set(up, policies=[{"type": "Pods", "value": 4, "periodSeconds": 15}, by_percent])
        _set(
            mapping(behavior.setdefault("scaleDown", {})), selectPolicy="Max", policies=[by_percent]
        )


def _api_service(spec: dict[str, Any]) -> None:
    if isinstance(spec.get("service"), dict):
        _set(spec["service"], port=443)


def _endpoints(value: dict[str, Any]) -> None:
    for subset in sequence(value.get("subsets")):
        for port in sequence(mapping(subset).get("ports")):
            if isinstance(port, dict):
                _set(port, protocol="TCP")


def _webhooks(value: dict[str, Any]) -> None:
    for webhook in sequence(value.get("webhooks")):
        if not isinstance(webhook, dict):
            continue
        _set(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        _set(webhook, namespaceSelector={}, objectSelector={})
        if value.get("kind") == "MutatingWebhookConfiguration":
            _set(webhook, reinvocationPolicy="Never")
        service = mapping(webhook.get("clientConfig")).get("service")
        if isinstance(service, dict):
            _set(service, port=443)
        for rule in sequence(webhook.get("rules")):
            if isinstance(rule, dict):
                _set(rule, scope="*")


def _network_policy(spec: dict[str, Any]) -> None:
    _set(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    for direction in ("ingress", "egress"):
        for rule in sequence(spec.get(direction)):
            for port in sequence(mapping(rule).get("ports")):
                if isinstance(port, dict):
                    _set(port, protocol="TCP")


def _claim(spec: dict[str, Any]) -> None:
    _set(spec, volumeMode="Filesystem")


def _volume(spec: dict[str, Any]) -> None:
    _set(spec, volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
    if isinstance(spec.get("hostPath"), dict):
        _set(spec["hostPath"], type="")


def _namespace(value: dict[str, Any]) -> None:
    mapping(value.setdefault("spec", {})).setdefault("finalizers", ["kubernetes"])
    metadata = mapping(value.get("metadata"))
    labels = metadata.setdefault("labels", {})
    if isinstance(labels, dict) and isinstance(metadata.get("name"), str):
        labels["kubernetes.io/metadata.name"] = metadata["name"]


def _secret(value: dict[str, Any]) -> None:
    _set(value, type="Opaque")
    plain = value.pop("stringData", None)
    if isinstance(plain, dict):
        data = mapping(value.setdefault("data", {}))
        for key, text in plain.items():
            data[key] = base64.b64encode(str(text).encode("utf-8", "replace")).decode()


def _binding(value: dict[str, Any]) -> None:
    for subject in sequence(value.get("subjects")):
        if isinstance(subject, dict) and subject.get("kind") in {"User", "Group"}:
            _set(subject, apiGroup="rbac.authorization.k8s.io")
    if isinstance(value.get("roleRef"), dict):
        _set(value["roleRef"], apiGroup="rbac.authorization.k8s.io")


def _storage_class(value: dict[str, Any]) -> None:
    _set(value, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _priority_class(value: dict[str, Any]) -> None:
    _set(value, preemptionPolicy="PreemptLowerPriority")


_FILLS: dict[str, Fill] = {
    "Deployment.apps": _deployment,
    "StatefulSet.apps": _stateful_set,
    "DaemonSet.apps": _daemon_set,
    "ReplicaSet.apps": _replica_set,
    "ReplicationController": _replication_controller,
    "Job.batch": _job,
    "CronJob.batch": _cron_job,
    "Pod": _pod,
    "PodTemplate": _pod_template,
    "Service": _service,
    "HorizontalPodAutoscaler.autoscaling": _autoscaler,
    "APIService.apiregistration.k8s.io": _api_service,
    "Endpoints": _endpoints,
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io": _webhooks,
    "MutatingWebhookConfiguration.admissionregistration.k8s.io": _webhooks,
    "NetworkPolicy.networking.k8s.io": _network_policy,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "Namespace": _namespace,
    "Secret": _secret,
    "RoleBinding.rbac.authorization.k8s.io": _binding,
    "ClusterRoleBinding.rbac.authorization.k8s.io": _binding,
    "StorageClass.storage.k8s.io": _storage_class,
    "PriorityClass.scheduling.k8s.io": _priority_class,
}
_MOST_RETRIES = 2**31 - 1
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_APPARMOR_TYPES = {
    "runtime": "RuntimeDefault",
    "localhost": "Localhost",
    "unconfined": "Unconfined",
}
_PROTECTED = {
    "PersistentVolumeClaim": "kubernetes.io/pvc-protection",
    "PersistentVolume": "kubernetes.io/pv-protection",
}
"""Kinds that are kept from being deleted while they are in use, and by which finalizer."""
_LABELLED_BY_TEMPLATE = frozenset(["Job.batch", "ReplicationController"])
"""Kinds that take the labels of their pod template where they have none of their own."""
_WHOLE = frozenset(
    [
        "Namespace",
        "Secret",
        "Endpoints",
        "PodTemplate",
        "StorageClass.storage.k8s.io",
        "PriorityClass.scheduling.k8s.io",
        "RoleBinding.rbac.authorization.k8s.io",
        "ClusterRoleBinding.rbac.authorization.k8s.io",
        "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
        "MutatingWebhookConfiguration.admissionregistration.k8s.io",
    ]
)
"""Kinds whose defaults are not in a `spec`."""
_WITH_STATUS = frozenset(
    [
        "Deployment.apps",
        "StatefulSet.apps",
        "DaemonSet.apps",
        "ReplicaSet.apps",
        "ReplicationController",
        "Job.batch",
        "CronJob.batch",
        "Pod",
        "Service",
        "Namespace",
        "PersistentVolume",
        "HorizontalPodAutoscaler.autoscaling",
        "PersistentVolumeClaim",
        "PodDisruptionBudget.policy",
        "Ingress.networking.k8s.io",
        "ResourceQuota",
        "Node",
    ]
)
"""Kinds that always have a status, empty where nothing has happened yet."""
