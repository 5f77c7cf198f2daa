"""Which group an apiVersion names, and whether Kubernetes itself serves it.

https://kubernetes.io/docs/reference/using-api/#api-groups
"""

from __future__ import annotations

_BUILT_IN_WITHOUT_DOT = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})
_BUILT_IN = frozenset(
    {
        "admission.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apiserver.k8s.io",
        "auditregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "lifecycle.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "settings.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)


def group_of(api_version: str) -> str:
    """Return the group of an apiVersion, "" for the core group."""
    return api_version.rpartition("/")[0]


def is_built_in(api_version: str) -> bool:
    """Tell whether an apiVersion is of a group that Kubernetes serves or served itself."""
    group = group_of(api_version)
    return group in _BUILT_IN_WITHOUT_DOT or group in _BUILT_IN
