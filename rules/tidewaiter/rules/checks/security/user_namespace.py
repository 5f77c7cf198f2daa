"""Pods have a user namespace of their own.

Restricted field: hostUsers of the pod. Allowed values: false. Before 1.33 the feature is off by default, and
nothing is asked. Pods that cannot have a user namespace are left out: Windows pods, those in another
namespace of the host, those with raw block devices, and those with volumes on a network filesystem whose
owners the kernel cannot map.
https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_here
from tidewaiter.rules.manifest.fields import items, quoted
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="user-namespace",
    section="security",
    severity="info",
    summary="pods have a user namespace of their own",
    rationale=(
        "In the user namespace of the host, root in a container is root on the node once it breaks out; "
        "in one of its own it is nobody there."
    ),
    remediation=(
        "Ask for a user namespace; nodes need Linux 6.3 and containerd 2.0 or CRI-O:\n"
        "spec:\n  hostUsers: false"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/",
        "https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/127-user-namespaces",
    ),
    applies_to=(WORKLOAD,),
    since=(1, 33),
)

_ON_BY_DEFAULT_SINCE = (1, 33)
_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_WITHOUT_ID_MAPPING = ("azureFile", "glusterfs", "nfs")
"""Volumes on network filesystems that Linux cannot mount with mapped owners."""


_OWN = set_here(value=False, safe=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a pod that could have a user namespace and has none."""
    if context.version < _ON_BY_DEFAULT_SINCE:
        return
    spec = workload.pod_spec
    users = spec.get("hostUsers")
    if not spec or users is False or _cannot_have_one(workload):
        return
    stated = "it does not set hostUsers" if users is None else f"hostUsers: {quoted(users)}"
    yield Violation(
        f"{workload.pod_pointer}/hostUsers",
        f"the pod has the user namespace of its node ({stated})",
        fix=_OWN,
    )


def _cannot_have_one(workload: Workload) -> bool:
    """Tell whether the API server or the kernel refuses a user namespace for such a pod."""
    spec = workload.pod_spec
    return (
        workload.is_windows
        or any(spec.get(field) is True for field in _HOST_NAMESPACES)
        or any(container.spec.get("volumeDevices") for container in workload.containers)
        or any(
            volume.get(kind)
            for volume, _ in items(spec.get("volumes"), "")
            for kind in _WITHOUT_ID_MAPPING
        )
    )
