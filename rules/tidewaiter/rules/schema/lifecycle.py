"""When Kubernetes began, deprecated and stopped serving an API.

What 1.25 to 1.37 serve is read from the schemas; what was gone before, and what was deprecated before it
went, is the deprecation guide. A beta or alpha API is deprecated three releases after it came.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/
https://kubernetes.io/docs/reference/using-api/deprecation-policy/#deprecating-parts-of-the-api
"""

from __future__ import annotations

from tidewaiter.rules.record import record
from tidewaiter.rules.schema.definitions import NEWEST, OLDEST, api_versions_of, versions_of

_BETA_LIFE = 3
"""Releases for which a beta or alpha API is served before it is deprecated."""


@record
class Lifecycle:
    """Minor versions of Kubernetes 1: the first to serve an API, to deprecate it, to serve it no more.

    None where the version is not known or has not come; `introduced` is None for what 1.25 had already.
    """

    introduced: int | None
    deprecated: int | None
    removed: int | None


def lifecycle_of(api_version: str, kind: str) -> Lifecycle | None:
    """Return the lifecycle of a kind in an apiVersion, or None where Kubernetes never had it."""
    known = _BEFORE.get((api_version, kind)) or _BEFORE.get((api_version, "*"))
    spans = versions_of(api_version, kind)
    if not spans:
        return Lifecycle(None, *known) if known else None
    first, last = spans[0][0], spans[-1][1]
    removed = known[1] if known else None
    if last < NEWEST[1]:
        removed = last + 1
    introduced = first if first > OLDEST[1] else None
    if known:
        return Lifecycle(introduced, known[0], removed)
    is_stable = "alpha" not in api_version and "beta" not in api_version
    if is_stable or introduced is None:
        return Lifecycle(introduced, None, removed)
    return Lifecycle(introduced, introduced + _BETA_LIFE, removed)


def replacement_of(api_version: str, kind: str, version: tuple[int, int]) -> str | None:
    """Return the apiVersion to use for a kind in a version, the stable one first, or None."""
    served = [
        one
        for one in api_versions_of(kind, max(version, OLDEST))
        if one != api_version and _is_same_api(api_version, one, kind)
    ]
    return min(served, key=_maturity) if served else None


def _is_same_api(one: str, other: str, kind: str) -> bool:
    """Tell whether two apiVersions mean the same kind: in one group, or one that moved from extensions."""
    group, other_group = one.rpartition("/")[0], other.rpartition("/")[0]
    return group in {other_group, "extensions"} or (kind == "Event" and not group)


def _maturity(api_version: str) -> tuple[int, str]:
    level = 2 if "alpha" in api_version else 1 if "beta" in api_version else 0
    return level, api_version


_BEFORE: dict[tuple[str, str], tuple[int | None, int | None]] = {
    ("extensions/v1beta1", "DaemonSet"): (9, 16),
    ("extensions/v1beta1", "Deployment"): (9, 16),
    ("extensions/v1beta1", "ReplicaSet"): (9, 16),
    ("extensions/v1beta1", "NetworkPolicy"): (9, 16),
    ("extensions/v1beta1", "PodSecurityPolicy"): (10, 16),
    ("extensions/v1beta1", "Ingress"): (14, 22),
    ("apps/v1beta1", "*"): (9, 16),
    ("apps/v1beta2", "*"): (9, 16),
    ("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration"): (16, 22),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration"): (16, 22),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): (16, 22),
    ("apiregistration.k8s.io/v1beta1", "APIService"): (19, 22),
    ("authentication.k8s.io/v1beta1", "TokenReview"): (19, 22),
    ("authorization.k8s.io/v1beta1", "*"): (19, 22),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest"): (19, 22),
    ("coordination.k8s.io/v1beta1", "Lease"): (19, 22),
    ("networking.k8s.io/v1beta1", "Ingress"): (19, 22),
    ("networking.k8s.io/v1beta1", "IngressClass"): (19, 22),
    ("rbac.authorization.k8s.io/v1alpha1", "*"): (17, 22),
    ("rbac.authorization.k8s.io/v1beta1", "*"): (17, 22),
    ("scheduling.k8s.io/v1alpha1", "PriorityClass"): (17, 22),
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): (14, 22),
    ("settings.k8s.io/v1alpha1", "PodPreset"): (None, 20),
    ("storage.k8s.io/v1beta1", "CSIDriver"): (19, 22),
    ("storage.k8s.io/v1beta1", "CSINode"): (17, 22),
    ("storage.k8s.io/v1beta1", "StorageClass"): (19, 22),
    ("storage.k8s.io/v1beta1", "VolumeAttachment"): (19, 22),
    ("storage.k8s.io/v1alpha1", "VolumeAttachment"): (21, 24),
    ("storage.k8s.io/v1alpha1", "CSIStorageCapacity"): (21, 24),
    ("batch/v2alpha1", "CronJob"): (None, 21),
    ("batch/v1beta1", "CronJob"): (21, 25),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): (21, 25),
    ("events.k8s.io/v1beta1", "Event"): (19, 25),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): (22, 25),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): (23, 26),
    ("policy/v1beta1", "PodDisruptionBudget"): (21, 25),
    ("policy/v1beta1", "PodSecurityPolicy"): (21, 25),
    ("node.k8s.io/v1beta1", "RuntimeClass"): (22, 25),
    ("node.k8s.io/v1alpha1", "RuntimeClass"): (20, 22),
    ("flowcontrol.apiserver.k8s.io/v1alpha1", "*"): (20, 24),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "*"): (23, 26),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "*"): (26, 29),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity"): (24, 27),
    ("internal.apiserver.k8s.io/v1alpha1", "StorageVersion"): (None, None),
    ("v1", "ComponentStatus"): (19, None),
    ("v1", "Endpoints"): (33, None),
}
"""(apiVersion, kind, "*" for every kind) to the minor versions that deprecated and removed it."""
