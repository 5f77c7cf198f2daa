"""Which requests a policy or its binding is for: `matchConstraints` and `matchResources`.

Answers are True, False, or None where manifests do not tell.
https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/validating-admission-policy-v1/#MatchResources
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.request import NAME_LABEL
from tidewaiter.rules.manifest.api_resource import is_builtin_group
from tidewaiter.rules.manifest.fields import mapping, sequence
from tidewaiter.rules.manifest.selector import EVERYTHING, parse_selector
from tidewaiter.rules.schema.definitions import definition_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidewaiter.rules.admission_policy.request import Request
    from tidewaiter.rules.manifest.selector import Selector


def matches(constraints: Mapping[str, Any], request: Request) -> bool | None:
    """Return whether MatchResources match a request."""
    in_namespace = _matches_namespace(_selector(constraints, "namespaceSelector"), request)
    if in_namespace is False:
        return False
    selector = _selector(constraints, "objectSelector")
    if not (_selects(selector, request.object) or _selects(selector, request.old)):
        return False
    exact = constraints.get("matchPolicy") == "Exact"
    excluded = _of_rules(constraints.get("excludeResourceRules"), request, exact=exact)
    if excluded:
        return False
    rules = constraints.get("resourceRules")
    included = _of_rules(rules, request, exact=exact) if rules else True
    if included is False:
        return False
    return None if None in {in_namespace, excluded, included} else True


def _selector(constraints: Mapping[str, Any], name: str) -> Selector:
    stated = constraints.get(name)
    return parse_selector(stated) if stated is not None else EVERYTHING


def _matches_namespace(selector: Selector, request: Request) -> bool | None:
    """An object that lies in no namespace matches every selector."""
    if selector.selects_everything or (not request.namespace and request.kind != "Namespace"):
        return True
    if request.labels is not None:
        return selector.matches(request.labels)
    asked = {key for key, _ in selector.equalities} | {key for key, _, _ in selector.expressions}
    if asked == {NAME_LABEL}:
        return selector.matches({NAME_LABEL: request.namespace})
    return None


def _selects(selector: Selector, value: Any) -> bool:
    if value is None:
        return False
    return selector.matches(mapping(mapping(mapping(value).get("metadata")).get("labels")))


def _of_rules(rules: Any, request: Request, *, exact: bool) -> bool | None:
    """Return whether one of the rules matches. Another version of the resource matches unless `exact`."""
    found: bool | None = False
    for rule in sequence(rules):
        answer = _of_rule(mapping(rule), request, exact=exact)
        if answer:
            return True
        found = None if answer is None else found
    return found


def _of_rule(rule: Mapping[str, Any], request: Request, *, exact: bool) -> bool | None:
    names = rule.get("resourceNames")
    if (
        not _in(rule.get("operations"), request.operation)
        or not _in(rule.get("apiGroups"), request.group)
        or not any(_is_resource(each, request.resource) for each in sequence(rule.get("resources")))
        or (names and request.name not in names)
    ):
        return False
    scope = rule.get("scope") or "*"
    if scope != "*" and request.namespaced is None:
        return None
    if scope == "Namespaced" and (not request.namespaced or request.kind == "Namespace"):
        return False
    if scope == "Cluster" and request.namespaced and request.kind != "Namespace":
        return False
    if _in(rule.get("apiVersions"), request.version):
        return True
    # The API server would convert the object to a version that the rule names, if it serves one.
    versions = [each for each in sequence(rule.get("apiVersions")) if isinstance(each, str)]
    return None if not exact and any(_is_served(each, request) for each in versions) else False


def _is_served(version: str, request: Request) -> bool:
    """Tell whether the cluster may serve the request's kind in another version of its group."""
    if not is_builtin_group(request.group):
        return True
    api_version = f"{request.group}/{version}" if request.group else version
    return definition_of(api_version, request.kind, request.cluster) is not None


def _in(wanted: Sequence[str] | None, value: str) -> bool:
    return wanted is not None and ("*" in wanted or value in wanted)


def _is_resource(pattern: Any, resource: str) -> bool:
    """Tell whether a pattern means a resource itself, not one of its subresources."""
    return pattern in {"*", "*/*", resource, f"{resource}/*"} if isinstance(pattern, str) else False
