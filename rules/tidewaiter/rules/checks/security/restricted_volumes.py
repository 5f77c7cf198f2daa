"""Pods mount only volumes that are Kubernetes' own or come through a claim.

Restricted field: spec.volumes[*]. Allowed: configMap, csi, downwardAPI, emptyDir, ephemeral,
persistentVolumeClaim, projected, secret.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, quoted
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_ALLOWED = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def _in_cel(*_: object) -> str:
    return f"variables.spec.?volumes.orValue([]).all(v, {sorted(_ALLOWED)}.exists(t, t in v))"


RULE = Rule(
    name="restricted-volumes",
    section="security",
    severity="error",
    profiles=("pss-restricted", "recommended"),
    summary="every volume is of a type that the restricted standard allows",
    rationale=(
        "Other volume types reach the node's files or a storage system directly, past the rights that an "
        "administrator gives by PersistentVolumes."
    ),
    remediation=(
        "Mount storage through a claim:\nvolumes:\n  - name: data\n    persistentVolumeClaim:\n"
        "      claimName: data"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
        "https://kubernetes.io/docs/concepts/storage/volumes/",
    ),
    applies_to=(WORKLOAD,),
    cel=(CelCheck("pod", _in_cel),),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each volume of another type."""
    del context
    pointer = f"{workload.pod_pointer}/volumes"
    for volume, place in items(workload.pod_spec.get("volumes"), pointer):
        # A volume that names no source becomes an emptyDir in the API server.
        types = [key for key, value in volume.items() if key != "name" and value is not None]
        if types and not _ALLOWED.intersection(types):
            yield Violation(
                f"{place}/{types[0]}",
                f"volume {quoted(volume.get('name'))} is of the type {types[0]}",
            )
