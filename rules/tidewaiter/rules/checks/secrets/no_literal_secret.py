"""No credential stands in a manifest as plain text.

Restricted fields: env values, command and args of containers; data of ConfigMaps; annotations. Forbidden:
texts in the form of a known credential (private keys, cloud and API tokens, URLs with a password), and
values that a name such as DB_PASSWORD or --api-key says to be one. The value is never shown.
https://kubernetes.io/docs/concepts/security/secrets-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.credential import (
    credential_form,
    is_literal_credential,
    literal_credential,
)
from tidewaiter.rules.manifest.fields import escape, items, mapping, sequence
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Container
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-literal-secret",
    section="secrets",
    severity="error",
    profiles=("recommended",),
    summary="no credential stands in a manifest as plain text",
    rationale=(
        "Who may read the repository, the pod or a build log has the credential, and it cannot be changed "
        "without a rollout."
    ),
    remediation=(
        "Change the credential, keep it in a Secret that a secret manager fills, and name it:\n"
        "env:\n  - name: DB_PASSWORD\n    valueFrom:\n"
        "      secretKeyRef: {name: api-database, key: password}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
        "https://kubernetes.io/docs/tasks/inject-data-application/distribute-credentials-secure/",
    ),
    applies_to=(ANY,),
    hides_value=True,
)

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each text that is or holds a credential."""
    del context
    yield from _annotations(resource.annotations, "/metadata/annotations")
    workload = resource.workload
    if workload is not None:
        if workload.pod_annotations is not resource.annotations:
            yield from _annotations(
                workload.pod_annotations, f"{workload.template_pointer}/metadata/annotations"
            )
        for container in workload.containers:
            yield from _environment(container)
            yield from _arguments(container)
    elif resource.kind_id == "ConfigMap":
        for key, value in mapping(resource.object.get("data")).items():
            if isinstance(value, str):
                found = _in_file(key, value)
                if found:
                    yield Violation(
                        f"/data/{escape(key)}",
                        f"key {key!r} of ConfigMap {resource.name} holds {found}",
                    )


def _annotations(annotations: dict[str, object], pointer: str) -> Iterator[Violation]:
    for key, value in annotations.items():
        if not isinstance(value, str):
            continue
        found = credential_form(value)
        if found is None and key != _LAST_APPLIED and is_literal_credential(key, value):
            found = "a credential as plain text"
        if found:
            yield Violation(f"{pointer}/{escape(key)}", f"annotation {key} holds {found}")


def _environment(container: Container) -> Iterator[Violation]:
    for variable, pointer in items(container.spec.get("env"), f"{container.pointer}/env"):
        name, value = variable.get("name"), variable.get("value")
        if not isinstance(value, str) or not isinstance(name, str) or not value:
            continue
        found = credential_form(value)
        if found is None and is_literal_credential(name, value):
            found = "a credential as plain text"
        if found:
            yield Violation(
                f"{pointer}/value",
                f"variable {name} of container {container.name} holds {found}",
                container.name,
            )


def _arguments(container: Container) -> Iterator[Violation]:
    for field in ("command", "args"):
        before = ""
        for index, argument in enumerate(sequence(container.spec.get(field))):
            if not isinstance(argument, str):
                before = ""
                continue
            found = credential_form(argument)
            if found is None:
                name = literal_credential(argument)
                if (
                    name is None
                    and before.startswith("-")
                    and is_literal_credential(before, argument)
                ):
                    name = before
                found = f"a credential as plain text ({name})" if name else None
            if found:
                yield Violation(
                    f"{container.pointer}/{field}/{index}",
                    f"{field}[{index}] of container {container.name} holds {found}",
                    container.name,
                )
            before = argument if "=" not in argument else ""


def _in_file(key: str, text: str) -> str | None:
    """Say what credential a ConfigMap's value holds, one text or a whole file."""
    found = credential_form(text)
    if found:
        return found
    if "\n" not in text:
        return "a credential as plain text" if is_literal_credential(key, text) else None
    name = literal_credential(text)
    return f"a credential as plain text ({name})" if name else None
