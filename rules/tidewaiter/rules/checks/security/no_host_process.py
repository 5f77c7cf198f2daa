"""Windows pods do not run as processes of their node.

Restricted field: securityContext.windowsOptions.hostProcess of the pod, containers, initContainers and
ephemeralContainers. Allowed values: undefined, false.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig
from tidewaiter.rules.manifest.pod_security import owner, security_contexts
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-host-process",
    section="security",
    severity="error",
    profiles=("pss-baseline", "pss-restricted", "recommended"),
    summary="no Windows pod is a HostProcess pod",
    rationale="A HostProcess container has the rights of an administrator of its Windows node.",
    remediation=(
        "Remove the field or set it to false:\nsecurityContext:\n  windowsOptions:\n"
        "    hostProcess: false"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://kubernetes.io/docs/tasks/configure-pod-container/create-hostprocess-pod/",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "pod",
            "!variables.spec.?securityContext.?windowsOptions.?hostProcess.orValue(false)",
        ),
        CelCheck(
            "container",
            "!c.?securityContext.?windowsOptions.?hostProcess.orValue(false)",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for the pod and each container with hostProcess: true."""
    del context
    for stated, pointer, container in security_contexts(workload):
        if dig(stated, "windowsOptions", "hostProcess") is True:
            yield Violation(
                f"{pointer}/windowsOptions/hostProcess",
                f"{owner(container)} runs as a process of its node (hostProcess: true)",
                container,
            )
