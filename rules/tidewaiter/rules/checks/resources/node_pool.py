"""Every workload names the node pool that it runs on.

Restricted fields: nodeSelector and the required node affinity of the pod. Allowed: the label of a node pool
with the name of one that the policy lists; without a list the rule asks nothing. A preference is no choice.
DaemonSets are left out: they run on every node.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.manifest.node_choice import required_terms, selected_labels
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.node_choice import NodeLabel
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="node-pool",
    section="resources",
    severity="info",
    summary="every workload names a node pool on the policy's list",
    rationale=(
        "A workload that names no pool lands wherever there is room: batch jobs beside the API that they "
        "slow down, and small services on the machines with the expensive hardware."
    ),
    remediation=("Name the pool:\nspec:\n  nodeSelector:\n    karpenter.sh/nodepool: api"),
    references=(
        "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/",
        "https://karpenter.sh/docs/concepts/nodepools/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "pools",
            "strings",
            (),
            "globs of the names of node pools, as api, batch or ws-*; without one the rule is off",
            stricter="fewer",
        ),
        Parameter(
            "labels",
            "strings",
            (
                "agentpool",
                "alpha.eksctl.io/nodegroup-name",
                "cloud.google.com/gke-nodepool",
                "doks.digitalocean.com/node-pool",
                "eks.amazonaws.com/nodegroup",
                "k8s.scaleway.com/pool-name",
                "karpenter.sh/nodepool",
                "kops.k8s.io/instancegroup",
                "kubernetes.azure.com/agentpool",
                "node-pool",
                "nodepool",
                "pool",
            ),
            "labels of nodes whose value is the name of their pool",
        ),
    ),
)

_ON_EVERY_NODE = ("DaemonSet.apps", "DaemonSet.apps.kruise.io")


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for a workload without a pool, and for each pool that is not listed."""
    pools, labels = context.parameters["pools"], context.parameters["labels"]
    if not pools or not workload.pod_spec or workload.kind_id in _ON_EVERY_NODE:
        return
    chosen = _chosen(workload, labels)
    if not chosen:
        resource = workload.resource
        yield Violation(
            f"{workload.pod_pointer}/nodeSelector",
            f"{resource.kind} {resource.name} names no node pool, so it may run on any",
        )
    for label in chosen:
        for name in label.values:
            if not matches_any(name, pools):
                yield Violation(
                    label.pointer,
                    f"the node pool {name!r} ({label.key}) is not on the policy's list",
                )


def _chosen(workload: Workload, labels: list[str]) -> list[NodeLabel]:
    """Return where a workload names its pool; nothing where one alternative leaves it open."""
    selected = [label for label in selected_labels(workload) if label.key in labels]
    if selected:
        return selected
    chosen = []
    for term in required_terms(workload):
        named = [label for label in term if label.key in labels and label.values]
        if not named:
            return []
        chosen += named
    return chosen
