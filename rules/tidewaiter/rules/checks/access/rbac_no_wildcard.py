"""No role allows `*`.

Restricted fields of Roles and ClusterRoles: rules[*].apiGroups, resources, verbs, nonResourceURLs.
Aggregated ClusterRoles are filled in by the control plane and are left aside.
https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege
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

RULE = Rule(
    name="rbac-no-wildcard",
    section="access",
    severity="error",
    profiles=("recommended",),
    summary="no role allows every verb, resource or API group by a wildcard",
    rationale=(
        "A wildcard allows what exists today and whatever is added tomorrow: a new verb, a new "
        "subresource, a new custom resource. Nobody can tell what such a role amounts to."
    ),
    remediation=(
        "List what is needed:\n"
        'rules:\n  - apiGroups: [""]\n    resources: [configmaps]\n    verbs: [get, list, watch]'
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/",
    ),
    applies_to=ROLE_KINDS,
)


@RULE.check
def check(role: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each list of a rule that holds `*`."""
    del context
    for rule in policy_rules(role):
        for field, what, values in (
            ("apiGroups", "API groups", rule.api_groups),
            ("resources", "resources", rule.resources),
            ("verbs", "verbs", rule.verbs),
            ("nonResourceURLs", "URLs", rule.non_resource_urls),
        ):
            if "*" in values:
                yield Violation(
                    f"{rule.pointer}/{field}/{values.index('*')}",
                    f'{role.kind} {role.name} allows all {what} ({field}: ["*"])',
                )
