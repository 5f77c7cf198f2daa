"""Pods mount nothing of their node's file system.

Restricted field: spec.volumes[*].hostPath. Allowed values: undefined.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, quoted
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-host-path",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no volume is a path of the node",
    rationale=(
        "A path of the node holds credentials of the kubelet, other pods' files and sockets that control "
        "the node; what is written there outlives the pod and is on that node alone."
    ),
    remediation=(
        "Use a claim for what must last, an emptyDir for what need not:\n"
        "volumes:\n  - name: work\n    emptyDir: {sizeLimit: 1Gi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "pod",
            "variables.spec.?volumes.orValue([]).all(v, !has(v.hostPath))",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each hostPath volume."""
    del context
    pointer = f"{workload.pod_pointer}/volumes"
    for volume, place in items(workload.pod_spec.get("volumes"), pointer):
        if volume.get("hostPath") is not None:
            path = quoted(dig(volume, "hostPath", "path"))
            yield Violation(
                f"{place}/hostPath",
                f"volume {quoted(volume.get('name'))} is the path {path} of the node",
            )
