"""By whose pull secrets the kubelet has the images of a pod.

https://kubernetes.io/docs/concepts/containers/images/#specifying-imagepullsecrets-on-a-pod
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.manifest.workload import Workload

_DEFAULT = "default"


@record
class Puller:
    """The Secrets that a pod names, in order; where it names none those of its service account count."""

    namespace: str
    secrets: tuple[str, ...]
    account: str


def puller_of(workload: Workload) -> Puller:
    """Return by whom the pods of a workload pull."""
    spec = workload.pod_spec
    named = (text(mapping(row).get("name")) for row in sequence(spec.get("imagePullSecrets")))
    account = text(spec.get("serviceAccountName")) or text(spec.get("serviceAccount"))
    return Puller(
        workload.resource.namespace or _DEFAULT,
        tuple(dict.fromkeys(name for name in named if name)),
        account or _DEFAULT,
    )
