"""Which kinds the cluster lets us follow, asked once rather than found out by requests that are refused.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping, sequence, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.rules.cluster.discovery import ApiResource

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_NAMESPACE = "kube-public"
"""Where a review is asked for: rules of cluster roles hold in any, and hardly anybody has others here."""


async def followable(client: Client) -> Callable[[ApiResource], bool]:
    """Return what tells whether a kind may be listed and watched everywhere."""
    return await _allowed(client, frozenset({"list", "watch"}))


async def listable(client: Client) -> Callable[[ApiResource], bool]:
    """Return what tells whether a kind may be listed everywhere."""
    return await _allowed(client, frozenset({"list"}))


async def _allowed(client: Client, needed: frozenset[str]) -> Callable[[ApiResource], bool]:
    """Return what tells whether a kind may be used so.

    Where the server cannot say all (an authorizer other than RBAC decides), everything may be tried.
    """
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": _NAMESPACE},
    }
    try:
        answer = await client.request("POST", _PATH, body, idempotent=True)
    except ClusterError:
        return lambda _: True
    status = mapping(mapping(answer).get("status"))
    if status.get("incomplete") or not status:
        return lambda _: True
    rules = [
        (
            frozenset(map(text, sequence(rule.get("apiGroups")))),
            frozenset(map(text, sequence(rule.get("resources")))),
            verbs,
        )
        for rule in map(mapping, sequence(status.get("resourceRules")))
        if not sequence(rule.get("resourceNames"))
        for verbs in (frozenset(map(text, sequence(rule.get("verbs")))),)
    ]

    def is_allowed(resource: ApiResource) -> bool:
        given: set[object] = set()
        for groups, resources, verbs in rules:
            if not groups.isdisjoint({"*", resource.group}) and not resources.isdisjoint(
                {"*", resource.name}
            ):
                given |= verbs
        return "*" in given or given >= needed

    return is_allowed
