"""Nothing is bound to the unauthenticated or to the group that RBAC does not hold.

Restricted field of RoleBindings and ClusterRoleBindings: subjects[*].
Refused: User system:anonymous, Groups system:unauthenticated and system:masters.
https://kubernetes.io/docs/concepts/security/rbac-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items, text
from tidewaiter.rules.manifest.rbac import BINDING_KINDS, role_ref
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_REFUSED = {
    ("User", "system:anonymous"): "to everybody, without a login",
    ("Group", "system:unauthenticated"): "to everybody, without a login",
    ("Group", "system:masters"): "to the group that no authorization check ever stops",
}

RULE = Rule(
    name="rbac-no-anonymous",
    section="access",
    severity="error",
    profiles=("recommended",),
    summary="no role is bound to anonymous users or to system:masters",
    rationale=(
        "What is bound to system:anonymous or system:unauthenticated is open to anyone who reaches the "
        "API server. Members of system:masters pass every authorization check, and removing a binding "
        "does not take that away."
    ),
    remediation=(
        "Bind a user, group or service account that authenticates:\n"
        "subjects:\n  - kind: ServiceAccount\n    name: api\n    namespace: payments"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
        "https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-requests",
    ),
    applies_to=BINDING_KINDS,
)


@RULE.check
def check(binding: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each subject that is one of the refused."""
    del context
    for subject, pointer in items(binding.object.get("subjects"), "/subjects"):
        kind, name = text(subject.get("kind")), text(subject.get("name"))
        reason = _REFUSED.get((kind, name))
        if reason is not None:
            role = role_ref(binding)[1] or "a role"
            yield Violation(
                f"{pointer}/name",
                f"{binding.kind} {binding.name} gives {role} {reason} ({kind} {name})",
            )
