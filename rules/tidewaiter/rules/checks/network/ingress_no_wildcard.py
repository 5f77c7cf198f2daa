"""No Ingress takes the traffic of hosts that it does not name.

Restricted fields: spec.rules[*].host (a `*` label, or no host at all) and spec.defaultBackend without
rules. A default backend beside rules is `unknown`: controllers differ in whether it serves other hosts. A
Tailscale Ingress is named by its tls hosts and has a machine of its own, so it catches nothing.
https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import items
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ingress-no-wildcard",
    section="network",
    severity="warning",
    summary="no Ingress takes the traffic of hosts that it does not name",
    rationale=(
        "A wildcard or a rule without a host answers for names that nobody meant to serve: a new "
        "subdomain lands on the wrong service, and one team's Ingress takes another team's traffic."
    ),
    remediation=(
        "Name each host:\n"
        "spec:\n  rules:\n    - host: pay.example.com\n      http:\n        paths:\n"
        "          - path: /\n            pathType: Prefix\n"
        "            backend:\n              service: {name: payments, port: {name: http}}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards",
        "https://kubernetes.io/docs/concepts/services-networking/ingress/#default-backend",
    ),
    applies_to=("Ingress.networking.k8s.io",),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each rule without a plain host, and for a default backend."""
    del context
    spec = resource.spec
    if spec.get("ingressClassName") == "tailscale":
        return
    rules = list(items(spec.get("rules"), "/spec/rules"))
    for rule, pointer in rules:
        host = rule.get("host")
        if host is None or host == "":
            yield Violation(pointer, "this rule has no host, so it takes the traffic of every host")
        elif isinstance(host, str) and "*" in host:
            yield Violation(f"{pointer}/host", f"host {host} is a wildcard")
    field = next((name for name in ("defaultBackend", "backend") if spec.get(name)), None)
    if field is None:
        return
    if rules:
        yield Violation(
            f"/spec/{field}",
            f"{field} stands beside rules, and may serve hosts that no rule names",
            unknown=True,
        )
    else:
        yield Violation(f"/spec/{field}", f"{field} without rules takes the traffic of every host")
