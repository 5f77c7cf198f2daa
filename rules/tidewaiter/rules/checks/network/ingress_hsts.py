"""The edge tells browsers to come back by TLS only (HSTS).

Allowed on an Ingress: the annotation of its controller that sets the header, of HAProxy, NGINX,
OpenShift or the AWS load balancer, or a Traefik middleware with headers.stsSeconds. Allowed on each rule
of an HTTPRoute that is not a redirect: a ResponseHeaderModifier filter that sets
Strict-Transport-Security. Not allowed: to switch it off, a max-age of 0, and a controller's ConfigMap
among the manifests that leaves it off. Where controllers set it for all Ingresses at once, and their own
configuration is not among the manifests, the answer is `unknown`.
https://www.rfc-editor.org/rfc/rfc6797
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.gateway_route import KINDS, is_for_mesh, is_redirect
from tidewaiter.rules.manifest.fields import escape, items
from tidewaiter.rules.manifest.ingress import (
    AWS,
    NGINX,
    OPENSHIFT,
    TRAEFIK,
    class_name,
    configuration,
    controller_of,
    is_configured_alone,
    is_part_of_another,
)
from tidewaiter.rules.manifest.transport_security import by_annotation, by_filters, by_middleware
from tidewaiter.rules.rule import Rule
from tidewaiter.rules.traefik import MIDDLEWARES_ANNOTATION, middlewares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ingress-hsts",
    section="network",
    severity="warning",
    summary="the edge sets Strict-Transport-Security",
    rationale=(
        "A browser that was never told to insist on TLS can be led back to plain HTTP by whoever sits on "
        "the way, before any redirect reaches it."
    ),
    remediation=(
        "Set the header where the controller has an annotation for it, for example:\n"
        "metadata:\n  annotations:\n"
        '    haproxy-ingress.github.io/hsts: "true" # HAProxy Ingress\n'
        '    nginx.org/hsts: "true" # NGINX; ingress-nginx takes hsts from its ConfigMap\n'
        "or in each rule of an HTTPRoute:\n"
        "filters:\n  - type: ResponseHeaderModifier\n    responseHeaderModifier:\n      set:\n"
        "        - name: Strict-Transport-Security\n          value: max-age=31536000"
    ),
    references=(
        "https://www.rfc-editor.org/rfc/rfc6797",
        "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/configmap/#hsts",
        "https://doc.traefik.io/traefik/middlewares/http/headers/",
        "https://gateway-api.sigs.k8s.io/guides/http-header-modifier/",
    ),
    applies_to=("Ingress.networking.k8s.io", KINDS[0]),
    needs_inventory=True,
)

_PLACE = "/metadata/annotations"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for an Ingress, and one for each rule of an HTTPRoute."""
    if resource.kind == "HTTPRoute":
        yield from _route(resource)
    elif not is_part_of_another(resource) and class_name(resource) != "tailscale":
        yield from _ingress(resource, context.inventory)


def _ingress(resource: Resource, inventory: Inventory) -> Iterator[Violation]:
    controller = controller_of(resource, inventory)
    stated, key = by_annotation(resource.annotations, controller)
    if stated is not None and key is not None:
        if not stated:
            yield Violation(
                f"{_PLACE}/{escape(key)}",
                f"Ingress {resource.name} switches Strict-Transport-Security off ({key})",
            )
        return
    if controller in (None, TRAEFIK) and MIDDLEWARES_ANNOTATION in resource.annotations:
        found = [
            None if one is None else by_middleware(one) for one in middlewares(resource, inventory)
        ]
        said = [one for one in found if one is not None]
        if said:
            if not any(said):
                yield Violation(
                    f"{_PLACE}/{escape(MIDDLEWARES_ANNOTATION)}",
                    f"a middleware of Ingress {resource.name} ends Strict-Transport-Security "
                    "(max-age is 0)",
                )
            return
    yield from _unstated(resource, controller, inventory)


def _unstated(
    resource: Resource, controller: str | None, inventory: Inventory
) -> Iterator[Violation]:
    """Answer for an Ingress that says nothing itself."""
    message = f"Ingress {resource.name} does not set Strict-Transport-Security"
    known = configuration(inventory, NGINX) if controller == NGINX else None
    if known is not None:
        name, data = known
        # ingress-nginx sets the header by itself, NGINX's own controller does not.
        default = "false" if name in ("nginx-config", "nginx-ingress") else "true"
        if str(data.get("hsts", default)).lower() != "true" or str(data.get("hsts-max-age")) == "0":
            yield Violation(_PLACE, f"{message}, nor does the controller by its ConfigMap {name}")
    elif controller == OPENSHIFT or (
        controller == AWS and is_configured_alone(resource, inventory)
    ):
        yield Violation(_PLACE, f"{message}, and its controller does so only by annotation")
    else:
        who = (
            f"the controller ({controller})"
            if controller
            else "the controller, which is not known,"
        )
        yield Violation(_PLACE, f"{message}, but {who} may do so for all", unknown=True)


def _route(resource: Resource) -> Iterator[Violation]:
    if is_for_mesh(resource):
        return
    for rule, pointer in items(resource.spec.get("rules"), "/spec/rules"):
        if is_redirect(rule):
            continue
        index = pointer.rpartition("/")[2]
        stated = by_filters(rule.get("filters"))
        backends = [backend for backend, _ in items(rule.get("backendRefs"), "")]
        if stated is False:
            yield Violation(
                f"{pointer}/filters", f"rule {index} takes Strict-Transport-Security out of answers"
            )
        elif stated is None and not all(by_filters(one.get("filters")) for one in backends):
            yield Violation(
                f"{pointer}/filters",
                f"rule {index} does not set Strict-Transport-Security, but the Gateway may do so",
                unknown=True,
            )
