"""How an Ingress asks its controller to limit requests.

https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#rate-limiting,
https://docs.nginx.com/nginx-ingress-controller/configuration/policy-resource/#ratelimit,
https://haproxy-ingress.github.io/docs/configuration/keys/#limit and
https://docs.konghq.com/kubernetes-ingress-controller/latest/reference/annotations/
"""

from __future__ import annotations

from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import text
from tidewaiter.rules.manifest.ingress import HAPROXY, NGINX, OPENSHIFT
from tidewaiter.rules.traefik import middlewares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

_LIMITS = {
    "haproxy-ingress.github.io/limit-connections": HAPROXY,
    "haproxy-ingress.github.io/limit-rps": HAPROXY,
    "haproxy.com/rate-limit-requests": HAPROXY,
    "haproxy.org/rate-limit-requests": HAPROXY,
    "haproxy.router.openshift.io/rate-limit-connections.concurrent-tcp": OPENSHIFT,
    "haproxy.router.openshift.io/rate-limit-connections.rate-http": OPENSHIFT,
    "haproxy.router.openshift.io/rate-limit-connections.rate-tcp": OPENSHIFT,
    "ingress.kubernetes.io/limit-connections": HAPROXY,
    "ingress.kubernetes.io/limit-rps": HAPROXY,
    "ingress.kubernetes.io/rate-limit-requests": HAPROXY,
    "nginx.ingress.kubernetes.io/global-rate-limit": NGINX,
    "nginx.ingress.kubernetes.io/limit-connections": NGINX,
    "nginx.ingress.kubernetes.io/limit-rpm": NGINX,
    "nginx.ingress.kubernetes.io/limit-rps": NGINX,
    "nginx.org/limit-req-rate": NGINX,
}
"""Annotations that state a limit, of which 0 is none."""
_OPENSHIFT_SWITCH = "haproxy.router.openshift.io/rate-limit-connections"
_NGINX_SNIPPETS = (
    "nginx.ingress.kubernetes.io/configuration-snippet",
    "nginx.ingress.kubernetes.io/server-snippet",
    "nginx.org/location-snippets",
    "nginx.org/server-snippets",
)
_POLICY_ANNOTATIONS = ("nginx.org/policies", "nginx.com/policies")
_PLUGINS_ANNOTATION = "konghq.com/plugins"

CONFIGURATION_KEYS = ("rate-limit-requests", "limit-rps", "limit-connections")
"""Keys of HAProxy's ConfigMaps that limit requests to every Ingress."""
WAF_ANNOTATIONS = (
    "alb.ingress.kubernetes.io/waf-acl-id",
    "alb.ingress.kubernetes.io/wafv2-acl-arn",
    "alb.ingress.kubernetes.io/wafv2-acl-name",
    "alb.ingress.kubernetes.io/web-acl-id",
)
"""Annotations that put a web ACL of AWS before an Ingress."""


def has_annotation(annotations: dict[str, Any], controller: str | None) -> bool:
    """Tell whether an annotation that the controller reads states a limit; None reads them all."""
    for key, value in annotations.items():
        owner = _LIMITS.get(key)
        if owner is None or controller not in (None, owner):
            continue
        if owner == OPENSHIFT and annotations.get(_OPENSHIFT_SWITCH) not in ("true", True):
            continue
        if _is_limit(value):
            return True
    return controller in (None, NGINX) and any(
        "limit_req " in text(annotations.get(key)) for key in _NGINX_SNIPPETS
    )


def has_policy(ingress: Resource, inventory: Inventory) -> bool:
    """Tell whether a middleware of Traefik, a policy of NGINX or a plugin of Kong states a limit."""
    if any(
        "rateLimit" in spec or "inFlightReq" in spec
        for spec in middlewares(ingress, inventory)
        if spec is not None
    ):
        return True
    for annotation in _POLICY_ANNOTATIONS:
        for name in _names(ingress, annotation):
            namespace, _, short = name.rpartition("/")
            policy = inventory.get(
                "Policy.k8s.nginx.org", namespace or namespace_of(ingress), short
            )
            if policy is not None and policy.spec.get("rateLimit"):
                return True
    for name in _names(ingress, _PLUGINS_ANNOTATION):
        namespace, _, short = name.rpartition(":")
        plugin = inventory.get(
            "KongPlugin.configuration.konghq.com", namespace or namespace_of(ingress), short
        ) or inventory.find("KongClusterPlugin.configuration.konghq.com", short)
        if plugin is not None and "rate" in text(plugin.object.get("plugin")):
            return True
    return False


def _names(ingress: Resource, annotation: str) -> Iterator[str]:
    for name in text(ingress.annotations.get(annotation)).split(","):
        if name.strip():
            yield name.strip()


def _is_limit(value: object) -> bool:
    """Tell whether a limit such as `20` or `20r/s` is more than zero."""
    stated = str(value).strip()
    digits = stated[: len(stated) - len(stated.lstrip("0123456789"))]
    return digits.strip("0") != ""
