"""Whether an Ingress or a route says that browsers must use TLS (HSTS, RFC 6797).

`True` and `False` are statements of the object itself; None means that it says nothing.
https://www.rfc-editor.org/rfc/rfc6797#section-6.1
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.manifest.ingress import AWS, HAPROXY, NGINX, OPENSHIFT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER = "strict-transport-security"

_SWITCHES = {
    "haproxy-ingress.github.io/hsts": HAPROXY,
    "ingress.kubernetes.io/hsts": HAPROXY,
    "nginx.org/hsts": NGINX,
}
"""Annotations that switch HSTS; each has a sibling `-max-age`."""
_HEADERS = {
    "haproxy.com/response-set-header": HAPROXY,
    "haproxy.org/response-set-header": HAPROXY,
    "haproxy.router.openshift.io/hsts_header": OPENSHIFT,
    "ingress.kubernetes.io/response-set-header": HAPROXY,
    "nginx.ingress.kubernetes.io/configuration-snippet": NGINX,
    "nginx.ingress.kubernetes.io/server-snippet": NGINX,
    "nginx.org/location-snippets": NGINX,
    "nginx.org/server-snippets": NGINX,
}
"""Annotations whose text holds the header, or for OpenShift is its value."""
_LISTENER_ATTRIBUTES = "alb.ingress.kubernetes.io/listener-attributes."
_LISTENER_HEADER = "strict_transport_security.header_value="


def by_annotation(
    annotations: dict[str, Any], controller: str | None
) -> tuple[bool | None, str | None]:
    """Return what annotations that a controller reads say, and which one; None reads them all."""
    for key, value in annotations.items():
        owner = _SWITCHES.get(key)
        if owner is not None and controller in (None, owner):
            on = str(value).lower() == "true" and str(annotations.get(f"{key}-max-age")) != "0"
            return on, key
        owner = _HEADERS.get(key)
        if owner is not None and controller in (None, owner):
            stated = _in_text(text(value), whole=owner == OPENSHIFT)
        elif key.startswith(_LISTENER_ATTRIBUTES) and controller in (None, AWS):
            found = text(value).partition(_LISTENER_HEADER)
            stated = lasts(found[2].partition(",")[0]) if found[1] else None
        else:
            continue
        if stated is not None:
            return stated, key
    return None, None


def by_middleware(spec: dict[str, Any]) -> bool | None:
    """Return what the spec of one Traefik middleware says."""
    headers = mapping(spec.get("headers"))
    seconds = headers.get("stsSeconds")
    if isinstance(seconds, int) and seconds > 0:
        return True
    for name, value in mapping(headers.get("customResponseHeaders")).items():
        if str(name).lower() == HEADER:
            return lasts(text(value))
    return None


def by_filters(filters: object) -> bool | None:
    """Return what the response header filters of a Gateway API rule say."""
    stated: bool | None = None
    for entry, _ in items(filters, ""):
        modifier = mapping(entry.get("responseHeaderModifier"))
        if any(str(name).lower() == HEADER for name in sequence(modifier.get("remove"))):
            stated = False
        for field in ("set", "add"):
            for header, _ in items(modifier.get(field), ""):
                if text(dig(header, "name")).lower() == HEADER:
                    stated = lasts(text(header.get("value")))
    return stated


def lasts(value: str) -> bool:
    """Tell whether a value of the header keeps browsers on TLS: a max-age of 0 ends it."""
    _, found, after = value.lower().partition("max-age")
    digits = after.lstrip(" =\"'")
    age = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    return bool(found) and age.strip("0") != ""


def _in_text(configuration: str, *, whole: bool) -> bool | None:
    if whole:
        return lasts(configuration)
    _, found, value = configuration.lower().partition(HEADER)
    if not found:
        return None
    return lasts(value.partition("\n")[0])
