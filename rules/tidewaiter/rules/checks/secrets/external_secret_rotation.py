"""What is taken from an external store follows when it changes there.

Restricted fields of ExternalSecret and, below externalSecretSpec, of ClusterExternalSecret: refreshPolicy,
refreshInterval, data[*].remoteRef.version, the kinds of stores; of SecretProviderClass:
parameters.objects; of the Secrets Store CSI driver: the flag enable-secret-rotation. Allowed values:
Periodic with an interval above 0 (both the default: 1h), no fixed version, the policy's kinds of stores,
rotation turned on. Passwords and keys that the operator generates itself may be made once.
https://external-secrets.io/latest/api/externalsecret/
https://secrets-store-csi-driver.sigs.k8s.io/topics/secret-auto-rotation
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.secrets_store import (
    SECRET_PROVIDER_CLASS,
    driver_container,
    pinned_version,
    rotation_flag,
)
from tidewaiter.rules.rule import Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_DRIVER_REMEDY = (
    "Turn rotation on (with the Helm chart: enableSecretRotation: true); from v1.6.0 the CSIDriver needs "
    "requiresRepublish: true as well:\nargs:\n  - --enable-secret-rotation=true\n"
    "  - --rotation-poll-interval=2m"
)
_PIN_REMEDY = "Leave the version out, so that the newest one is taken."

RULE = Rule(
    name="external-secret-rotation",
    section="secrets",
    severity="warning",
    summary="what comes from an external secret store is read again when it changes there",
    rationale=(
        "A password that is rotated in the store and not in the cluster locks the service out, or keeps "
        "the old one in use, and a rotation after a leak changes nothing."
    ),
    remediation=(
        "Let the operator read the store again at an interval:\n"
        "spec:\n  refreshPolicy: Periodic\n  refreshInterval: 1h"
    ),
    references=(
        "https://external-secrets.io/latest/api/externalsecret/",
        "https://secrets-store-csi-driver.sigs.k8s.io/topics/secret-auto-rotation",
    ),
    applies_to=(
        "ExternalSecret.external-secrets.io",
        "ClusterExternalSecret.external-secrets.io",
        SECRET_PROVIDER_CLASS,
        "DaemonSet.apps",
    ),
    needs_inventory=True,
    parameters=(
        Parameter(
            "storeKinds",
            "strings",
            ("ClusterSecretStore", "SecretStore"),
            "kinds of stores that an ExternalSecret may read",
            stricter="less",
        ),
    ),
)

_NEVER_AGAIN = {
    "CreatedOnce": "the Secret is never updated once it is there",
    "OnChange": "the store is read only when the ExternalSecret itself changes",
}
_MADE_ONCE = frozenset({"ClusterGenerator", "Fake", "Password", "SSHKey", "UUID"})
"""Generators of new values: to refresh them would change a password that no store knows."""
_HEXADECIMAL = frozenset("0123456789abcdef")


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield one violation for each setting that keeps a value from being read again."""
    if resource.kind == "DaemonSet":
        yield from _of_driver(resource)
    elif resource.kind == "SecretProviderClass":
        yield from _of_class(resource, context.inventory)
    elif resource.kind == "ClusterExternalSecret":
        spec = mapping(resource.spec.get("externalSecretSpec"))
        yield from _of_external_secret(spec, "/spec/externalSecretSpec", context)
    else:
        yield from _of_external_secret(resource.spec, "/spec", context)


