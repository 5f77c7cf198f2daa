"""No Service opens a port of the nodes, except where the policy allows it.

Restricted field: spec.type of a Service. Not allowed: NodePort. A Service of type LoadBalancer may take
node ports as well (spec.allocateLoadBalancerNodePorts); it is asked for its sources by a rule of its own.
https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.rule import CelCheck, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-node-port",
    section="network",
    severity="warning",
    summary="no Service opens a port of the nodes",
    rationale=(
        "A node port is open on every node, to everybody who reaches one: past the Ingress with its TLS "
        "and its limits, and often past the NetworkPolicies, which see the node as the sender."
    ),
    remediation=(
        "Leave the Service inside the cluster, and let an Ingress or a Gateway lead to it:\n"
        "spec:\n  type: ClusterIP"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport",
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/",
    ),
    applies_to=("Service",),
    parameters=(
        Parameter(
            "allowed",
            "strings",
            (),
            "globs of Services, namespace/name, that may have node ports",
            stricter="less",
        ),
    ),
    cel=(
        CelCheck(
            "object",
            "object.spec.type != 'NodePort'",
        ),
    ),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for a Service of type NodePort that the policy does not allow."""
    if resource.spec.get("type") != "NodePort":
        return
    if not matches_any(f"{namespace_of(resource)}/{resource.name}", context.parameters["allowed"]):
        yield Violation(
            "/spec/type",
            f"Service {resource.name} opens a port on every node (type: NodePort)",
        )
