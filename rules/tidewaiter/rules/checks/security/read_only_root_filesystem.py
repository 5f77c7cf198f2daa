"""Containers cannot write to their image's file system.

Restricted field: securityContext.readOnlyRootFilesystem of containers, initContainers and
ephemeralContainers. Allowed values: true. Not asked of pods for Windows, which has no such thing, whether
spec.os or the node selector says so.
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import APPEND, HERE, SET, Edit, Fix
from tidewaiter.rules.manifest.fields import items, mapping, quoted, text
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="read-only-root-filesystem",
    section="security",
    severity="error",
    profiles=("recommended",),
    summary="every container has a read-only root file system",
    rationale=(
        "Whoever gets into a container that can write to its image plants tools there, or changes the "
        "program that runs. What a service must write belongs in a volume that says so."
    ),
    remediation=(
        "Set it, and give the paths that are written to a volume:\n"
        "securityContext:\n  readOnlyRootFilesystem: true\nvolumeMounts:\n"
        "  - {name: tmp, mountPath: /tmp}"
    ),
    references=(
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
        "https://kubernetes.io/docs/concepts/storage/volumes/#emptydir",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "container",
            "variables.isWindows || variables.spec.?nodeSelector[?'kubernetes.io/os'].orValue('') == 'windows' || variables.spec.?nodeSelector[?'beta.kubernetes.io/os'].orValue('') == 'windows' || c.?securityContext.?readOnlyRootFilesystem.orValue(false)",
        ),
    ),
)


_WRITABLE = "/tmp"  # noqa: S108  a path in the container
_VOLUME: dict[str, Any] = {"name": "tmp", "emptyDir": {}}


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that can write to its root file system."""
    del context
    if workload.is_windows or _is_bound_to_windows(workload):
        return
    for container in workload.containers:
        stated = container.security_context.get("readOnlyRootFilesystem")
        if stated is not True:
            state = "unset" if stated is None else quoted(stated)
            yield Violation(
                f"{container.pointer}/securityContext/readOnlyRootFilesystem",
                f"container {container.name} can write to its root file system "
                f"(readOnlyRootFilesystem: {state})",
                container.name,
                fix=_fix(container, workload),
            )


def _fix(container: Container, workload: Workload) -> Fix:
    """Set it, and give the container a volume of its pod at /tmp unless something is mounted there."""
    edits = [Edit(SET, HERE, True)]
    mounts = [
        text(mount.get("mountPath")) for mount, _ in items(container.spec.get("volumeMounts"), "")
    ]
    if not any(path.rstrip("/") in {"", _WRITABLE} for path in mounts if path):
        name = _free_name(workload)
        mount = {"name": name, "mountPath": _WRITABLE}
        edits.append(Edit(APPEND, f"{container.pointer}/volumeMounts", mount))
        edits.append(Edit(APPEND, f"{workload.pod_pointer}/volumes", {**_VOLUME, "name": name}))
    return Fix(tuple(edits), is_safe=False)


def _free_name(workload: Workload) -> str:
    """Name the volume: that of an earlier fix, else one that the pod does not have."""
    stated = {
        name: volume
        for volume, _ in items(workload.pod_spec.get("volumes"), "")
        if (name := text(volume.get("name")))
    }
    for name in ("tmp", *(f"tmp-{number}" for number in range(2, len(stated) + 3))):
        if name not in stated or stated[name] == {**_VOLUME, "name": name}:
            return name
    return "tmp"


def _is_bound_to_windows(workload: Workload) -> bool:
    selector = mapping(workload.pod_spec.get("nodeSelector"))
    return "windows" in (selector.get("kubernetes.io/os"), selector.get("beta.kubernetes.io/os"))
