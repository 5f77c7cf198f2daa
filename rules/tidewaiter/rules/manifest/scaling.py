"""Objects that set the number of a workload's replicas: HorizontalPodAutoscaler and KEDA's ScaledObject.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
https://keda.sh/docs/latest/reference/scaledobject-spec/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping, text, whole_number
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

HPA = "HorizontalPodAutoscaler.autoscaling"
SCALED_OBJECT = "ScaledObject.keda.sh"
SCALABLE = (
    "Deployment.apps",
    "StatefulSet.apps",
    "ReplicaSet.apps",
    "ReplicationController",
    "Rollout.argoproj.io",
    "CloneSet.apps.kruise.io",
    "StatefulSet.apps.kruise.io",
    "DeploymentConfig.apps.openshift.io",
)
"""Kinds with a number of replicas that a scaler may set."""
_GROUPS_OF_BARE_KINDS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "ReplicaSet": "apps/v1"}


@record
class Target:
    """What a scaler scales: kind id and name, both empty where the reference names none."""

    kind_id: str
    name: str


@record
class Bounds:
    """The least and the largest number of replicas; None where the field is no number."""

    least: int | None
    most: int | None


def target_of(scaler: Resource) -> Target:
    """Return what an HPA or a ScaledObject scales; the latter scales a Deployment of apps by default.

    An HPA that leaves apiVersion out counts for the kind that is meant, though it does not find it.
    """
    reference = mapping(scaler.spec.get("scaleTargetRef"))
    kind, api_version = text(reference.get("kind")), text(reference.get("apiVersion"))
    if scaler.kind_id == SCALED_OBJECT:
        kind, api_version = kind or "Deployment", api_version or "apps/v1"
    api_version = api_version or _GROUPS_OF_BARE_KINDS.get(kind, "v1")
    return Target(kind_id(api_version, kind) if kind else "", text(reference.get("name")))


def bounds_of(scaler: Resource) -> Bounds:
    """Return the bounds of an HPA (least 1 by default) or a ScaledObject (0 to 100 by default)."""
    spec = scaler.spec
    if scaler.kind_id == SCALED_OBJECT:
        return Bounds(
            _number(spec.get("minReplicaCount"), 0), _number(spec.get("maxReplicaCount"), 100)
        )
    return Bounds(_number(spec.get("minReplicas"), 1), _number(spec.get("maxReplicas"), None))


def _number(value: Any, default: int | None) -> int | None:
    if value is None:
        return default
    return whole_number(value)
