"""No role lets its holder become somebody else or enter other pods.

Restricted fields of Roles and ClusterRoles: rules[*] with one of these and a verb that uses it:
verbs escalate and bind on roles and clusterroles; impersonate on users, groups, serviceaccounts, uids
and userextras; pods/exec and pods/attach; nodes/proxy; serviceaccounts/token; writes to
validatingwebhookconfigurations and mutatingwebhookconfigurations.
A wildcard names what it stands for. A rule that is confined by resourceNames is a warning.
https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.rbac import GROUP, ROLE_KINDS, policy_rules
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.rbac import PolicyRule
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_ROLES = frozenset({"roles", "clusterroles"})
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_CONNECTS = frozenset({"get", "create"})
_WEBHOOKS = "validatingwebhookconfigurations", "mutatingwebhookconfigurations"
_BY_VERB = {
    "escalate": ((GROUP,), _ROLES, "puts permissions that it does not have into roles"),
    "bind": ((GROUP,), _ROLES, "binds roles whose permissions it does not have"),
    "impersonate": (
        ("", "authentication.k8s.io"),
        frozenset({"users", "groups", "serviceaccounts", "uids", "userextras"}),
        "acts as others",
    ),
}
_BY_RESOURCE = {
    "pods/exec": ("", _CONNECTS, "runs commands in pods"),
    "pods/attach": ("", _CONNECTS, "attaches to the processes of pods"),
    "nodes/proxy": ("", _WRITES | _CONNECTS, "reaches the kubelet, which runs commands in any pod"),
    "serviceaccounts/token": ("", frozenset({"create"}), "makes tokens of service accounts"),
    _WEBHOOKS[0]: ("admissionregistration.k8s.io", _WRITES, "changes what the API server admits"),
    _WEBHOOKS[1]: ("admissionregistration.k8s.io", _WRITES, "changes what the API server stores"),
}

RULE = Rule(
    name="rbac-no-escalation",
    section="access",
    severity="error",
    profiles=("recommended",),
    summary="no role allows a way to more permissions than it states",
    rationale=(
        "These permissions lead to all others: a holder gives itself roles, acts as somebody else, runs "
        "commands with the identity of another pod, or rewrites what the API server admits."
    ),
    remediation=(
        "Remove the permission, or confine it to what is needed and give the rule an exemption with "
        'the reason:\nrules:\n  - apiGroups: [""]\n    resources: [pods, pods/log]\n'
        "    verbs: [get, list, watch]"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks",
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping",
    ),
    applies_to=ROLE_KINDS,
)


@RULE.check
def check(role: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each verb and each resource that leads to more permissions."""
    del context
    for rule in policy_rules(role):
        severity = "warning" if any(rule.resource_names) else None
        for pointer, message in _paths(rule):
            yield Violation(pointer, f"{role.kind} {role.name} {message}", severity=severity)


def _paths(rule: PolicyRule) -> Iterator[tuple[str, str]]:
    """Yield the pointer and the message for each verb and each resource that leads further."""
    for index, verb in enumerate(rule.verbs):
        known = _BY_VERB.get(verb)
        if known is not None and any(map(rule.reaches, known[0])):
            named = [name for name in rule.resources if name == "*" or _kind(name) in known[1]]
            if named:
                yield f"{rule.pointer}/verbs/{index}", f"{known[2]} ({verb} on {', '.join(named)})"
    for index, resource in enumerate(rule.resources):
        pointer = f"{rule.pointer}/resources/{index}"
        if resource == "*":
            reached = [name for name in _BY_RESOURCE if _verbs_on(name, rule)]
            if reached:
                yield pointer, f"reaches {', '.join(reached)} (resources: *; verbs: {_verbs(rule)})"
            continue
        verbs = _verbs_on(resource, rule)
        if verbs:
            yield pointer, f"{_BY_RESOURCE[resource][2]} ({resource}: {', '.join(verbs)})"
        if "*" in rule.verbs:
            for verb, (groups, kinds, effect) in _BY_VERB.items():
                if _kind(resource) in kinds and any(map(rule.reaches, groups)):
                    yield pointer, f"{effect} ({verb} on {resource}, by verbs: *)"
                    break


def _kind(resource: str) -> str:
    """Return a resource without what is behind its slash: userextras name the extra field there."""
    return resource.partition("/")[0] if resource.startswith("userextras/") else resource


def _verbs_on(resource: str, rule: PolicyRule) -> tuple[str, ...]:
    """Return the verbs by which a rule uses one of the known resources."""
    use = _BY_RESOURCE.get(resource)
    return rule.allows(use[1]) if use is not None and rule.reaches(use[0]) else ()


def _verbs(rule: PolicyRule) -> str:
    return ", ".join(rule.verbs)
