"""No credential stands in a manifest as plain text.

Restricted fields: env values, command, args, exec probes and hooks of containers; ConfigMaps; annotations. Forbidden:
texts in the form of a known credential (private keys, cloud and API tokens, URLs with a password), and
values that a name such as DB_PASSWORD or --api-key says to be one. The value is never shown.
https://kubernetes.io/docs/concepts/security/secrets-good-practices/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.assignment import assigned_credential
from tidewaiter.rules.manifest.credential import credential_form, is_literal_credential
from tidewaiter.rules.manifest.fields import dig, escape, items, mapping, sequence, text
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
_PLAIN = "a credential as plain text"
_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each text that is or holds a credential."""
    del context
    yield from _annotations(resource.annotations, "/metadata/annotations")
    yield from _fields(resource)


def _fields(resource: Resource) -> Iterator[Violation]:
    workload = resource.workload
    if workload is not None:
        if workload.template_pointer:
            yield from _annotations(
                workload.pod_annotations, f"{workload.template_pointer}/metadata/annotations"
            )
        for container in workload.containers:
            yield from _environment(container)
            for command, pointer in _commands(container):
                yield from _arguments(command, pointer, container)
    elif resource.kind_id == "ConfigMap":
        for field in ("data", "binaryData"):
            for key, value in mapping(resource.object.get(field)).items():
                found = _in_text(key, value) if field == "data" else _form(value)
                if found:
                    yield Violation(
                        f"/{field}/{escape(key)}",
                        f"key {key!r} of ConfigMap {resource.name} holds {found}",
                    )


def _annotations(annotations: dict[str, object], pointer: str) -> Iterator[Violation]:
    for key, value in annotations.items():
        found = _in_last_applied(value) if key == _LAST_APPLIED else _in_text(key, value)
        if found:
            yield Violation(f"{pointer}/{escape(key)}", f"annotation {key} holds {found}")


def _in_last_applied(value: object) -> str | None:
    """Say what credential kubectl's copy of the object holds; a Secret's whole data is in it."""
    if not isinstance(value, str):
        return None
    from json import loads

    from tidewaiter.rules.manifest.resource import Resource

    try:
        applied = loads(value)
    except (ValueError, RecursionError):
        return credential_form(value)
    if not isinstance(applied, dict):
        return None
    if applied.get("kind") == "Secret" and (applied.get("data") or applied.get("stringData")):
        return "the data of a Secret"
    return _PLAIN if next(_fields(Resource(applied)), None) else credential_form(value)


def _environment(container: Container) -> Iterator[Violation]:
    for variable, pointer in items(container.spec.get("env"), f"{container.pointer}/env"):
        found = _in_text(text(variable.get("name")), variable.get("value"), in_variable=True)
        if found:
            yield Violation(
                f"{pointer}/value",
                f"variable {variable.get('name')} of container {container.name} holds {found}",
                container.name,
            )


def _commands(container: Container) -> Iterator[tuple[list[object], str]]:
    """Yield what the container, its probes and its hooks run, with the pointer of each list."""
    spec, pointer = container.spec, container.pointer
    for field in ("command", "args"):
        yield sequence(spec.get(field)), f"{pointer}/{field}"
    for field in _PROBES:
        if field in spec:
            command = dig(spec, field, "exec", "command")
            yield sequence(command), f"{pointer}/{field}/exec/command"
    if "lifecycle" in spec:
        for field in _HOOKS:
            command = dig(spec, "lifecycle", field, "exec", "command")
            yield sequence(command), f"{pointer}/lifecycle/{field}/exec/command"


def _arguments(command: list[object], pointer: str, container: Container) -> Iterator[Violation]:
    before = ""
    for index, argument in enumerate(command):
        if not isinstance(argument, str):
            before = ""
            continue
        found = _form(argument) or _in_argument(argument, before)
        if found:
            place = pointer.removeprefix(container.pointer + "/").replace("/", ".")
            yield Violation(
                f"{pointer}/{index}",
                f"{place}[{index}] of container {container.name} holds {found}",
                container.name,
            )
        before = argument if argument.startswith("-") and _is_word(argument) else ""


def _in_argument(argument: str, before: str) -> str | None:
    """Say what credential an argument holds, given the flag before it."""
    name, equals, value = argument.partition("=")
    if equals and _is_word(name) and is_literal_credential(name, value):
        return f"{_PLAIN} ({name})"
    if before and not argument.startswith("-") and is_literal_credential(before, argument):
        return f"{_PLAIN} ({before})"
    return _assigned(argument)


def _is_word(argument: str) -> bool:
    """Tell whether an argument is nothing but the name of a flag or variable, fit to be shown."""
    return len(argument) <= 60 and not argument.strip(_NAME_CHARACTERS)


def _in_text(name: str, value: object, *, in_variable: bool = False) -> str | None:
    """Say what credential a text of this name holds, be it one value or a whole file."""
    if not isinstance(value, str) or not value:
        return None
    found = credential_form(value)
    if found is None and is_literal_credential(name, value.strip(), in_variable=in_variable):
        found = _PLAIN
    return found or _assigned(value, name)


def _assigned(value: str, key: str = "") -> str | None:
    if "=" not in value and ":" not in value and "\n" not in value and " " not in value:
        return None
    name = assigned_credential(value, key)
    return f"{_PLAIN} ({name})" if name else None


def _form(value: object) -> str | None:
    return credential_form(value) if isinstance(value, str) else None
