"""An object in the form in which the API server writes it down: no empty fields, no unknown ones.

Reading JSON into its types and writing it again drops what says nothing (`readOnly: false`, `env: []`) and
writes a quantity in its canonical form.
https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.manifest.quantity import InvalidQuantity, canonical
from tidewaiter.rules.schema.definitions import definition_of, fields_in

_KEPT_TEXTS = frozenset(
    ["storageClassName", "type", "ingressClassName", "volumeAttributesClassName", "service"]
)
"""Optional texts that are written even when empty: an empty one is a statement of its own."""
_DROPPED_BOOLEANS = frozenset(
    [
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "readOnly",
        "tty",
        "stdin",
        "stdinOnce",
        "paused",
        "unschedulable",
        "publishNotReadyAddresses",
        "exactSSL",
        "shareProcessNamespaceWithHost",
        "sslEnabled",
        "chapAuthDiscovery",
        "chapAuthSession",
    ]
)
"""Booleans whose false is not written; that of others, such as allowPrivilegeEscalation, is."""
_DROPPED_NUMBERS = frozenset(
    [
        "nodePort",
        "hostPort",
        "initialDelaySeconds",
        "minReadySeconds",
        "healthCheckNodePort",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ]
)
"""Numbers whose zero is not written; that of others, such as replicas, is."""


def stored_form(value: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """Return an object of one of Kubernetes' own kinds as it is written down, others as they are."""
    api_version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return value
    definition = definition_of(api_version, kind, version)
    return _object(value, definition, version[1]) if definition else value


def _object(value: dict[str, Any], definition: str, minor: int) -> dict[str, Any]:
    types, required = fields_in(definition, minor)
    found: dict[str, Any] = {}
    for name, stated in value.items():
        code = types.get(name)
        if code is None or stated is None:
            continue
        if name in required or not _says_nothing(name, stated, code):
            found[name] = _value(stated, code, minor)
    return found


def _says_nothing(name: str, stated: Any, code: str) -> bool:
    if code[0] in "[{":
        return stated in ([], {})
    if code == "s":
        return stated == "" and name not in _KEPT_TEXTS
    if code == "b":
        return stated is False and name in _DROPPED_BOOLEANS
    return code in "il" and stated == 0 and name in _DROPPED_NUMBERS


def _value(stated: Any, code: str, minor: int) -> Any:
    kind, inner = code[0], code[1:]
    if kind == "[" and isinstance(stated, list):
        return [_value(each, inner, minor) for each in stated]
    if kind == "{" and isinstance(stated, dict):
        return {key: _value(each, inner, minor) for key, each in stated.items()}
    if kind == "." and isinstance(stated, dict):
        return _object(stated, inner, minor)
    if kind == "q" and isinstance(stated, str | int | float) and not isinstance(stated, bool):
        try:
            return canonical(stated if isinstance(stated, str) else repr(stated))
        except InvalidQuantity:
            return stated
    return stated
