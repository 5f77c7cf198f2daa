"""Configurations of kube-linter, `.kube-linter.yaml`.

https://docs.kubelinter.io/#/configuring-kubelinter
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.checks_elsewhere import KUBE_LINTER
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.policy.foreign_checks import others_off, switched_off, switched_on
from tidewaiter.rules.policy.importing import Imported

NAME = "configuration of kube-linter"
_TOOL = "kube-linter"
_CUSTOM_BUILT_IN = {
    "required-annotation-email": {"template": "required-annotation", "params": {"key": "email"}},
    "required-label-owner": {"template": "required-label", "params": {"key": "owner"}},
}
"""Checks of kube-linter that are one of its templates with parameters, as custom checks are."""
_KEYS = frozenset({"include", "exclude", "addAllBuiltIn", "doNotAutoAddDefaults", "ignorePaths"})


def reads(document: dict[str, Any]) -> bool:
    """Tell a configuration by its keys: it has neither kind nor apiVersion."""
    if "kind" in document or "apiVersion" in document:
        return False
    return bool(_KEYS & set(mapping(document.get("checks")))) or any(
        "template" in mapping(row) for row in sequence(document.get("customChecks"))
    )


def convert(document: dict[str, Any]) -> Imported:
    """Return the checks as settings of rules; a custom check is one of its template's parameters."""
    checks = mapping(document.get("checks"))
    notes: list[str] = []
    include = [text(each) for each in sequence(checks.get("include")) if text(each)]
    exclude = [text(each) for each in sequence(checks.get("exclude")) if text(each)]
    own: dict[str, dict[str, Any]] = {}
    custom: set[str] = set()
    rows = [mapping(row) for row in sequence(document.get("customChecks"))]
    rows += [
        {"name": each, **_CUSTOM_BUILT_IN[each]} for each in include if each in _CUSTOM_BUILT_IN
    ]
    for row in rows:
        name = text(row.get("name")) or "without a name"
        custom.add(name)
        if name in exclude:
            continue
        found = _custom(row, notes, name)
        for rule, setting in found.items():
            parameters = setting["parameters"]
            for key, value in parameters.items():
                merged = own.setdefault(rule, {"enabled": True, "parameters": {}})["parameters"]
                merged[key] = [*merged.get(key, []), *value] if isinstance(value, list) else value
    builtin = [each for each in include if each not in custom and each not in exclude]
    every = checks.get("addAllBuiltIn") is True
    settings: dict[str, dict[str, Any]] = {}
    if checks.get("doNotAutoAddDefaults") is True and not every:
        settings.update(others_off(_TOOL, builtin))
        notes.append("rules that no check of kube-linter asks for stay on, as the profile has them")
    settings.update(switched_on(_TOOL, builtin, notes))
    gone = [each for each in exclude if each not in custom]
    settings.update(switched_off(_TOOL, gone, notes, KUBE_LINTER if every else builtin))
    settings.update(own)
    spec: dict[str, Any] = {"compatibility": [_TOOL]}
    if every:
        spec["profile"] = ["all"]
    if settings:
        spec["rules"] = settings
    if checks.get("ignorePaths"):
        notes.append("ignorePaths are not carried over: give them to lint as --exclude")
    return Imported("kube-linter", spec, notes)


def _custom(row: dict[str, Any], notes: list[str], name: str) -> dict[str, dict[str, Any]]:
    template, params = text(row.get("template")), mapping(row.get("params"))
    minimum = params.get("minReplicas")
    if (
        template == "minimum-replicas"
        and isinstance(minimum, int)
        and not isinstance(minimum, bool)
    ):
        return {"min-replicas": {"parameters": {"minimum": minimum}}}
    key = text(params.get("key"))
    if template in {"required-label", "required-annotation"} and key:
        if params.get("value"):
            notes.append(f"custom check {name}: the value of {key} is not carried over")
        rule = "required-labels" if template == "required-label" else "required-annotations"
        field = "labels" if template == "required-label" else "annotations"
        return {rule: {"parameters": {field: [key]}}}
    notes.append(
        f"custom check {name} (template {template or 'none'}) is not carried over: write it as one of customRules"
    )
    return {}
