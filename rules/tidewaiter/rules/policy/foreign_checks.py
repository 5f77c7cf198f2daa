"""What the importers of other linters share: their checks, on and off, as settings of rules here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.names import nearest_name
from tidewaiter.rules.other_linters import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_RULE = "no rule here asks that"
_OPTIONAL = {
    "unset-cpu-requirements": ("cpu", ("resource-limits",)),
    "CKV_K8S_11": ("cpu", ("resource-limits",)),
    "cpuLimitsMissing": ("cpu", ("resource-limits",)),
}
"""Checks whose absence is a parameter of a rule that asks for more."""


def switched_off(tool: str, checks: Iterable[str], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the settings of rules without some checks of a linter.

    A rule that also answers for checks that stay on is not switched off: nothing may be let through by that.
    """
    table = TABLES[tool]
    gone = list(dict.fromkeys(checks))
    settings: dict[str, dict[str, Any]] = {}
    for check in gone:
        for rule in rules_of(tool, check, notes):
            others = [each for each, rules in table.items() if rule in rules and each not in gone]
            if not others:
                settings[rule] = {"enabled": False}
            elif rule in _OPTIONAL.get(check, ("", ()))[1]:
                settings[rule] = {"parameters": {_OPTIONAL[check][0]: "optional"}}
            else:
                notes.append(
                    f"{check} stays on: {rule} answers for {', '.join(sorted(others)[:3])} too"
                )
    return settings


def switched_on(tool: str, checks: Iterable[str], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the settings of rules that answer for some checks of a linter."""
    return {
        rule: {"enabled": True}
        for check in dict.fromkeys(checks)
        for rule in rules_of(tool, check, notes)
    }


def rules_of(tool: str, check: str, notes: list[str]) -> tuple[str, ...]:
    """Return the rules for a check; one without any is noted, with the check that may have been meant."""
    rules = TABLES[tool].get(check, ())
    if not rules:
        nearest = nearest_name(check, list(TABLES[tool]))
        hint = f"; is {nearest} meant?" if nearest and check not in TABLES[tool] else ""
        notes.append(f"{check} is not carried over: {NO_RULE}{hint}")
    return rules


def others_off(tool: str, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the settings that switch off the rules of a linter's checks but for those wanted."""
    kept = {rule for check in wanted for rule in TABLES[tool].get(check, ())}
    every = {rule for rules in TABLES[tool].values() for rule in rules}
    return {rule: {"enabled": False} for rule in sorted(every - kept)}
