"""Containers must run as a user other than root.

Restricted fields: securityContext.runAsNonRoot of the pod, containers, initContainers and
ephemeralContainers. Allowed values: true; undefined in a container where the pod's is true. From 1.35 pods
with hostUsers: false are free (KEP-127).
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.fixes.edit import set_at, set_here
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.pod_security import relaxed_by_user_namespace
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="run-as-non-root",
    section="security",
    severity="error",
    profiles=("pss-restricted", "recommended"),
    summary="every container has to run as a user other than root",
    rationale=(
        "A process that is root in its container is root on the node once it breaks out of it, and may "
        "write to whatever is mounted. With runAsNonRoot the kubelet refuses to start an image as root."
    ),
    remediation=(
        "Set it for the pod, and give the image a user (USER 10001 in its Dockerfile):\n"
        "securityContext:\n  runAsNonRoot: true\n  runAsUser: 10001"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
    applies_to=(WORKLOAD,),
    cel=(
        CelCheck(
            "pod",
            "variables.rootless || variables.spec.?securityContext.?runAsNonRoot.orValue(true)",
        ),
        CelCheck(
            "container",
            "variables.rootless || c.?securityContext.?runAsNonRoot.orValue(variables.spec.?securityContext.?runAsNonRoot.hasValue())",
        ),
    ),
)


_SET = set_here(value=True, safe=False)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for the pod and for each container that may run as root."""
    if relaxed_by_user_namespace(workload, context.version):
        return
    of_pod = workload.security_context.get("runAsNonRoot")
    # Knative takes no securityContext for the pod.
    is_knative = workload.kind_id.endswith(".serving.knative.dev")
    for_pod = set_at(f"{workload.pod_pointer}/securityContext/runAsNonRoot", value=True, safe=False)
    if of_pod is not None and of_pod is not True:
        yield Violation(
            f"{workload.pod_pointer}/securityContext/runAsNonRoot",
            f"the pod may run as root (runAsNonRoot: {quoted(of_pod)})",
            fix=_SET,
        )
    for container in workload.containers:
        stated = container.security_context.get("runAsNonRoot")
        pointer = f"{container.pointer}/securityContext/runAsNonRoot"
        if stated is None:
            # Where the pod's own value is wrong, that is the one place to mend.
            if of_pod is None:
                yield Violation(
                    pointer,
                    f"container {container.name} may run as root: neither it nor the pod sets "
                    "runAsNonRoot",
                    container.name,
                    fix=_SET if is_knative else for_pod,
                )
        elif stated is not True:
            yield Violation(
                pointer,
                f"container {container.name} may run as root (runAsNonRoot: {quoted(stated)})",
                container.name,
                fix=_SET,
            )
