"""The resource that a kind is served as: its plural name, and whether it lies in a namespace.

https://kubernetes.io/docs/reference/using-api/api-concepts/#standard-api-terminology
"""

from __future__ import annotations

CLUSTER_SCOPED = frozenset(
    [
        "APIService.apiregistration.k8s.io",
        "CSIDriver.storage.k8s.io",
        "CSINode.storage.k8s.io",
        "CertificateSigningRequest.certificates.k8s.io",
        "ClusterRole.rbac.authorization.k8s.io",
        "ClusterRoleBinding.rbac.authorization.k8s.io",
        "ClusterTrustBundle.certificates.k8s.io",
        "ComponentStatus",
        "CustomResourceDefinition.apiextensions.k8s.io",
        "DeviceClass.resource.k8s.io",
        "DeviceTaintRule.resource.k8s.io",
        "FlowSchema.flowcontrol.apiserver.k8s.io",
        "IPAddress.networking.k8s.io",
        "IngressClass.networking.k8s.io",
        "MutatingAdmissionPolicy.admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding.admissionregistration.k8s.io",
        "MutatingWebhookConfiguration.admissionregistration.k8s.io",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PodSecurityPolicy.policy",
        "PriorityClass.scheduling.k8s.io",
        "PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io",
        "ResourceSlice.resource.k8s.io",
        "RuntimeClass.node.k8s.io",
        "ServiceCIDR.networking.k8s.io",
        "StorageClass.storage.k8s.io",
        "StorageVersionMigration.storagemigration.k8s.io",
        "ValidatingAdmissionPolicy.admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
        "VolumeAttachment.storage.k8s.io",
        "VolumeAttributesClass.storage.k8s.io",
    ]
)
"""Kubernetes' own kinds that lie in no namespace, as the discovery of 1.25 to 1.37 names them."""

_OWN_GROUPS = frozenset(["", "apps", "autoscaling", "batch", "policy", "extensions"])


def plural_of(kind: str) -> str:
    """Return the resource's name by the rule that all of Kubernetes' own kinds but Endpoints follow.

    The default of kubebuilder for custom resources is the same, a definition may state another.
    """
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in set("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}s"


def is_builtin_group(group: str) -> bool:
    """Tell whether Kubernetes itself serves an API group."""
    return group in _OWN_GROUPS or (group.endswith(".k8s.io") and group not in _EXTENSIONS)


_EXTENSIONS = frozenset(
    [
        "gateway.networking.k8s.io",
        "metrics.k8s.io",
        "custom.metrics.k8s.io",
        "external.metrics.k8s.io",
        "snapshot.storage.k8s.io",
        "autoscaling.k8s.io",
        "policy.networking.k8s.io",
        "wgpolicyk8s.io",
        "secrets-store.csi.x-k8s.io",
        "x-k8s.io",
        "sigs.k8s.io",
    ]
)
"""Groups of projects beside Kubernetes that serve custom resources."""
