"""Configurations of Polaris, `config.yaml`.

https://polaris.docs.fairwinds.com/customization/configuration/
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.checks_elsewhere import POLARIS
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.policy.foreign_checks import rules_of, switched_off
from tidewaiter.rules.policy.importing import Imported

NAME = "configuration of Polaris"
_NARROWS = frozenset({"namespace", "controllerNames", "containerNames", "rules"})
_SEVERITIES = {"warning": "warning", "danger": "error", "error": "error"}


def reads(document: dict[str, Any]) -> bool:
    """Tell a configuration by its checks, each with a severity."""
    checks = mapping(document.get("checks"))
    return "kind" not in document and any(
        value in {"ignore", *_SEVERITIES} for value in checks.values() if isinstance(value, str)
    )


def convert(document: dict[str, Any]) -> Imported:
    """Return severities as settings of rules, and exemptions as exemptions."""
    checks = {name: text(level) for name, level in mapping(document.get("checks")).items()}
    notes: list[str] = []
    settings: dict[str, dict[str, Any]] = {}
    custom = set(mapping(document.get("customChecks")))
    for name in sorted(map(str, custom)):
        notes.append(f"custom check {name} is not carried over: write it as one of customRules")
    for name, level in checks.items():
        if name in custom or level == "ignore":
            continue
        if level not in _SEVERITIES:
            notes.append(f"{name} is not carried over: {level or 'nothing'} is no severity")
            continue
        for rule in rules_of("polaris", _named(name), notes):
            severity = _SEVERITIES[level]
            if settings.get(rule, {}).get("severity") != "error":
                settings[rule] = {"enabled": True, "severity": severity}
    ignored = [_named(name) for name, level in checks.items() if level == "ignore"]
    settings.update(
        switched_off("polaris", [each for each in ignored if each not in custom], notes)
    )
    exemptions = [] if _refuses(document, "Config") else _exemptions(document, notes)
    spec: dict[str, Any] = (
        {} if _refuses(document, "Annotation") else {"compatibility": ["polaris"]}
    )
    if settings:
        spec["rules"] = settings
    if exemptions:
        spec["exemptions"] = exemptions
    return Imported("Polaris", spec, notes)


def _refuses(document: dict[str, Any], kind: str) -> bool:
    """Tell whether a configuration allows no exemptions, or none of a kind."""
    keys = "disallowExemptions", f"disallow{kind}Exemptions"
    return any(document.get(key) is True for key in keys)


def _named(check: str) -> str:
    """Return a check as it is spelt today: older versions wrote FileSystem."""
    known = {each.lower(): each for each in POLARIS}
    return known.get(check.lower(), check)


def _exemptions(document: dict[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    found = []
    for row in map(mapping, sequence(document.get("exemptions"))):
        others = sorted(str(key) for key in row if key not in _NARROWS)
        if others:
            notes.append(
                f"an exemption is not carried over: {', '.join(others)} narrows it in a way that is not known here"
            )
            continue
        checks = [_named(text(each)) for each in sequence(row.get("rules")) if text(each)]
        names = [text(each) for each in sequence(row.get("controllerNames")) if text(each)]
        containers = [text(each) for each in sequence(row.get("containerNames")) if text(each)]
        rules = [rule for check in checks for rule in rules_of("polaris", check, notes)]
        if not checks:
            rules = [rule for each in POLARIS.values() for rule in each]
        match: dict[str, Any] = {}
        if text(row.get("namespace")):
            match["namespaces"] = [text(row.get("namespace"))]
        if names:
            # Polaris compares the beginning of a controller's name.
            match["names"] = [f"{_escaped(each)}*" for each in names]
        if containers:
            match["containers"] = [f"{_escaped(each)}*" for each in containers]
        if not match:
            notes.append(
                "an exemption for everything is not carried over: set its checks to ignore"
            )
        elif rules:
            reason = "carried over from Polaris, which asks for no reason"
            found.append({"match": match, "rules": list(dict.fromkeys(rules)), "reason": reason})
    return found


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
