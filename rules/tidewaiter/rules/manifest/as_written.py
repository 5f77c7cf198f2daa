"""An object of a cluster as its author wrote it, as far as that can be told.

The API server fills in what a manifest leaves out, before any webhook sees it, and kubectl keeps the manifest in
an annotation. A few rules ask for a field to be set, and would take the filled-in value for the author's. Two
records tell the two apart:

- `kubectl.kubernetes.io/last-applied-configuration` is the manifest that `kubectl apply` sent;
- `metadata.managedFields` names who set each field. With server-side apply, a field that nobody owns was filled
  in. With other requests whoever sent them owns what was filled in as well, and it counts as set.

A field is left out here where a record says that nobody wrote it and it has the value that is filled in; the
number of replicas also where only an autoscaler, or `kubectl scale`, has set it.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json

from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.rules.manifest.resource import kind_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Path = tuple[str, ...]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_REPLICAS: Path = ("spec", "replicas")
_ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
_ROLLING_DAEMON = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
_ROLLING_SET = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
_RETAIN = {"whenDeleted": "Retain", "whenScaled": "Retain"}

_FILLED_IN: dict[str, tuple[tuple[Path, Any], ...]] = {
    "Deployment.apps": (
        (_REPLICAS, 1),
        (("spec", "strategy"), _ROLLING),
        (("spec", "strategy", "rollingUpdate"), _ROLLING["rollingUpdate"]),
        (("spec", "strategy", "rollingUpdate", "maxUnavailable"), "25%"),
        (("spec", "strategy", "rollingUpdate", "maxSurge"), "25%"),
        (("spec", "progressDeadlineSeconds"), 600),
        (("spec", "revisionHistoryLimit"), 10),
    ),
    "StatefulSet.apps": (
        (_REPLICAS, 1),
        (("spec", "updateStrategy"), _ROLLING_SET),
        (("spec", "revisionHistoryLimit"), 10),
        (("spec", "persistentVolumeClaimRetentionPolicy"), _RETAIN),
    ),
    "DaemonSet.apps": (
        (("spec", "updateStrategy"), _ROLLING_DAEMON),
        (("spec", "updateStrategy", "rollingUpdate"), _ROLLING_DAEMON["rollingUpdate"]),
        (("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), 1),
        (("spec", "updateStrategy", "rollingUpdate", "maxSurge"), 0),
        (("spec", "revisionHistoryLimit"), 10),
    ),
    "ReplicaSet.apps": ((_REPLICAS, 1),),
    "ReplicationController": ((_REPLICAS, 1),),
    "Job.batch": ((("spec", "backoffLimit"), 6),),
    "CronJob.batch": (
        (("spec", "concurrencyPolicy"), "Allow"),
        (("spec", "successfulJobsHistoryLimit"), 3),
        (("spec", "failedJobsHistoryLimit"), 1),
        (("spec", "jobTemplate", "spec", "backoffLimit"), 6),
    ),
    "HorizontalPodAutoscaler.autoscaling": (
        (("spec", "minReplicas"), 1),
        (
            ("spec", "metrics"),
            [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 80},
                    },
                }
            ],
        ),
    ),
}
"""What the API server fills in, by kind: fields of which some rule asks whether they are set.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""


def as_written(obj: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what the API server and kubectl have added to it; the given one stays as it is.

    `managedFields` and the annotation of kubectl, which repeats the object with any secret in it, go as well. What
    a pod gets for its token goes in `without_token_volume`.
    """
    metadata = mapping(obj.get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    if "managedFields" not in metadata and LAST_APPLIED not in annotations:
        return obj
    result = _without_unwritten(obj, metadata, annotations)
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    if LAST_APPLIED in annotations:
        rest = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        if rest:
            kept["annotations"] = rest
        else:
            del kept["annotations"]
    return {**result, "metadata": kept}


def _without_unwritten(
    obj: dict[str, Any], metadata: dict[str, Any], annotations: dict[str, Any]
) -> dict[str, Any]:
    kind = kind_id(text(obj.get("apiVersion")), text(obj.get("kind")))
    is_written: Callable[[Path], bool] | None = None
    for path, value in _FILLED_IN.get(kind, ()):
        found = dig(obj, *path)
        if found is None or (found != value and path != _REPLICAS):
            continue
        if is_written is None:
            is_written = _record(metadata, annotations)
        if found != value:
            drop = _is_scaled(metadata, path)
        else:
            drop = not is_written(path) or (path == _REPLICAS and _is_scaled(metadata, path))
        if drop:
            obj = _without(obj, path)
    return obj


def _record(metadata: dict[str, Any], annotations: dict[str, Any]) -> Callable[[Path], bool]:
    """Return what tells whether somebody wrote a field."""
    owned = [
        mapping(each.get("fieldsV1"))
        for each in map(mapping, sequence(metadata.get("managedFields")))
    ]
    applied = _last_applied(annotations)

    def is_written(path: Path) -> bool:
        if applied is not None and dig(applied, *path) is None:
            return False
        return not owned or any(_owns(fields, path) for fields in owned)

    return is_written


def _last_applied(annotations: dict[str, Any]) -> dict[str, Any] | None:
    try:
        applied = json.loads(text(annotations.get(LAST_APPLIED)))
    except (ValueError, RecursionError):
        return None
    return applied if isinstance(applied, dict) else None


def _is_scaled(metadata: dict[str, Any], path: Path) -> bool:
    """Tell whether a field is owned, and only by who has used the subresource `scale`."""
    owners = [
        each
        for each in map(mapping, sequence(metadata.get("managedFields")))
        if _owns(mapping(each.get("fieldsV1")), path)
    ]
    return bool(owners) and all(each.get("subresource") == "scale" for each in owners)


def _owns(fields: dict[str, Any], path: Path) -> bool:
    """Tell whether a set of fields holds a path: a mapping that is owned has a key below or of its own."""
    return dig(fields, *(f"f:{name}" for name in path)) is not None


def _without(obj: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy that lacks a field; what lies beside the way there is shared."""
    name, rest = path[0], path[1:]
    if not rest:
        return {key: value for key, value in obj.items() if key != name}
    return {**obj, name: _without(obj[name], rest)}
