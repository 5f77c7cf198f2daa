"""A StatefulSet with claims says what becomes of them when it is deleted or scaled down.

Restricted field: spec.persistentVolumeClaimRetentionPolicy of StatefulSets with volumeClaimTemplates.
Allowed: whenDeleted and whenScaled are both set. From 1.27, where the field is on by default.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import SET, Edit, Fix
from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="pvc-retention",
    section="stateful",
    severity="info",
    summary="a StatefulSet says whether its claims stay when it is deleted or scaled down",
    rationale=(
        "Unsaid, claims stay for ever: replicas that are gone keep their disks and their cost, and one "
        "that comes back starts on stale data. Said, everyone knows what a deletion takes along."
    ),
    remediation=(
        "Say it for both cases; Retain is the safe answer for data that nothing else holds:\n"
        "spec:\n  persistentVolumeClaimRetentionPolicy:\n    whenDeleted: Retain\n    whenScaled: Retain"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention",
        "https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/1847-autoremove-statefulset-pvcs",
    ),
    applies_to=("StatefulSet.apps", "StatefulSet.apps.kruise.io"),
)

_ON_BY_DEFAULT = (1, 27)
_POINTER = "/spec/persistentVolumeClaimRetentionPolicy"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation."""
    is_built_in = resource.kind_id == "StatefulSet.apps"
    if is_built_in and context.version < _ON_BY_DEFAULT:
        return
    if not resource.spec.get("volumeClaimTemplates"):
        return
    policy = mapping(resource.spec.get("persistentVolumeClaimRetentionPolicy"))
    missing = [name for name in ("whenDeleted", "whenScaled") if policy.get(name) is None]
    if not policy:
        yield Violation(
            _POINTER,
            f"{resource.kind} {resource.name} has claims and no persistentVolumeClaimRetentionPolicy",
            fix=_keep(missing),
        )
    elif missing:
        yield Violation(
            f"{_POINTER}/{missing[0]}",
            f"the retention policy of {resource.kind} {resource.name} leaves {missing[0]} out",
            fix=_keep(missing),
        )


def _keep(missing: list[str]) -> Fix:
    """Write down what holds where nothing is stated."""
    return Fix(tuple(Edit(SET, f"{_POINTER}/{name}", "Retain") for name in missing))
