"""Which pods a selector picks, and when that cannot be told from the manifests.

Pods carry labels that no manifest shows: controllers and the pods themselves add some. Where a selector
asks for one of these, the workloads that have all the other labels are the ones meant.
https://kubernetes.io/docs/reference/labels-annotations-taints/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.selector import Selector
from tidewaiter.rules.operators import pod_maker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.workload import Workload

_POD_NAME = "statefulset.kubernetes.io/pod-name"
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_ADDED_BY_CONTROLLERS = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "pod-template-generation",
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "serving.knative.dev/configuration",
        "serving.knative.dev/revision",
        "serving.knative.dev/service",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_ADDED_BY_PODS = frozenset(
    {
        "openbao-active",
        "openbao-initialized",
        "openbao-sealed",
        "spilo-role",
        "vault-active",
        "vault-initialized",
        "vault-perf-standby",
        "vault-sealed",
    }
)
"""Labels by which replicated databases and stores mark their leader at run time."""
_LEADER_ROLES = frozenset({"leader", "master", "primary", "replica", "slave", "standby"})
"""Values of the label `role` that they set; with others it is written by hand."""
_CLUSTER_NAMESPACES = ("gke-managed-", "kube-", "openshift-")
"""Prefixes of the namespaces in which a distribution runs pods of its own."""


def selected(inventory: Inventory, namespace: str, selector: Selector) -> Sequence[Workload]:
    """Return the workloads whose pods a selector picks, labels that are added later apart.

    `statefulset.kubernetes.io/pod-name` picks the StatefulSet that makes a pod of that name.
    """
    found = inventory.workloads_matching(namespace, selector)
    if found:
        return found
    pod_name = dict(selector.equalities).get(_POD_NAME)
    if pod_name is None:
        return ()
    for kind in ("StatefulSet.apps", "StatefulSet.apps.kruise.io"):
        owner = inventory.get(kind, namespace, pod_name.rpartition("-")[0])
        if owner is not None and owner.workload is not None:
            labels = {**owner.workload.pod_labels, _POD_NAME: pod_name}
            return (owner.workload,) if selector.matches(labels) else ()
    return ()


def why_unknown(inventory: Inventory, namespace: str, selector: Selector) -> str | None:
    """Say why a selector that picks no workload here may still pick pods, or return None.

    The answer is a clause to put after "but": the set may be a single file, the label may be one
    that is added later, an operator may make the pods, or the cluster itself may.
    """
    if not inventory.complete:
        return "the other objects are not known"
    keys = {key for key, _ in selector.equalities}
    added = sorted(key for key, value in selector.equalities if _is_added(key, value))
    if added and _picks_without(inventory, namespace, selector, added):
        return f"the label {added[0]} may be added to running pods"
    if _GATEWAY_NAME in keys:
        # GEP-1762: what a controller makes for a Gateway carries this label.
        return f"the controller of a Gateway makes the pods with the label {_GATEWAY_NAME}"
    maker = pod_maker(inventory, namespace)
    if maker is not None:
        return f"an operator may make such pods (custom resources here: {maker}, ...)"
    if namespace.startswith(_CLUSTER_NAMESPACES):
        return f"the cluster makes pods of its own in {namespace}"
    return None


def _is_added(key: str, value: str) -> bool:
    if key == "role":
        return value in _LEADER_ROLES
    return key in _ADDED_BY_CONTROLLERS or key in _ADDED_BY_PODS


def _picks_without(
    inventory: Inventory, namespace: str, selector: Selector, keys: Sequence[str]
) -> bool:
    rest = tuple(pair for pair in selector.equalities if pair[0] not in keys)
    if not rest and not selector.expressions:
        # What only pods add says nothing about whose pods these are.
        return not _ADDED_BY_CONTROLLERS.isdisjoint(keys)
    return bool(inventory.workloads_matching(namespace, Selector(rest, selector.expressions)))
