"""Pods come from a controller.

Exempt: pods that have an owner, mirror pods of the kubelet, and hooks of Helm and Argo CD, which run once
and are watched by those.
https://kubernetes.io/docs/concepts/workloads/pods/#pods-and-controllers
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_RUN_BY_OTHERS = (
    "kubernetes.io/config.mirror",
    "kubernetes.io/config.source",
    "helm.sh/hook",
    "argocd.argoproj.io/hook",
)

RULE = Rule(
    name="no-naked-pod",
    section="hygiene",
    severity="warning",
    profiles=("recommended",),
    summary="pods come from a controller",
    rationale=(
        "Nothing makes a bare pod again: when its node is drained or fails, the pod is gone, and it "
        "cannot be scaled or rolled out."
    ),
    remediation=(
        "Put the pod into the template of a Deployment, or of a Job where it runs to an end:\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec:\n"
        "  selector:\n    matchLabels: {app: api}\n  template:\n    metadata:\n      labels: {app: api}\n"
        "    spec: {}  # the pod's spec"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/workloads/pods/#pods-and-controllers",
        "https://kubernetes.io/docs/concepts/configuration/overview/#naked-pods-vs-replicasets-deployments-and-jobs",
    ),
    applies_to=("Pod",),
)


@RULE.check
def check(pod: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation for a pod that nothing would make again."""
    del context
    if dig(pod.object, "metadata", "ownerReferences"):
        return
    if not any(name in pod.annotations for name in _RUN_BY_OTHERS):
        yield Violation("/kind", f"Pod {pod.name} has no controller that would make it again")
