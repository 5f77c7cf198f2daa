"""List the rules, all of them or those of a profile, section or tag."""

from __future__ import annotations

from tidewaiter.cli.own_rules import add_policy_option, own_rules
from tidewaiter.rules.catalogue import entries, load
from tidewaiter.rules.errors import InputError, TidewaiterError
from tidewaiter.rules.rule import CUSTOM, PROFILES, SECTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from tidewaiter.rules.rule import Rule


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--format", choices=("text", "json"), default="text", help="a table (default) or JSON")
    add("--profile", choices=PROFILES, help="only the rules of this profile")
    add("--section", choices=(*SECTIONS, CUSTOM), help="only the rules of this section")
    add("--tag", help="only the rules with this tag, for example anti-pattern")
    add_policy_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the rules that are asked for, those of the policy's own among them.

    Raises PolicyError for a policy with mistakes, once the rules of the catalogue are printed.
    """
    rules = list(select(arguments.profile, arguments.section, arguments.tag))
    mistake: TidewaiterError | None = None
    if arguments.profile is None and arguments.tag is None and arguments.section in {None, CUSTOM}:
        try:
            rules += [own.rule for own in own_rules(arguments.policy).values()]
        except TidewaiterError as error:
            mistake = error
    if arguments.format == "json":
        from json import dumps

        print(dumps([facts(rule) for rule in rules], indent=2))
    else:
        print("\n".join(_table(rules)))
    if mistake is not None:
        raise mistake
    return 0


def select(profile: str | None, section: str | None, tag: str | None) -> Sequence[Rule]:
    """Return the rules that fit all that is stated. Raises InputError for a tag that no rule has."""
    rules = [load(name) for name in entries()]
    tags = {one for rule in rules for one in rule.tags}
    if tag is not None and tag not in tags:
        raise InputError(
            f"no rule has the tag {tag!r}; there are: {', '.join(sorted(tags)) or '-'}"
        )
    return [
        rule
        for rule in rules
        if (profile is None or rule.is_in(profile))
        and (section is None or rule.section == section)
        and (tag is None or tag in rule.tags)
    ]


def facts(rule: Rule) -> dict[str, Any]:
    """Return what there is to know of a rule as plain data."""
    return {
        "name": rule.name,
        "section": rule.section,
        "severity": rule.severity,
        "summary": rule.summary,
        "profiles": [
            profile for profile in PROFILES if rule.section != CUSTOM and rule.is_in(profile)
        ],
        "appliesTo": list(rule.applies_to),
        "needsInventory": rule.needs_inventory,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.kind,
                "default": plain_default(parameter.default),
                "description": parameter.description,
                "choices": list(parameter.choices),
            }
            for parameter in rule.parameters
        ],
        "since": ".".join(map(str, rule.since)) if rule.since else None,
        "tags": list(rule.tags),
        "rationale": rule.rationale,
        "remediation": rule.remediation,
        "references": list(rule.references),
    }


def plain_default(value: Any) -> Any:
    """Return a parameter's default as JSON has it."""
    return list(value) if isinstance(value, (tuple, frozenset, set)) else value


def _table(rules: Sequence[Rule]) -> list[str]:
    if not rules:
        return ["No rule fits; `tidewaiter rules` lists all."]
    width = max(len(rule.name) for rule in rules)
    lines = []
    section = ""
    for rule in rules:
        if rule.section != section:
            lines += [""] if section else []
            section = rule.section
            lines.append(section)
        lines.append(f"  {rule.name:<{width}}  {rule.severity:<7}  {rule.summary}")
    plural = "rule" if len(rules) == 1 else "rules"
    lines += ["", f"{len(rules)} {plural}; `tidewaiter explain RULE` says more of one."]
    return lines
