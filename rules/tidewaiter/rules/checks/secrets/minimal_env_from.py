"""No container takes a whole Secret into its environment.

Restricted field of all containers: envFrom[*].secretRef. Allowed: ConfigMaps as a whole, and single keys
by env[*].valueFrom.secretKeyRef, which `no-secret-env` looks at.
https://kubernetes.io/docs/concepts/security/secrets-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.environment import whole_sources_of
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="minimal-env-from",
    section="secrets",
    severity="warning",
    summary="no container takes a whole Secret into its environment",
    rationale=(
        "With envFrom a container has every key of the Secret, those it does not need and those added "
        "later too. A key such as PATH, LD_PRELOAD or HTTP_PROXY then changes how the program runs."
    ),
    remediation=(
        "Take the keys that are needed, best as files:\n"
        "volumes:\n  - name: db\n    secret:\n      secretName: db\n"
        "      items:\n        - {key: password, path: password}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
        "https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-environment-variables",
    ),
    applies_to=(WORKLOAD,),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each Secret that a container takes as a whole."""
    del context
    for container in workload.containers:
        for source in whole_sources_of(container):
            if source.kind == "Secret":
                keys = f"{source.prefix}<key>" if source.prefix else "every key"
                yield Violation(
                    source.pointer,
                    f"container {container.name} takes the whole Secret {source.name} into its "
                    f"environment ({keys} becomes a variable)",
                    container.name,
                )
