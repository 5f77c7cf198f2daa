"""Every host of an Ingress is served over TLS, and so is every listener of a Gateway.

Ingress: each spec.rules[*].host is in spec.tls[*].hosts, by itself or under a wildcard of one label, of
an entry with a secretName; an entry without hosts stands for all. A rule without a host needs any such
entry. Certificates that the controller takes from elsewhere (AWS, GKE, Azure, OpenShift, Traefik
annotations, TLS passed through to the pods) are fine; minions and canaries share the TLS of another
Ingress and are passed over.
Gateway: spec.listeners[*].protocol is HTTPS or TLS with certificateRefs, options or mode Passthrough. An
HTTP listener beside an HTTPS one is `unknown`: it may only redirect.
https://kubernetes.io/docs/concepts/services-networking/ingress/#tls and
https://gateway-api.sigs.k8s.io/guides/tls/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ingress-tls",
    section="network",
    severity="error",
    profiles=("recommended",),
    summary="every host of an Ingress and every listener of a Gateway is served over TLS",
    rationale=(
        "What is sent without TLS can be read and changed on its way: passwords, sessions and card "
        "data included."
    ),
    remediation=(
        "List the host under tls with the Secret of its certificate:\n"
        "spec:\n  tls:\n    - hosts: [shop.example.com]\n      secretName: shop-tls"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/ingress/#tls",
        "https://gateway-api.sigs.k8s.io/guides/tls/",
    ),
    applies_to=("Ingress.networking.k8s.io", "Gateway.gateway.networking.k8s.io"),
)

_CERTIFICATE_ANNOTATIONS = (
    "alb.ingress.kubernetes.io/certificate-arn",
    "appgw.ingress.kubernetes.io/appgw-ssl-certificate",
    "ingress.gcp.kubernetes.io/pre-shared-cert",
    "kubernetes.io/ingress.global-certificate",
    "networking.gke.io/certmap",
    "networking.gke.io/managed-certificates",
    "route.openshift.io/termination",
    "traefik.ingress.kubernetes.io/router.tls.certresolver",
)
"""Annotations by which a controller takes the certificate from elsewhere."""
_ENABLING_ANNOTATIONS = (
    "haproxy-ingress.github.io/ssl-passthrough",
    "haproxy.org/ssl-passthrough",
    "nginx.ingress.kubernetes.io/canary",
    "nginx.ingress.kubernetes.io/ssl-passthrough",
    "traefik.ingress.kubernetes.io/router.tls",
)
"""Annotations that do so with the value "true"."""
_LISTEN_PORTS = "alb.ingress.kubernetes.io/listen-ports"
_MERGEABLE = "nginx.org/mergeable-ingress-type"
_GATEWAY_REMEDIATION = (
    "Give the listener a certificate:\n"
    "listeners:\n  - name: https\n    port: 443\n    protocol: HTTPS\n"
    "    tls:\n      certificateRefs:\n        - name: shop-tls"
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each host or listener without TLS."""
    del context
    if resource.kind == "Gateway":
        yield from _gateway(resource)
    elif not _has_tls_by_annotation(resource):
        yield from _ingress(resource)


def _has_tls_by_annotation(resource: Resource) -> bool:
    annotations = resource.annotations
    if any(annotations.get(key) for key in _CERTIFICATE_ANNOTATIONS):
        return True
    if any(annotations.get(key) in ("true", True) for key in _ENABLING_ANNOTATIONS):
        return True
    # With an HTTPS port and no ARN the AWS controller finds the certificate by host.
    if "HTTPS" in text(annotations.get(_LISTEN_PORTS)):
        return True
    return annotations.get(_MERGEABLE) == "minion"


def _ingress(resource: Resource) -> Iterator[Violation]:
    spec = resource.spec
    entries = [entry for entry in sequence(spec.get("tls")) if isinstance(entry, dict)]
    with_secret = [entry for entry in entries if text(entry.get("secretName"))]
    # Tailscale makes a certificate for each tls host and takes no Secret.
    if spec.get("ingressClassName") == "tailscale":
        with_secret = entries
    rules = list(items(spec.get("rules"), "/spec/rules"))
    if not rules and (spec.get("defaultBackend") or spec.get("backend")) and not with_secret:
        field = "defaultBackend" if spec.get("defaultBackend") else "backend"
        yield Violation(f"/spec/{field}", "the default backend is served without tls")
    seen = set()
    for rule, pointer in rules:
        if not isinstance(rule.get("host", ""), str):
            continue
        host: str = rule.get("host", "")
        if host in seen or _is_covered(host, with_secret):
            continue
        seen.add(host)
        if not host:
            yield Violation(pointer, "this rule for every host is served without tls")
        elif _is_covered(host, entries):
            yield Violation(f"{pointer}/host", f"the tls entry of host {host} has no secretName")
        else:
            yield Violation(f"{pointer}/host", f"host {host} is not under tls")


def _is_covered(host: str, entries: list[dict[str, Any]]) -> bool:
    for entry in entries:
        hosts = sequence(entry.get("hosts"))
        if not host or not hosts:
            return True
        for name in hosts:
            if name == host:
                return True
            # A wildcard stands for exactly one label, and not for a wildcard host.
            if isinstance(name, str) and name.startswith("*.") and not host.startswith("*"):
                if host.partition(".")[2] == name[2:]:
                    return True
    return False


def _gateway(resource: Resource) -> Iterator[Violation]:
    if any(resource.annotations.get(key) for key in _CERTIFICATE_ANNOTATIONS):
        return
    listeners = list(items(resource.spec.get("listeners"), "/spec/listeners"))
    secure = any(listener.get("protocol") in ("HTTPS", "TLS") for listener, _ in listeners)
    for listener, pointer in listeners:
        name, protocol = text(listener.get("name")), listener.get("protocol")
        if protocol == "HTTP" and secure:
            yield Violation(
                f"{pointer}/protocol",
                f"listener {name} has no TLS (protocol: HTTP), but it may only redirect",
                unknown=True,
                remediation=_GATEWAY_REMEDIATION,
            )
        elif protocol == "HTTP":
            yield Violation(
                f"{pointer}/protocol",
                f"listener {name} has no TLS (protocol: HTTP)",
                remediation=_GATEWAY_REMEDIATION,
            )
        elif protocol in ("HTTPS", "TLS") and not _has_certificate(listener):
            yield Violation(
                f"{pointer}/tls",
                f"listener {name} has no certificate (tls.certificateRefs)",
                remediation=_GATEWAY_REMEDIATION,
            )


def _has_certificate(listener: dict[str, Any]) -> bool:
    tls = mapping(listener.get("tls"))
    return bool(
        tls.get("mode") == "Passthrough" or dig(tls, "options") or tls.get("certificateRefs")
    )
