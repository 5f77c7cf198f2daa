"""Volumes are copied on a schedule.

Restricted kinds: StatefulSets with volumeClaimTemplates, and PersistentVolumeClaims. Allowed: a Velero
Schedule that is not paused takes in the namespace and its volumes, or a schedule of snapscheduler, VolSync,
K8up or Gemini stands in it. What Longhorn, Kasten, Stork or Stash take in cannot be told from here.
https://velero.io/docs/main/api-types/schedule/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.volume_backup import (
    NAMESPACED_SCHEDULES,
    OTHER_SCHEDULES,
    VELERO_SCHEDULE,
    backs_up,
    is_paused,
    selects_labels,
)
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_CLAIM = "PersistentVolumeClaim"

RULE = Rule(
    name="volume-snapshot-schedule",
    section="stateful",
    severity="info",
    summary="volumes are copied on a schedule, by Velero or by snapshots",
    rationale=(
        "A volume outlives its pod, and not a deleted namespace, a wrong migration or a lost storage "
        "system. Copies that someone makes by hand are as old as the last time someone thought of it."
    ),
    remediation=(
        "Schedule copies of the namespace:\n"
        "apiVersion: velero.io/v1\nkind: Schedule\nmetadata: {name: payments, namespace: velero}\n"
        'spec:\n  schedule: "0 3 * * *"\n  template:\n    includedNamespaces: [payments]\n'
        "    snapshotVolumes: true\n    ttl: 720h0m0s"
    ),
    references=(
        "https://velero.io/docs/main/api-types/schedule/",
        "https://kubernetes.io/docs/concepts/storage/volume-snapshots/",
    ),
    applies_to=("StatefulSet.apps", "StatefulSet.apps.kruise.io", _CLAIM),
    needs_inventory=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation."""
    claims = resource.spec.get("volumeClaimTemplates")
    if resource.kind_id != _CLAIM and not claims:
        return
    covered, unknown = context.inventory.once(_coverage, namespace_of(resource))
    if covered:
        return
    message = f"no schedule copies the volumes of {resource!r}"
    yield Violation(
        "/spec" if resource.kind_id == _CLAIM else "/spec/volumeClaimTemplates",
        f"{message} here, but {unknown}" if unknown else message,
        unknown=bool(unknown),
    )


def _coverage(inventory: Inventory, namespace: str) -> tuple[bool, str]:
    """Tell whether the volumes of a namespace are copied, and else why that is not known, if so."""
    unknown = "" if inventory.complete else "the other objects are not known"
    for schedule in inventory.of_kind(VELERO_SCHEDULE):
        if is_paused(schedule) or not backs_up(schedule, namespace):
            continue
        if not selects_labels(schedule):
            return True, ""
        unknown = f"the Schedule {schedule.name} picks volumes by labels"
    for kind in NAMESPACED_SCHEDULES:
        if any(not is_paused(schedule) for schedule in inventory.of_kind(kind, namespace)):
            return True, ""
    for kind in OTHER_SCHEDULES:
        for schedule in inventory.of_kind(kind):
            unknown = f"the {schedule.kind} {schedule.name} may"
    return False, unknown
