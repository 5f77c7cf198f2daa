"""Every claim for a volume names its storage class.

Restricted fields: spec.storageClassName of PersistentVolumeClaims, of the volumeClaimTemplates of
StatefulSets and of the claim templates of ephemeral volumes. Allowed: the field is set (an empty text asks
for a volume without a class), or the annotation that came before it.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, mapping, quoted, text
from tidewaiter.rules.manifest.workload import POD_SPECS
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="storage-class",
    section="stateful",
    severity="warning",
    summary="every claim for a volume names its storage class",
    rationale=(
        "A claim without a class takes the default of whatever cluster it lands on: another disk type, "
        "reclaim policy or zone binding than it was tested with, or none, and then it waits for ever."
    ),
    remediation=(
        "Name the class that the data is meant for:\n"
        "spec:\n  storageClassName: fast-retain\n  accessModes: [ReadWriteOnce]\n"
        "  resources:\n    requests: {storage: 20Gi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1",
        "https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass",
    ),
    applies_to=("PersistentVolumeClaim", *POD_SPECS),
)

_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each claim or template without a class."""
    del context
    if resource.workload is None:
        if resource.kind_id == "PersistentVolumeClaim":
            yield from _of_claim(resource.object, "", f"claim {resource.name}")
        return
    templates = resource.spec.get("volumeClaimTemplates")
    for template, pointer in items(templates, "/spec/volumeClaimTemplates"):
        name = text(dig(template, "metadata", "name"))
        yield from _of_claim(template, pointer, f"claim template {name}".rstrip())
    volumes = resource.workload.pod_spec.get("volumes")
    for volume, pointer in items(volumes, f"{resource.workload.pod_pointer}/volumes"):
        template = dig(volume, "ephemeral", "volumeClaimTemplate")
        if isinstance(template, dict):
            name = text(volume.get("name"))
            place = f"{pointer}/ephemeral/volumeClaimTemplate"
            yield from _of_claim(template, place, f"ephemeral volume {name}".rstrip())


def _of_claim(claim: Mapping[str, Any], pointer: str, what: str) -> Iterator[Violation]:
    if dig(claim, "spec", "storageClassName") is not None:
        return
    if _ANNOTATION in mapping(dig(claim, "metadata", "annotations")):
        return
    volume = dig(claim, "spec", "volumeName")
    if volume:
        # The admission plugin gives the default class to this one too, and then it does not bind.
        yield Violation(
            f"{pointer}/spec/storageClassName",
            f"{what} asks for the volume {quoted(volume)} and does not say that this has no class",
            remediation=(
                "Name the class of that volume, or none:\n"
                'spec:\n  storageClassName: ""\n  volumeName: data'
            ),
        )
        return
    yield Violation(f"{pointer}/spec/storageClassName", f"{what} names no storageClassName")
