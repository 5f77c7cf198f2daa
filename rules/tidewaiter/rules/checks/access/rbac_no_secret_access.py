"""No role reads all Secrets.

Restricted fields of Roles and ClusterRoles: rules[*] with resources `secrets` or `*` of the core group,
verbs get, list, watch or `*`, and no resourceNames.
https://kubernetes.io/docs/concepts/security/rbac-good-practices/#listing-secrets
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.rbac import ROLE_KINDS, policy_rules
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_READING = frozenset({"get", "list", "watch"})

RULE = Rule(
    name="rbac-no-secret-access",
    section="access",
    severity="warning",
    profiles=("recommended",),
    summary="no role reads all Secrets",
    rationale=(
        "Secrets hold tokens of service accounts and passwords of other systems. Whoever gets, lists or "
        "watches them all has what every workload there has: list and watch return the content too."
    ),
    remediation=(
        "Name the Secrets that are needed, or mount them instead of reading them by the API:\n"
        'rules:\n  - apiGroups: [""]\n    resources: [secrets]\n    resourceNames: [api-tls]\n'
        "    verbs: [get]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/#listing-secrets",
        "https://kubernetes.io/docs/concepts/configuration/secret/#information-security-for-secrets",
    ),
    applies_to=ROLE_KINDS,
)


@RULE.check
def check(role: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each rule that reads Secrets without naming them."""
    del context
    for rule in policy_rules(role):
        verbs = rule.allows(_READING)
        if not verbs or rule.resource_names or not rule.reaches(""):
            continue
        for index, resource in enumerate(rule.resources):
            if resource in {"secrets", "*"}:
                where = "of its namespace" if role.kind == "Role" else "wherever it is bound"
                yield Violation(
                    f"{rule.pointer}/resources/{index}",
                    f"{role.kind} {role.name} reads all Secrets {where} "
                    f"(resources: {resource}; verbs: {', '.join(verbs)})",
                )
                break
