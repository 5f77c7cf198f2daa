"""The object fits the schema of its kind in the chosen Kubernetes version.

Every field is known, has the right type, and no required field is missing, as the API server's strict
decoding asks for; Kubernetes 1.25 to 1.37. A custom resource is held against the CustomResourceDefinition
of the same run; where there is none its fields are unknown.
https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.api_version import is_built_in
from tidewaiter.rules.rule import ANY, Rule
from tidewaiter.rules.schema.definitions import (
    NEWEST,
    OLDEST,
    definition_of,
    kinds_of_group_version,
)
from tidewaiter.rules.schema.lifecycle import lifecycle_of
from tidewaiter.rules.schema.validate import mistakes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context
    from tidewaiter.rules.schema.validate import Mistake

RULE = Rule(
    name="valid-schema",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="every field is known to the API and has the right type",
    rationale=(
        "A misspelt field is dropped without a word by a lenient client, so the limit or the probe that "
        "it was meant to set is not there; a field of the wrong type is refused at the rollout."
    ),
    remediation=(
        "Correct the field. `kubectl explain` lists those of a kind:\n"
        "# kubectl explain deployment.spec.template.spec.containers"
    ),
    references=(
        "https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation",
        "https://kubernetes.io/docs/reference/kubernetes-api/",
    ),
    applies_to=(ANY,),
    needs_inventory=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each field that does not fit."""
    if not is_built_in(resource.api_version):
        yield from _custom(resource, context)
        return
    definition = definition_of(resource.api_version, resource.kind, context.version)
    if not OLDEST <= context.version <= NEWEST:
        yield Violation(
            "/apiVersion",
            f"the schemas of Kubernetes {context.version[0]}.{context.version[1]} are not known, "
            f"only those of {_text(OLDEST)} to {_text(NEWEST)}",
            unknown=True,
        )
    elif definition is not None:
        for mistake in mistakes(resource.object, definition, context.version[1]):
            yield _violation(mistake)
    elif lifecycle_of(resource.api_version, resource.kind) is None:
        yield from _unknown_kind(resource, context)


def _unknown_kind(resource: Resource, context: Context) -> Iterator[Violation]:
    """Report a kind that its apiVersion never had; one that it had once is for no-deprecated-api."""
    known = kinds_of_group_version(resource.api_version, context.version)
    if not known:
        return
    from tidewaiter.rules.names import nearest_name

    nearest = nearest_name(resource.kind, known)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    yield Violation("/kind", f"{resource.api_version} has no kind {resource.kind!r}{hint}")


def _custom(resource: Resource, context: Context) -> Iterator[Violation]:
    from tidewaiter.rules.schema.custom_resources import custom_mistakes, served_definition

    definition = served_definition(resource, context.inventory)
    if definition is None:
        yield Violation(
            "/kind",
            f"no CustomResourceDefinition of {resource.kind_id} is among the manifests",
            unknown=True,
        )
        return
    for mistake in custom_mistakes(resource, definition):
        yield _violation(mistake)


def _violation(mistake: Mistake) -> Violation:
    if not mistake.nearest:
        return Violation(mistake.pointer, mistake.message, unknown=mistake.is_unknown)
    return Violation(
        mistake.pointer, mistake.message, remediation=f"Write {mistake.nearest!r} for it."
    )


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
