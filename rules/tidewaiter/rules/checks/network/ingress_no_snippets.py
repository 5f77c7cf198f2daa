"""No Ingress carries a piece of the controller's own configuration.

Restricted annotations: every one whose name ends in `-snippet` or `-snippets`, such as
nginx.ingress.kubernetes.io/{configuration,server,stream,auth,modsecurity}-snippet,
nginx.org/{server,location}-snippets and haproxy.org/backend-config-snippet. Allowed: an empty value.
https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations-risk/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import escape
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="ingress-no-snippets",
    section="network",
    severity="error",
    profiles=("recommended",),
    summary="no Ingress carries configuration snippets",
    rationale=(
        "A snippet is put into the controller's configuration as it is: whoever may write an Ingress "
        "can read the controller's token and every TLS key with it (CVE-2021-25742), or break all "
        "other Ingresses."
    ),
    remediation=(
        "Use the controller's annotation for the purpose, for example:\n"
        "metadata:\n  annotations:\n"
        '    nginx.ingress.kubernetes.io/proxy-body-size: "8m"'
    ),
    references=(
        "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations-risk/",
        "https://nvd.nist.gov/vuln/detail/CVE-2021-25742",
        "https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/advanced-configuration-with-snippets/",
    ),
    applies_to=("Ingress.networking.k8s.io",),
)


_MOST_NAMES = 3


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each snippet annotation with a value."""
    del context
    for key, value in resource.annotations.items():
        if not key.endswith(("-snippet", "-snippets")) or "/" not in key:
            continue
        if isinstance(value, str) and value.strip():
            yield Violation(
                f"/metadata/annotations/{escape(key)}",
                f"annotation {key} puts its own text into the controller's configuration "
                f"({_directives(value)})",
            )


def _directives(snippet: str) -> str:
    """Name what a snippet sets, without what it sets it to, which may be a credential."""
    words = [line.split()[0].rstrip(";{") for line in snippet.splitlines() if line.strip()]
    names = dict.fromkeys(
        word[:40] for word in words if word.isascii() and word.replace("_", "").isalpha()
    )
    shown = ", ".join(list(names)[:_MOST_NAMES]) or "no directive"
    return f"{shown}, …" if len(names) > _MOST_NAMES else shown
