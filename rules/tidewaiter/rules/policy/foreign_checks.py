"""What the importers of other linters share: their checks, on and off, as settings of rules here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.checks_elsewhere import OPTIONAL, TABLES
from tidewaiter.rules.names import nearest_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NO_RULE = "no rule here asks that"
_BY_PARAMETER = {
    "unset-cpu-requirements": ("cpu", ("resource-limits",)),
    "CKV_K8S_11": ("cpu", ("resource-limits",)),
    "cpuLimitsMissing": ("cpu", ("resource-limits",)),
}
"""Checks whose absence is a parameter of a rule that asks for more."""


def switched_off(
    tool: str, checks: Iterable[str], notes: list[str], asked_for: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return the settings of rules without some checks of a linter.

    A rule that also answers for checks that stay on is not switched off: nothing may be let through by that. On are
    the linter's default checks, and those of the others that the configuration asks for.
    """
    idle = OPTIONAL.get(tool, frozenset()) - set(asked_for)
    table = {check: rules for check, rules in TABLES[tool].items() if check not in idle}
    gone = list(dict.fromkeys(checks))
    settings: dict[str, dict[str, Any]] = {}
    for check in gone:
        for rule in rules_of(tool, check, notes):
            others = [each for each, rules in table.items() if rule in rules and each not in gone]
            if not others:
                settings[rule] = {"enabled": False}
            elif rule in _BY_PARAMETER.get(check, ("", ()))[1]:
                settings[rule] = {"parameters": {_BY_PARAMETER[check][0]: "optional"}}
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
    rules = TABLES[tool].get(check)
    if rules is None:
        nearest = nearest_name(check, list(TABLES[tool]))
        hint = f"; is {nearest} meant?" if nearest else ""
        notes.append(f"{check} is not carried over: no check of that name is known{hint}")
    elif not rules:
        notes.append(f"{check} is not carried over: {NO_RULE}")
    return rules or ()


def others_off(tool: str, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the settings that switch off the rules of a linter's checks but for those wanted."""
    kept = {rule for check in wanted for rule in TABLES[tool].get(check, ())}
    every = {rule for rules in TABLES[tool].values() for rule in rules}
    return {rule: {"enabled": False} for rule in sorted(every - kept)}
