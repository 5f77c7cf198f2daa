"""Argo CD keeps what it deploys as git says: synced by itself, drift undone, leftovers removed, retried.

Restricted kinds: Application, and the template of ApplicationSet. Restricted field: spec.syncPolicy.
Allowed: automated with selfHeal and prune, and a retry (spec.syncPolicy.retry; limit is not 0). An automated
sync is tried 5 times where no retry is stated, so that its absence is only noted.
https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.argocd import (
    APPLICATION,
    APPLICATION_SET,
    application_spec,
    is_templated,
    may_be_patched,
)
from tidewaiter.rules.manifest.fields import dig, mapping
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="argocd-sync-policy",
    section="observability",
    severity="warning",
    summary="an Argo CD Application syncs by itself, heals, prunes and retries",
    rationale=(
        "Without selfHeal what someone changed by hand stays changed, and without prune what git no "
        "longer has stays running. A sync that is not retried stops at the first hiccup of a webhook."
    ),
    remediation=(
        "Let Argo CD keep the cluster as git says:\n"
        "spec:\n  syncPolicy:\n    automated:\n      selfHeal: true\n      prune: true\n"
        "    retry:\n      limit: 10\n      backoff: {duration: 10s, factor: 2, maxDuration: 5m}"
    ),
    references=(
        "https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/",
        "https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml",
    ),
    applies_to=(APPLICATION, APPLICATION_SET),
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each thing that the policy leaves out."""
    del context
    spec, pointer = application_spec(resource)
    policy, place = mapping(spec.get("syncPolicy")), f"{pointer}/syncPolicy"
    patched = may_be_patched(resource)
    later = ", unless its template is changed later" if patched else ""
    automated = policy.get("automated")
    if not isinstance(automated, dict) or automated.get("enabled") is False:
        yield Violation(
            f"{place}/automated",
            f"{resource!r} is not synced automatically{later}",
            unknown=patched,
        )
        return
    for field, effect in (
        ("selfHeal", "changes by hand stay"),
        ("prune", "what git no longer has stays"),
    ):
        if automated.get(field) is not True and not is_templated(automated.get(field)):
            yield Violation(
                f"{place}/automated/{field}",
                f"{field} of {resource!r} is not true, so {effect}{later}",
                unknown=patched,
            )
    if dig(policy, "retry", "limit") == 0:
        yield Violation(
            f"{place}/retry/limit", f"retry.limit of {resource!r} is 0: a sync is tried once"
        )
    elif not policy.get("retry") and not patched:
        yield Violation(
            f"{place}/retry",
            f"{resource!r} states no retry, so Argo CD gives up after 5 more tries in some minutes",
            severity="info",
        )
