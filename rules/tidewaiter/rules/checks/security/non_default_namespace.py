"""No workload is in the namespace `default`, nor what it reads and serves.

Restricted field: metadata.namespace of workloads, Services, Ingresses, ConfigMaps, Secrets, claims and
ServiceAccounts. Allowed values: any but `default`; what Kubernetes itself keeps there is left out. Objects
that configure the namespace, such as NetworkPolicies, may be there. A workload that states no namespace gets
it from kubectl, kustomize or Argo CD: unknown.
https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="non-default-namespace",
    section="security",
    severity="warning",
    summary="nothing of an application is in the namespace default",
    rationale=(
        "Whatever somebody applies without a thought ends up in default, beside everything else there: "
        "rights, quotas, network policies and Pod Security cannot be cut to fit one application."
    ),
    remediation=(
        "Put the application into a namespace of its own:\nmetadata:\n  name: api\n  namespace: shop"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
        "https://www.cisecurity.org/benchmark/kubernetes",
    ),
    applies_to=(ANY,),
)

_BESIDE_WORKLOADS = frozenset(
    {
        "ConfigMap",
        "Ingress.networking.k8s.io",
        "PersistentVolumeClaim",
        "Secret",
        "Service",
        "ServiceAccount",
    }
)
_OF_KUBERNETES = frozenset(
    {
        ("ConfigMap", "kube-root-ca.crt"),
        ("Service", "kubernetes"),
        ("ServiceAccount", "default"),
    }
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for an object in `default`, unknown for a workload in no stated namespace."""
    del context
    pointer = "/metadata/namespace"
    if resource.workload is None and resource.kind_id not in _BESIDE_WORKLOADS:
        return
    if resource.namespace == "default":
        if (resource.kind_id, resource.name) not in _OF_KUBERNETES:
            yield Violation(pointer, f"{resource.kind} {resource.name} is in the namespace default")
    elif resource.namespace is None and resource.workload is not None:
        yield Violation(
            pointer,
            f"{resource.kind} {resource.name} states no namespace, so it goes where it is applied to",
            unknown=True,
        )
