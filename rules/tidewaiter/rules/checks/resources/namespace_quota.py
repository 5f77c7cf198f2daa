"""Every namespace with workloads has a ResourceQuota and a LimitRange.

Wanted: one of each in the namespace, with something in it. Reported once for a namespace: on its Namespace
object, or else on the first workload in it. The namespaces that Kubernetes makes for itself are left out.
Where the manifests name no namespace, it is somebody else's to bound, and the answer is unknown.
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items
from tidewaiter.rules.namespaces import first_workload, namespace_that_stands
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="namespace-quota",
    section="resources",
    severity="warning",
    summary="every namespace with workloads has a ResourceQuota and a LimitRange",
    rationale=(
        "Without a quota one namespace can take the whole cluster, by a wrong number of replicas or a Job "
        "that starts again and again; without a LimitRange a pod that states no resources is not bounded."
    ),
    remediation=(
        "Bound the namespace:\n"
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: shop, namespace: shop}\n"
        'spec:\n  hard: {requests.cpu: "20", requests.memory: 40Gi, limits.memory: 60Gi, pods: "100"}\n'
        "---\n"
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: shop, namespace: shop}\n"
        "spec:\n  limits:\n    - type: Container\n      defaultRequest: {cpu: 100m, memory: 128Mi}\n"
        "      default: {cpu: 500m, memory: 256Mi}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/policy/resource-quotas/",
        "https://kubernetes.io/docs/concepts/policy/limit-range/",
    ),
    applies_to=(ANY,),
    needs_inventory=True,
)

_CONTENTS = {"LimitRange": "limits", "ResourceQuota": "hard"}
_BOUNDING_KINDS = (
    "ClusterResourceQuota.quota.openshift.io",
    "HierarchicalResourceQuota.hnc.x-k8s.io",
    "Tenant.capsule.clastix.io",
)
"""Kinds that bound several namespaces at once, or make quotas in them."""


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation, on the object that stands for its namespace."""
    inventory = context.inventory
    namespace = namespace_that_stands(resource, inventory)
    if namespace is None or inventory.once(first_workload, namespace) is None:
        return
    missing = [
        kind for kind in ("ResourceQuota", "LimitRange") if not _has(inventory, kind, namespace)
    ]
    if not missing:
        return
    pointer = "/metadata/name" if resource.kind_id == "Namespace" else "/metadata/namespace"
    message = f"namespace {namespace} has workloads, but no {' and no '.join(missing)}"
    unknown = _why_unknown(resource, inventory)
    if unknown:
        yield Violation(pointer, f"{message} here; {unknown}", unknown=True)
    else:
        yield Violation(pointer, message)


def _has(inventory: Inventory, kind: str, namespace: str) -> bool:
    return any(found.spec.get(_CONTENTS[kind]) for found in inventory.of_kind(kind, namespace))


def _why_unknown(resource: Resource, inventory: Inventory) -> str:
    if not inventory.complete:
        return "the other objects are not known"
    if resource.kind_id != "Namespace" and resource.namespace is None:
        return "the manifests name no namespace, so its bounds may stand elsewhere"
    return inventory.once(_what_else_bounds)


def _what_else_bounds(inventory: Inventory) -> str:
    """Name what may bound namespaces in another way, "" for nothing."""
    for kind in _BOUNDING_KINDS:
        for found in inventory.of_kind(kind):
            return f"{found.kind} {found.name} may bound it"
    for kind in ("ClusterPolicy.kyverno.io", "GeneratingPolicy.policies.kyverno.io"):
        for found in inventory.of_kind(kind):
            rules = items(found.spec.get("rules"), "")
            if kind.startswith("Generating") or any(rule.get("generate") for rule, _ in rules):
                return f"{found.kind} {found.name} may make them"
    return ""
