"""Nobody is bound to cluster-admin.

Restricted field of RoleBindings and ClusterRoleBindings: roleRef.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.rbac import BINDING_KINDS, role_ref
from tidewaiter.rules.rule import CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="rbac-no-cluster-admin",
    section="access",
    severity="error",
    profiles=("recommended",),
    summary="nobody is bound to the role cluster-admin",
    rationale=(
        "cluster-admin may do everything, Secrets and RBAC itself included. Bound in the whole cluster "
        "it is the cluster, bound in a namespace it is all of the namespace."
    ),
    remediation=(
        "Bind a role that allows what is needed, such as view or edit, or one of your own:\n"
        "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: view"
    ),
    references=(
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles",
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
    ),
    applies_to=BINDING_KINDS,
    cel=(
        CelCheck(
            "object",
            "object.roleRef.kind != 'ClusterRole' || object.roleRef.name != 'cluster-admin'",
        ),
    ),
)


@RULE.check
def check(binding: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation for a binding to the ClusterRole cluster-admin."""
    del context
    if role_ref(binding) == ("ClusterRole", "cluster-admin"):
        where = "the namespace" if binding.kind == "RoleBinding" else "the cluster"
        yield Violation(
            "/roleRef/name",
            f"{binding.kind} {binding.name} allows everything in {where} (roleRef: cluster-admin)",
        )
