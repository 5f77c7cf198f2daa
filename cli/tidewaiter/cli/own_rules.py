"""The rules that the policy at hand brings itself, for the commands that list and explain rules."""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.record import record
from tidewaiter.rules.rule import CUSTOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.rule import Rule


@record
class OwnRule:
    """A rule of the policy's own: what there is to know of it, where it stands, and the text that defines it."""

    rule: Rule
    file: str
    definition: str


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option that chooses the policy whose own rules are shown."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="show the rules of this policy's own too; default: the nearest tidewaiter.yaml",
    )


def own_rules(path: str | None) -> Mapping[str, OwnRule]:
    """Return the own rules of a policy by name, of that of the working directory where no path is stated.

    Raises PolicyError for a policy with mistakes, and InputError for a file that cannot be read.
    """
    from tidewaiter.cli.surroundings import stated_policy
    from tidewaiter.rules.policy.compiled import Policy

    plain = stated_policy(path)
    if not plain.get("customRules") and not plain.get("admissionObjects"):
        return {}
    policy = Policy(plain)
    return {
        name: OwnRule(policy.rule(name), _file(plain, name), _definition(plain, name))
        for name, entry in policy.entries.items()
        if entry.section == CUSTOM
    }


def _row(plain: PlainPolicy, name: str) -> dict[str, Any] | None:
    return next((row for row in plain.get("customRules", ()) if row["name"] == name), None)


def _admission_policy(plain: PlainPolicy, name: str) -> dict[str, Any]:
    return next(
        row
        for row in plain.get("admissionObjects", ())
        if row["object"].get("kind") == "ValidatingAdmissionPolicy"
        and mapping(row["object"].get("metadata")).get("name") == name
    )


def _file(plain: PlainPolicy, name: str) -> str:
    if _row(plain, name) is not None:
        return plain.get("file", "")
    return str(_admission_policy(plain, name)["file"])


_SAID_ELSEWHERE = frozenset({"name", "severity", "summary", "remediation"})


def _definition(plain: PlainPolicy, name: str) -> str:
    """Return what decides, as YAML: of a custom rule its fields, of a ValidatingAdmissionPolicy its spec."""
    import yaml

    row = _row(plain, name)
    if row is None:
        shown = mapping(_admission_policy(plain, name)["object"].get("spec"))
    else:
        shown = {key: value for key, value in row.items() if key not in _SAID_ELSEWHERE}
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100)).rstrip()
