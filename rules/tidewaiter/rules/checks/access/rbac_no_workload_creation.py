"""Roles that create pods are known.

Flagged in Roles and ClusterRoles: rules[*] with the verb create (or `*`) on pods, or on what makes pods:
controllers, Jobs, and the workloads of Argo, Knative, OpenKruise and OpenShift. Left out: rules with
resourceNames, by which no create can be allowed, and the roles that Kubernetes makes for itself.
https://kubernetes.io/docs/concepts/security/rbac-good-practices/#workload-creation
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.rbac import ROLE_KINDS, policy_rules
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.rbac import PolicyRule
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="rbac-no-workload-creation",
    section="access",
    severity="info",
    summary="roles that create pods or what makes pods are known",
    rationale=(
        "Whoever creates a pod chooses its ServiceAccount and mounts any Secret, ConfigMap and volume of the "
        "namespace: the permission implies that of everything that runs there."
    ),
    remediation=(
        "Give it only to what deploys, keep apart by namespaces what differs in trust, and state the reason "
        "in an exemption. For reading this is enough:\n"
        "rules:\n  - apiGroups: [apps]\n    resources: [deployments]\n    verbs: [get, list, watch]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/#workload-creation",
    ),
    applies_to=ROLE_KINDS,
)

_CREATE = frozenset({"create"})
_MOVED_TO_APPS = frozenset({"daemonsets", "deployments", "replicasets"})
_MAKES_PODS = {
    "": frozenset({"pods", "replicationcontrollers"}),
    "apps": frozenset({*_MOVED_TO_APPS, "statefulsets"}),
    "apps.kruise.io": frozenset(
        {"advancedcronjobs", "broadcastjobs", "clonesets", "daemonsets", "statefulsets"}
    ),
    "apps.openshift.io": frozenset({"deploymentconfigs"}),
    "argoproj.io": frozenset({"cronworkflows", "rollouts", "workflows"}),
    "batch": frozenset({"cronjobs", "jobs"}),
    "extensions": _MOVED_TO_APPS,
    "serving.knative.dev": frozenset({"configurations", "services"}),
}
"""What makes pods, by API group."""


@RULE.check
def check(role: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each resource of a rule by which pods are made."""
    del context
    if role.labels.get("kubernetes.io/bootstrapping") == "rbac-defaults":
        return
    for rule in policy_rules(role):
        if rule.resource_names or not rule.allows(_CREATE):
            continue
        for index, resource in enumerate(rule.resources):
            group = _group_that_makes_pods(rule, resource)
            if group is not None:
                what = "everything, pods among it" if resource == "*" else resource
                of = f" of {group}" if group else ""
                where = "in its namespace" if role.kind == "Role" else "wherever it is bound"
                yield Violation(
                    f"{rule.pointer}/resources/{index}",
                    f"{role.kind} {role.name} creates {what}{of} {where}, and so runs as any "
                    "ServiceAccount there",
                )


def _group_that_makes_pods(rule: PolicyRule, resource: str) -> str | None:
    """Return the first API group of a rule in which a resource makes pods, or None."""
    for group, resources in _MAKES_PODS.items():
        if rule.reaches(group) and (resource == "*" or resource in resources):
            return group
    return None
