"""Every mount has its volume, and every volume is mounted.

Restricted fields: volumeMounts[*].name and volumeDevices[*].name of all containers against the pod's
volumes and, in a StatefulSet, its volumeClaimTemplates. A volume that nothing mounts is a warning, unless
an annotation of the pod names it, as for containers that are injected.
https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, text
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

_WITH_CLAIM_TEMPLATES = frozenset(
    {"StatefulSet.apps", "StatefulSet.apps.kruise.io", "CloneSet.apps.kruise.io"}
)

RULE = Rule(
    name="volume-mounts-resolve",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="every volume mount names a volume of the pod, and every volume is mounted",
    rationale=(
        "The API server refuses a pod that mounts a volume it does not have, for a Deployment only once "
        "its pods are made. A volume that nothing mounts is left over, or its mount was forgotten."
    ),
    remediation=(
        "Let mounts and volumes have the same names:\n"
        "containers:\n  - name: api\n    volumeMounts:\n      - {name: tmp, mountPath: /tmp}\n"
        "volumes:\n  - name: tmp\n    emptyDir: {sizeLimit: 64Mi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/storage/volumes/",
        "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#volume-claim-templates",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each mount without a volume and each volume without a mount."""
    del context
    volumes = _volumes(workload)
    used: set[str] = set()
    for container in workload.containers:
        for field, what in (("volumeMounts", "mounts"), ("volumeDevices", "attaches")):
            for mount, pointer in items(container.spec.get(field), f"{container.pointer}/{field}"):
                name = text(mount.get("name"))
                used.add(name)
                if name and name not in volumes:
                    yield Violation(
                        f"{pointer}/name",
                        f"container {container.name} {what} volume {name}, which the pod does not have",
                        container.name,
                    )
    if not workload.containers:
        return
    for name, pointer in volumes.items():
        if name not in used and not _is_injected(name, workload):
            yield Violation(
                pointer,
                f"volume {name} is mounted by no container of {workload.resource.kind} "
                f"{workload.resource.name}",
                severity="warning",
            )


def _volumes(workload: Workload) -> dict[str, str]:
    """Return the JSON pointer of every volume's name, by that name."""
    found: dict[str, str] = {}
    for volume, pointer in items(
        workload.pod_spec.get("volumes"), f"{workload.pod_pointer}/volumes"
    ):
        found.setdefault(text(volume.get("name")), f"{pointer}/name")
    if workload.kind_id in _WITH_CLAIM_TEMPLATES:
        templates = workload.resource.spec.get("volumeClaimTemplates")
        for template, pointer in items(templates, "/spec/volumeClaimTemplates"):
            name = text(dig(template, "metadata", "name"))
            found.setdefault(name, f"{pointer}/metadata/name")
    found.pop("", None)
    return found


def _is_injected(name: str, workload: Workload) -> bool:
    return any(name in text(value) for value in workload.pod_annotations.values())
