"""On which object a finding about a whole namespace stands.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

CLUSTER_NAMESPACES = frozenset({"kube-node-lease", "kube-public", "kube-system"})
"""Namespaces that Kubernetes makes for itself; `default` is one for applications."""


def namespace_that_stands(resource: Resource, inventory: Inventory) -> str | None:
    """Return the namespace that an object stands for, or None where another object does, or none.

    A Namespace stands for itself. Where there is none of that name among the manifests, the first
    workload in it does. Those that Kubernetes makes for itself are left out.
    """
    if resource.kind_id == "Namespace":
        return None if resource.name in CLUSTER_NAMESPACES else resource.name or None
    if resource.workload is None:
        return None
    namespace = namespace_of(resource)
    if namespace in CLUSTER_NAMESPACES or inventory.find("Namespace", namespace) is not None:
        return None
    first = inventory.once(first_workload, namespace)
    return namespace if first is not None and first.place == resource.place else None


def first_workload(inventory: Inventory, namespace: str) -> Resource | None:
    """Return the first object of a namespace that makes pods; a PodTemplate makes none."""
    for workload in inventory.workloads(namespace):
        if workload.kind_id != "PodTemplate":
            return workload.resource
    return None
