"""No Secret with its data stands among the manifests.

Restricted fields: data and stringData of Secrets. Allowed: none or empty values, values encrypted by SOPS,
placeholders that the Argo CD Vault plugin fills in. SealedSecret and ExternalSecret are other kinds.
https://kubernetes.io/docs/concepts/security/secrets-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-secret-manifest",
    section="secrets",
    severity="error",
    profiles=("recommended",),
    summary="no Secret with data stands among the manifests",
    rationale=(
        "A Secret's data is encoded, not encrypted: whoever reads the repository, a build log or a backup "
        "has the password, and it stays in the history for good."
    ),
    remediation=(
        "Keep the value in a secret manager and name it here; then change the value:\n"
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: api}\nspec:\n"
        "  refreshInterval: 1h\n  secretStoreRef: {kind: ClusterSecretStore, name: vault}\n"
        "  target: {name: api}\n  dataFrom:\n    - extract: {key: payments/api}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
        "https://external-secrets.io/latest/introduction/getting-started/",
        "https://github.com/bitnami-labs/sealed-secrets",
    ),
    applies_to=("Secret",),
    hides_value=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each field that holds plain data."""
    del context
    for field in ("data", "stringData"):
        values = mapping(resource.object.get(field))
        plain = [key for key, value in values.items() if value and not _is_safe(value, resource)]
        if plain:
            shown = ", ".join(plain[:5]) + (", …" if len(plain) > 5 else "")
            yield Violation(
                f"/{field}", f"Secret {resource.name} stands here with its data (keys: {shown})"
            )


def _is_safe(value: object, resource: Resource) -> bool:
    """Tell whether a value is encrypted, or a placeholder for one that is put in elsewhere."""
    if not isinstance(value, str):
        return False
    if value.startswith("ENC[") and value.endswith("]"):
        return isinstance(resource.object.get("sops"), dict)
    return (
        value.startswith("<") and value.endswith(">") and _is_filled_in_by_plugin(value, resource)
    )


def _is_filled_in_by_plugin(value: str, resource: Resource) -> bool:
    return value.startswith("<path:") or "avp.kubernetes.io/path" in resource.annotations
