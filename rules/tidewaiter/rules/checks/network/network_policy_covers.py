"""Every workload is selected by a NetworkPolicy for ingress and by one for egress.

Pods on the host's network (hostNetwork: true) are not under NetworkPolicies and are passed over, as are
PodTemplates, which make no pods.
https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.network_policy import (
    DIRECTIONS,
    KIND,
    directions,
    why_isolation_is_unknown,
)
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="network-policy-covers",
    section="network",
    severity="warning",
    profiles=("recommended",),
    summary="every workload is selected by a NetworkPolicy for each direction",
    rationale=(
        "A pod that no NetworkPolicy selects for a direction is not isolated for it: it accepts "
        "connections from everywhere, or opens them to everywhere."
    ),
    remediation=(
        "Add a NetworkPolicy that selects the pods and allows what they need:\n"
        "apiVersion: networking.k8s.io/v1\n"
        "kind: NetworkPolicy\n"
        "metadata:\n  name: api\n"
        "spec:\n"
        "  podSelector:\n    matchLabels:\n      app: api\n"
        "  policyTypes: [Ingress, Egress]\n"
        "  ingress:\n"
        "    - from:\n        - podSelector: {matchLabels: {app: web}}\n"
        "      ports: [{port: 8080}]\n"
        "  egress:\n"
        "    - to:\n        - podSelector: {matchLabels: {app: database}}\n"
        "      ports: [{port: 5432}]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation where a direction is left open, naming which."""
    if workload.kind_id == "PodTemplate" or workload.pod_spec.get("hostNetwork") is True:
        return
    inventory = context.inventory
    covered: set[str] = set()
    for policy in inventory.selecting(KIND, workload):
        covered.update(directions(policy))
        if len(covered) == len(DIRECTIONS):
            return
    what = " or ".join(direction.lower() for direction in DIRECTIONS if direction not in covered)
    pointer = f"{workload.template_pointer}/metadata/labels"
    message = f"no NetworkPolicy selects the pods of {workload.resource.name} for {what}"
    unknown = why_isolation_is_unknown(inventory, namespace_of(workload.resource))
    yield Violation(
        pointer,
        message + (f", but {unknown}" if unknown else ""),
        unknown=unknown is not None,
    )
