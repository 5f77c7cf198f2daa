"""Configurations of Checkov, `.checkov.yaml`; of its checks those on Kubernetes objects.

https://www.checkov.io/2.Basics/CLI%20Command%20Reference.html
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.checks_elsewhere import CHECKOV
from tidewaiter.rules.manifest.fields import sequence, text
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.policy.foreign_checks import others_off, switched_off, switched_on
from tidewaiter.rules.policy.importing import Imported

NAME = "configuration of Checkov"
_KEYS = frozenset({"skip-check", "check", "soft-fail", "hard-fail-on", "soft-fail-on"})


def reads(document: dict[str, Any]) -> bool:
    """Tell a configuration by the options that it names."""
    return "kind" not in document and "apiVersion" not in document and bool(_KEYS & set(document))


def convert(document: dict[str, Any]) -> Imported:
    """Return what is skipped and what is run alone as settings of rules."""
    notes: list[str] = []
    only, skipped = _ids(document.get("check"), notes), _ids(document.get("skip-check"), notes)
    settings: dict[str, dict[str, Any]] = {}
    if only:
        settings.update(others_off("checkov", only))
        settings.update(switched_on("checkov", only, notes))
        notes.append("rules that no check of Checkov asks for stay on, as the profile has them")
    settings.update(switched_off("checkov", skipped, notes))
    spec: dict[str, Any] = {"compatibility": ["checkov"]}
    if document.get("soft-fail") is True:
        spec["failOn"] = "never"
    for key in ("soft-fail-on", "hard-fail-on"):
        if document.get(key):
            notes.append(f"{key} is not carried over: give rules a severity, and the policy failOn")
    if document.get("skip-path"):
        notes.append("skip-path is not carried over: give it to lint as --exclude")
    if settings:
        spec["rules"] = settings
    return Imported("Checkov", spec, notes)


def _ids(stated: object, notes: list[str]) -> list[str]:
    """Return the ids of a list, or of a text with commas, that are of Kubernetes."""
    rows = (
        stated.split(",") if isinstance(stated, str) else [text(each) for each in sequence(stated)]
    )
    found = []
    for row in filter(None, (each.strip() for each in rows)):
        if "*" in row and any(matches_any(check, [row]) for check in CHECKOV):
            found += [check for check in CHECKOV if matches_any(check, [row]) and CHECKOV[check]]
        elif row.startswith(("CKV_K8S_", "CKV2_K8S_")):
            found.append(row)
        else:
            notes.append(f"{row} is not carried over: it is no id of one Kubernetes check")
    return found
