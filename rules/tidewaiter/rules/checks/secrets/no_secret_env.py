"""Secrets reach a container as files and not as environment variables.

Restricted fields of all containers: env[*].valueFrom.secretKeyRef, envFrom[*].secretRef. Allowed: Secrets
that the policy lists, for programs that read nothing but variables.
https://kubernetes.io/docs/concepts/security/secrets-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.environment import variables_of, whole_sources_of
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-secret-env",
    section="secrets",
    severity="warning",
    summary="Secrets are mounted as files and not put into environment variables",
    rationale=(
        "Every child process inherits the variables, and crash reports, debug pages and /proc show them. "
        "They keep their value until the pod is replaced, while a mounted Secret follows a rotation."
    ),
    remediation=(
        "Mount the Secret and read the file; many images take its path in a variable that ends in _FILE:\n"
        "volumes:\n  - name: db\n    secret: {secretName: db, defaultMode: 0440}\n"
        "containers:\n  - name: api\n    volumeMounts:\n"
        "      - {name: db, mountPath: /run/secrets/db, readOnly: true}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod",
        "https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "allowed",
            "strings",
            (),
            "globs of Secrets, as namespace/name, that may be given by variables",
            stricter="less",
        ),
    ),
    tags=("anti-pattern",),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each variable, and each whole Secret, of the environment."""
    allowed = context.parameters["allowed"]
    namespace = namespace_of(workload.resource)
    for container in workload.containers:
        for variable in variables_of(container):
            secret = variable.secret
            if secret and not matches_any(f"{namespace}/{secret}", allowed):
                yield Violation(
                    f"{variable.pointer}/valueFrom/secretKeyRef",
                    f"container {container.name} has key {variable.key!r} of Secret {secret} in "
                    f"variable {variable.name}",
                    container.name,
                )
        for source in whole_sources_of(container):
            if source.kind == "Secret" and not matches_any(f"{namespace}/{source.name}", allowed):
                yield Violation(
                    source.pointer,
                    f"container {container.name} has all keys of Secret {source.name} in its "
                    "variables",
                    container.name,
                )
