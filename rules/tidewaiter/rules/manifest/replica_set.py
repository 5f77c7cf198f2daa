"""ReplicaSets and ReplicationControllers that somebody wrote, apart from those a controller made.

A Deployment or a Rollout makes ReplicaSets of its own, which a live cluster shows beside it: what is
wrong in them is reported where it was written.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.manifest.workload import Workload

_KINDS = frozenset({"ReplicaSet.apps", "ReplicationController"})


def is_replica_set_of_its_own(workload: Workload) -> bool:
    """Tell whether a workload is a ReplicaSet or ReplicationController that nothing owns."""
    if workload.kind_id not in _KINDS:
        return False
    return not dig(workload.resource.object, "metadata", "ownerReferences")
