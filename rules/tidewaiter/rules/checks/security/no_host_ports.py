"""Containers take no port of their node.

Restricted field: ports[*].hostPort of containers, initContainers and ephemeralContainers. Allowed values:
undefined, 0, and the ports that the policy lists.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, quoted
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-host-ports",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no container takes a port of its node",
    rationale=(
        "A host port is open on every address of the node, past Services and often past NetworkPolicies, "
        "and only one such pod fits on a node."
    ),
    remediation=(
        "Remove hostPort and publish the port by a Service:\nports:\n  - name: http\n"
        "    containerPort: 8080"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/concepts/configuration/overview/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "allowed", "integers", (), "ports of the node that containers may take", stricter="less"
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each host port that is not allowed."""
    allowed = context.parameters["allowed"]
    for container in workload.containers:
        for port, pointer in items(container.spec.get("ports"), f"{container.pointer}/ports"):
            number = port.get("hostPort")
            if number is not None and number != 0 and number not in allowed:
                yield Violation(
                    f"{pointer}/hostPort",
                    f"container {container.name} takes the port {quoted(number)} of its node",
                    container.name,
                )