def _of_external_secret(
    spec: dict[str, Any], pointer: str, context: Context
) -> Iterator[Violation]:
    policy = text(spec.get("refreshPolicy"))
    if not _is_made_once(spec):
        if policy in _NEVER_AGAIN:
            yield Violation(
                f"{pointer}/refreshPolicy", f"refreshPolicy is {policy}: {_NEVER_AGAIN[policy]}"
            )
        else:
            problem = _interval_problem(spec.get("refreshInterval"))
            if problem:
                yield Violation(f"{pointer}/refreshInterval", problem)
        for entry, place in items(spec.get("data"), f"{pointer}/data"):
            version = dig(entry, "remoteRef", "version")
            if _is_pinned(text(version)):
                yield Violation(
                    f"{place}/remoteRef/version",
                    f"key {text(entry.get('secretKey'))!r} is kept at version {version!r}",
                    remediation=_PIN_REMEDY,
                )
    allowed = context.parameters["storeKinds"]
    for reference, place in _stores(spec, pointer):
        kind = text(reference.get("kind")) or "SecretStore"
        if kind not in allowed:
            yield Violation(
                f"{place}/kind",
                f"the store {text(reference.get('name'))} is a {kind}; allowed: "
                f"{', '.join(allowed) or 'none'}",
                remediation="Read a store of a kind that the policy allows (parameter storeKinds).",
            )


def _interval_problem(interval: object) -> str | None:
    """Say why nothing is read again at this interval; without one it is an hour."""
    if isinstance(interval, int) and not isinstance(interval, bool) and interval == 0:
        return "refreshInterval is 0: the store is read once and never again"
    if not isinstance(interval, str):
        return None
    from tidewaiter.rules.manifest.duration import InvalidDuration, parse_duration

    try:
        nanoseconds = parse_duration(interval)
    except InvalidDuration as error:
        return f"refreshInterval {error}"
    if nanoseconds > 0:
        return None
    return f"refreshInterval is {interval}: the store is read once and never again"


def _is_made_once(spec: dict[str, Any]) -> bool:
    """Tell whether all values come from generators that make a new one each time."""
    sources = [
        text(dig(entry, "sourceRef", "generatorRef", "kind"))
        for entry, _ in items(spec.get("dataFrom"), "")
    ]
    return bool(sources) and not spec.get("data") and _MADE_ONCE.issuperset(sources)


def _is_pinned(version: str) -> bool:
    """Tell whether a version is a fixed one: a number, an AWS `uuid/...` or an id of Azure.

    Stages of AWS (AWSCURRENT) and `latest` move.
    """
    return (
        version.isdigit()
        or version.startswith("uuid/")
        or (len(version) == 32 and _HEXADECIMAL.issuperset(version))
    )


def _stores(spec: dict[str, Any], pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each reference to a store with its place."""
    main = mapping(spec.get("secretStoreRef"))
    if main:
        yield main, f"{pointer}/secretStoreRef"
    for field in ("data", "dataFrom"):
        for entry, place in items(spec.get(field), f"{pointer}/{field}"):
            reference = mapping(dig(entry, "sourceRef", "storeRef"))
            if reference:
                yield reference, f"{place}/sourceRef/storeRef"


def _of_class(resource: Resource, inventory: Inventory) -> Iterator[Violation]:
    version = pinned_version(text(dig(resource.spec, "parameters", "objects")))
    if version is not None:
        yield Violation(
            "/spec/parameters/objects",
            f"an object of SecretProviderClass {resource.name} is kept at version {version!r}",
            remediation=_PIN_REMEDY,
        )
    elif not inventory.once(_has_driver):
        yield Violation(
            "/spec/provider",
            "whether its objects are read again depends on the Secrets Store CSI driver, which is not "
            "among the manifests",
            unknown=True,
            remediation=_DRIVER_REMEDY,
        )


def _has_driver(inventory: Inventory) -> bool:
    return any(
        resource.workload is not None and driver_container(resource.workload) is not None
        for resource in inventory.of_kind("DaemonSet.apps")
    )


def _of_driver(resource: Resource) -> Iterator[Violation]:
    container = driver_container(resource.workload) if resource.workload is not None else None
    if container is None:
        return
    rotates, pointer = rotation_flag(container)
    if not rotates:
        yield Violation(
            pointer,
            "the Secrets Store CSI driver does not rotate: --enable-secret-rotation is not true",
            container.name,
            remediation=_DRIVER_REMEDY,
        )
