"""RBAC: what the rules of Roles allow, and whom bindings give it to.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import items, mapping, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

GROUP = "rbac.authorization.k8s.io"
ROLE_KINDS = (f"Role.{GROUP}", f"ClusterRole.{GROUP}")
BINDING_KINDS = (f"RoleBinding.{GROUP}", f"ClusterRoleBinding.{GROUP}")


@record
class PolicyRule:
    """One entry of a role's `rules`, at JSON pointer `pointer`; entries that are no text are `""`.

    The places in the lists are those of the manifest, so `f"{pointer}/verbs/{index}"` is a verb.
    """

    pointer: str
    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...]
    non_resource_urls: tuple[str, ...]

    def allows(self, verbs: frozenset[str]) -> tuple[str, ...]:
        """Return which of the rule's verbs are among these, `*` being among all."""
        return tuple(verb for verb in self.verbs if verb == "*" or verb in verbs)

    def reaches(self, group: str) -> bool:
        """Tell whether the rule speaks of an API group ("" for the core group)."""
        return group in self.api_groups or "*" in self.api_groups


def policy_rules(role: Resource) -> Iterator[PolicyRule]:
    """Yield the rules of a Role or ClusterRole as written.

    An aggregated ClusterRole has none: the control plane overwrites what its manifest says.
    """
    if role.object.get("aggregationRule"):
        return
    for entry, pointer in items(role.object.get("rules"), "/rules"):
        yield PolicyRule(
            pointer,
            _texts(entry.get("apiGroups")),
            _texts(entry.get("resources")),
            _texts(entry.get("verbs")),
            _texts(entry.get("resourceNames")),
            _texts(entry.get("nonResourceURLs")),
        )


def role_ref(binding: Resource) -> tuple[str, str]:
    """Return the kind and the name of the role that a binding gives."""
    reference = mapping(binding.object.get("roleRef"))
    return text(reference.get("kind")), text(reference.get("name"))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(text, value)) if isinstance(value, list) else ()
