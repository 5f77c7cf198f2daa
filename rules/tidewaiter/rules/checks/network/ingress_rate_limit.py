"""The edge limits how many requests a client may make.

Allowed on an Ingress: the annotation of its controller for it (ingress-nginx, NGINX, HAProxy, OpenShift), a
Traefik middleware with rateLimit or inFlightReq, a rate-limiting plugin of Kong. A limit that is not among
the manifests (an entry point of Traefik, a ConfigMap of HAProxy, a WAF, a global plugin) makes the answer
`unknown`. HTTPRoutes have no field for it: a policy of Envoy Gateway, kgateway or Kuadrant that is attached
to the route or its Gateway is fine, without one the answer is `unknown`.
https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#rate-limiting
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.gateway_route import KINDS, is_for_mesh, is_redirect, policies_of
from tidewaiter.rules.manifest.fields import items
from tidewaiter.rules.manifest.ingress import (
    AWS,
    HAPROXY,
    NGINX,
    OPENSHIFT,
    class_name,
    configuration,
    controller_of,
    is_configured_alone,
    is_part_of_another,
)
from tidewaiter.rules.rate_limit import (
    CONFIGURATION_KEYS,
    WAF_ANNOTATIONS,
    has_annotation,
    has_policy,
)
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ingress-rate-limit",
    section="network",
    severity="warning",
    summary="the edge limits the requests of a client",
    rationale=(
        "Without a limit at the edge one client, by mistake or on purpose, takes the capacity of all "
        "others, and passwords and card numbers can be tried as fast as the service answers."
    ),
    remediation=(
        "Set the limit of your controller, for example:\n"
        "metadata:\n  annotations:\n"
        '    nginx.ingress.kubernetes.io/limit-rps: "20" # ingress-nginx\n'
        '    haproxy.org/rate-limit-requests: "20" # HAProxy'
    ),
    references=(
        "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#rate-limiting",
        "https://doc.traefik.io/traefik/middlewares/http/ratelimit/",
        "https://gateway.envoyproxy.io/docs/tasks/traffic/local-rate-limit/",
    ),
    applies_to=("Ingress.networking.k8s.io", KINDS[0]),
    needs_inventory=True,
)

_PLACE = "/metadata/annotations"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield at most one violation."""
    if resource.kind == "HTTPRoute":
        yield from _route(resource, context.inventory)
    elif not is_part_of_another(resource) and class_name(resource) != "tailscale":
        yield from _ingress(resource, context.inventory)


def _ingress(resource: Resource, inventory: Inventory) -> Iterator[Violation]:
    controller = controller_of(resource, inventory)
    if has_annotation(resource.annotations, controller) or has_policy(resource, inventory):
        return
    message = f"Ingress {resource.name} has no rate limit"
    why = _why_unknown(resource, controller, inventory)
    if why is None:
        yield Violation(_PLACE, f"{message} by an annotation of its controller ({controller})")
    elif why:
        yield Violation(_PLACE, f"{message}, but {why}", unknown=True)


def _why_unknown(resource: Resource, controller: str | None, inventory: Inventory) -> str | None:
    """Say what else may limit requests; None where nothing may, "" where the ConfigMap does."""
    if controller is None:
        return "its controller is not known"
    if controller in (NGINX, OPENSHIFT):
        named = any(resource.annotations.get(f"nginx.{end}/policies") for end in ("org", "com"))
        return "a Policy that is not among the manifests may do so" if named else None
    if controller == HAPROXY:
        known = configuration(inventory, HAPROXY)
        if known is None:
            return "the controller's ConfigMap may do so for all"
        return "" if any(known[1].get(key) for key in CONFIGURATION_KEYS) else None
    if controller == AWS:
        if any(resource.annotations.get(key) for key in WAF_ANNOTATIONS):
            return "its web ACL may do so"
        if is_configured_alone(resource, inventory):
            return None
    return f"the controller ({controller}) may do so for all"


def _route(resource: Resource, inventory: Inventory) -> Iterator[Violation]:
    rules = [rule for rule, _ in items(resource.spec.get("rules"), "")]
    if is_for_mesh(resource) or (rules and all(map(is_redirect, rules))):
        return
    if not policies_of(resource, inventory, "rateLimit"):
        yield Violation(
            "/spec/rules",
            f"HTTPRoute {resource.name} has no rate limit by a policy here, but the Gateway may",
            unknown=True,
        )
