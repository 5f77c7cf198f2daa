"""Containers do not set the user to root.

Restricted fields: securityContext.runAsUser of the pod, containers, initContainers and ephemeralContainers.
Allowed values: undefined, any number but 0. From 1.23; from 1.35 pods with hostUsers: false are free.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.pod_security import (
    owner,
    relaxed_by_user_namespace,
    security_contexts,
)
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="run-as-user-non-zero",
    section="security",
    severity="error",
    profiles=("pss-restricted", "recommended"),
    summary="no runAsUser is 0",
    rationale=(
        "runAsUser: 0 makes a container run as root whatever user its image names, and the kubelet "
        "refuses it where runAsNonRoot is set."
    ),
    remediation=(
        "Name a user other than root, one that may read the image's files:\n"
        "securityContext:\n  runAsUser: 10001"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    since=(1, 23),
    cel=(
        CelCheck(
            "pod",
            "variables.rootless || variables.spec.?securityContext.?runAsUser.orValue(1) != 0",
        ),
        CelCheck(
            "container",
            "variables.rootless || c.?securityContext.?runAsUser.orValue(1) != 0",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for the pod and each container whose runAsUser is 0 or no number."""
    if context.version < (1, 23) or relaxed_by_user_namespace(workload, context.version):
        return
    for stated, pointer, container in security_contexts(workload):
        user = stated.get("runAsUser")
        if user is None:
            continue
        if isinstance(user, bool) or not isinstance(user, int | float):
            message = f"{owner(container)} has the runAsUser {quoted(user)}, which is no number"
        elif user == 0:
            message = f"{owner(container)} runs as root (runAsUser: {quoted(user)})"
        else:
            continue
        yield Violation(f"{pointer}/runAsUser", message, container)
