"""Schedules that copy volumes: Velero's, and those that stand in the namespace of the volumes.

https://velero.io/docs/main/api-types/schedule/, and for the others https://github.com/backube/snapscheduler,
https://volsync.readthedocs.io/, https://docs.k8up.io/ and https://github.com/FairwindsOps/gemini.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.rules.manifest.resource import Resource

VELERO_SCHEDULE = "Schedule.velero.io"
NAMESPACED_SCHEDULES = (
    "SnapshotSchedule.snapscheduler.backube",
    "ReplicationSource.volsync.backube",
    "Schedule.k8up.io",
    "SnapshotGroup.gemini.fairwinds.com",
)
"""Kinds that schedule snapshots or backups of volumes of their own namespace."""
OTHER_SCHEDULES = (
    "RecurringJob.longhorn.io",
    "Policy.config.kio.kasten.io",
    "BackupPlan.gkebackup.gke.io",
    "BackupPlan.gkebackup.cnrm.cloud.google.com",
    "SchedulePolicy.stork.libopenstorage.org",
    "BackupConfiguration.core.kubestash.com",
    "BackupConfiguration.stash.appscode.com",
)
"""Kinds that may do so for namespaces that their manifest does not name plainly."""

_VOLUMES = frozenset(
    {
        "*",
        "persistentvolumeclaim",
        "persistentvolumeclaims",
        "persistentvolume",
        "persistentvolumes",
        "pod",
        "pods",
        "po",
        "pv",
        "pvc",
    }
)


def is_paused(schedule: Resource) -> bool:
    """Tell whether a schedule of any of these kinds is switched off."""
    spec = schedule.spec
    return any(spec.get(field) is True for field in ("paused", "disabled", "suspend"))


def backs_up(schedule: Resource, namespace: str) -> bool:
    """Tell whether a Velero Schedule copies the volumes of a namespace.

    Selectors of labels are left out of account; `selects_labels` tells of them.
    """
    template = mapping(schedule.spec.get("template"))
    included = _names(template.get("includedNamespaces"))
    if included and not any(_matches(pattern, namespace) for pattern in included):
        return False
    if any(_matches(name, namespace) for name in _names(template.get("excludedNamespaces"))):
        return False
    resources = [name.partition(".")[0] for name in _names(template.get("includedResources"))]
    if resources and _VOLUMES.isdisjoint(resources):
        return False
    by_file = (
        template.get("defaultVolumesToFsBackup") is True
        or template.get("defaultVolumesToRestic") is True
    )
    return by_file or template.get("snapshotVolumes") is not False


def selects_labels(schedule: Resource) -> bool:
    """Tell whether a Velero Schedule copies only what carries some labels."""
    template = mapping(schedule.spec.get("template"))
    return bool(template.get("labelSelector") or template.get("orLabelSelectors"))


def _names(value: object) -> Sequence[str]:
    return [name for name in map(text, sequence(value)) if name]


def _matches(pattern: str, namespace: str) -> bool:
    """Match a name of a namespace, of which a `*` stands for any part."""
    start, star, end = pattern.partition("*")
    if not star:
        return pattern == namespace
    return (
        len(namespace) >= len(start) + len(end)
        and namespace.startswith(start)
        and namespace.endswith(end)
    )
