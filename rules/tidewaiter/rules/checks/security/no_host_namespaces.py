"""Pods share no namespace with their node.

Restricted fields: spec.hostNetwork, spec.hostPID, spec.hostIPC. Allowed values: undefined, false.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-host-namespaces",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no pod uses the network, process or IPC namespace of its node",
    rationale=(
        "In the node's namespaces a pod sees all traffic and processes there, can reach services that "
        "listen on localhost, and no NetworkPolicy holds it."
    ),
    remediation=(
        "Remove the fields, and publish ports by a Service:\n"
        "hostNetwork: false\nhostPID: false\nhostIPC: false"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/concepts/services-networking/service/",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "pod",
            "!variables.spec.?hostNetwork.orValue(false) && !variables.spec.?hostPID.orValue(false) && !variables.spec.?hostIPC.orValue(false)",
        ),
    ),
)

_FIELDS = {"hostNetwork": "network", "hostPID": "process", "hostIPC": "IPC"}


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each namespace of the node that the pod uses."""
    del context
    for field, namespace in _FIELDS.items():
        if workload.pod_spec.get(field) is True:
            yield Violation(
                f"{workload.pod_pointer}/{field}",
                f"the pod uses the {namespace} namespace of its node ({field}: true)",
            )
