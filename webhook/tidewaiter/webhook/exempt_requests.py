"""Requests that are not reviewed: whose sender or namespace must be able to work whatever the policy says.

The built-in ones keep a cluster able to recover: its own components, the namespaces they run in, and the
namespace of the webhook itself. Everything is told by what the API server has authenticated, never by the object:
nobody exempts himself by a label, an annotation or an owner.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.manifest.fields import dig, sequence
from tidewaiter.rules.policy.match import expression

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.webhook.admission_request import AdmissionRequest

NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
"""Where the cluster's own components and their state lie."""

GROUPS = ("system:nodes",)
"""Kubelets: they report pods and nodes, and the API server keeps each to its own."""

USERNAMES = (
    "system:apiserver",
    "system:kube-controller-manager",
    "system:cloud-controller-manager",
    "system:kube-scheduler",
)
"""Components that are no service accounts."""

CONTROLLERS = (
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "cloud-node-controller",
    "cloud-node-lifecycle-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "route-controller",
    "selinux-warning-controller",
    "service-account-controller",
    "service-cidrs-controller",
    "service-controller",
    "statefulset-controller",
    "storage-version-migrator-controller",
    "taint-eviction-controller",
    "token-cleaner",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
)
"""The controllers of kube-controller-manager, as their service accounts in kube-system are called."""

_COMPONENTS = frozenset(
    (*USERNAMES, *(f"system:serviceaccount:kube-system:{name}" for name in CONTROLLERS))
)


class ExemptRequests:
    """The exemptions of a policy, with the built-in ones unless the policy switches these off."""

    def __init__(self, plain: PlainPolicy, own_namespace: str = "") -> None:
        """Compile them; `own_namespace` is that of the webhook, empty where it runs outside of a cluster."""
        stated = plain.get("admission", {}).get("exempt") or {}
        self._built_in = stated.get("builtIn", True)
        self._usernames = _globs(stated.get("usernames"))
        self._groups = _globs(stated.get("groups"))
        self._namespaces = _globs(stated.get("namespaces"))
        self._own_namespaces = frozenset(each for each in (*NAMESPACES, own_namespace) if each)

    def reason(self, request: AdmissionRequest) -> str:
        """Say why a request is exempt, or return an empty text."""
        subject = request.subject
        if reason := self.namespace_reason(subject.namespace):
            return reason
        if self._usernames and self._usernames.fullmatch(subject.username):
            return f"user {subject.username}"
        for group in subject.groups:
            if self._groups and self._groups.fullmatch(group):
                return f"group {group}"
        return self._built_in_reason(request) if self._built_in else ""

    def namespace_reason(self, namespace: str) -> str:
        """Say why everything in a namespace is exempt, or return an empty text; objects in none are not."""
        is_named = self._namespaces and namespace and self._namespaces.fullmatch(namespace)
        if is_named or (self._built_in and namespace in self._own_namespaces):
            return f"namespace {namespace}"
        return ""

    def _built_in_reason(self, request: AdmissionRequest) -> str:
        subject = request.subject
        if is_component(subject.username) and not _makes_for_owner(request):
            return f"user {subject.username}"
        return next((f"group {group}" for group in GROUPS if group in subject.groups), "")


def is_component(username: str) -> bool:
    """Tell whether a user is a component of the cluster itself, a controller among them."""
    return username in _COMPONENTS


def _makes_for_owner(request: AdmissionRequest) -> bool:
    """Tell whether a controller makes an object from a template: a pod, a ReplicaSet, a Job.

    Such objects are reviewed, as other webhooks may have changed them on the way.
    """
    if request.subject.operation != "CREATE" or request.object is None:
        return False
    owners = sequence(dig(request.object, "metadata", "ownerReferences"))
    return any(dig(owner, "controller") is True for owner in owners)


def _globs(patterns: Sequence[str] | None) -> re.Pattern[str] | None:
    if not patterns:
        return None
    import re

    return re.compile("|".join(expression(pattern) for pattern in patterns), re.DOTALL)
