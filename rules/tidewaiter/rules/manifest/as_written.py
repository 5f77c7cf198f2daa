"""An object of a cluster as its author wrote it, as far as that can be told.

The API server fills in what a manifest leaves out, before any webhook sees it. A few rules ask for a field to be
set, and would take the filled-in value for the author's. Two records tell the two apart:

- `kubectl.kubernetes.io/last-applied-configuration` is the manifest that `kubectl apply` sent;
- `metadata.managedFields` names who set each field. With server-side apply, a field that nobody owns was filled
  in. With other requests, such as those of `kubectl create` and Helm 3, whoever sent them owns what was filled in
  as well: then it is not known who wrote it.

An object without either record is taken as it stands.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json

from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.rules.manifest.resource import kind_id

TYPE_CHECKING = False
if TYPE_CHECKING:
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
"""What the API server fills in, by kind: fields of which some rule in `filled_in` asks whether they are set.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""


def as_written(obj: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what is known to be filled in; the given one stays as it is.

    The number of replicas is left out too where only an autoscaler, or `kubectl scale`, has set it. `managedFields`
    and the annotation of kubectl, which repeats the object with any secret in it, go as well.
    """
    return written_forms(obj)[0]


def written_forms(obj: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return an object as `as_written`, and without what may have been filled in where that is less."""
    metadata = mapping(obj.get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    if "managedFields" not in metadata and LAST_APPLIED not in annotations:
        return obj, None
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    if LAST_APPLIED in annotations:
        rest = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        if rest:
            kept["annotations"] = rest
        else:
            del kept["annotations"]
    written = {**obj, "metadata": kept}
    least = written
    kind = kind_id(text(obj.get("apiVersion")), text(obj.get("kind")))
    record: _Record | None = None
    for path, value in _FILLED_IN.get(kind, ()):
        found = dig(obj, *path)
        if found is None or (found != value and path != _REPLICAS):
            continue
        if record is None:
            record = _Record(metadata, annotations)
        is_written = record.is_written(path) if found == value else True
        if path == _REPLICAS and record.is_scaled(path):
            is_written = False
        if is_written is False and dig(written, *path) is not None:
            written = _without(written, path)
        if not is_written and dig(least, *path) is not None:
            least = _without(least, path)
    return written, None if least == written else least


class _Record:
    """Who wrote which field of an object."""

    def __init__(self, metadata: dict[str, Any], annotations: dict[str, Any]) -> None:
        self._managers = [mapping(each) for each in sequence(metadata.get("managedFields"))]
        self._applied = _last_applied(annotations)

    def is_written(self, path: Path) -> bool | None:
        """Tell whether the author wrote a field that has the value which is filled in, None: not known."""
        if self._applied is not None:
            return dig(self._applied, *path) is not None
        owners = self._owners(path)
        if not owners:
            return not self._managers
        return True if any(each.get("operation") == "Apply" for each in owners) else None

    def is_scaled(self, path: Path) -> bool:
        """Tell whether a field is owned, and only by who has used the subresource `scale`."""
        owners = self._owners(path)
        return bool(owners) and all(each.get("subresource") == "scale" for each in owners)

    def _owners(self, path: Path) -> list[dict[str, Any]]:
        names = [f"f:{name}" for name in path]
        return [each for each in self._managers if dig(each.get("fieldsV1"), *names) is not None]


def _last_applied(annotations: dict[str, Any]) -> dict[str, Any] | None:
    try:
        applied = json.loads(text(annotations.get(LAST_APPLIED)))
    except (ValueError, RecursionError):
        return None
    return applied if isinstance(applied, dict) else None


def _without(obj: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy that lacks a field; what lies beside the way there is shared."""
    name, rest = path[0], path[1:]
    if not rest:
        return {key: value for key, value in obj.items() if key != name}
    return {**obj, name: _without(obj[name], rest)}
