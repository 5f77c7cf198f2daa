"""Say what a rule wants, why, how to fulfil it, and show a bad and a good example."""

from __future__ import annotations

from tidewaiter.cli.own_rules import add_policy_option, own_rules
from tidewaiter.cli.surroundings import shown
from tidewaiter.rules.catalogue import entries, load
from tidewaiter.rules.rule import PROFILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from tidewaiter.cli.own_rules import OwnRule
    from tidewaiter.rules.rule import Rule

_WIDTH = 88


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("rule", metavar="RULE", help="a rule's name; `tidewaiter rules` lists them")
    add_policy_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what there is to know of the rule. Raises InputError for a name that is none."""
    if arguments.rule not in entries():
        own = own_rules(arguments.policy)
        if arguments.rule in own:
            print("\n".join(own_explanation(own[arguments.rule])))
            return 0
        from tidewaiter.rules.errors import InputError
        from tidewaiter.rules.names import nearest_name

        nearest = nearest_name(arguments.rule, [*entries(), *own])
        hint = f"did you mean {nearest!r}?" if nearest else "`tidewaiter rules` lists them"
        raise InputError(f"there is no rule {arguments.rule!r}; {hint}")
    print("\n".join(explanation(load(arguments.rule))))
    return 0


def explanation(rule: Rule) -> Iterator[str]:
    """Yield the lines of the text on a rule."""
    from tidewaiter.rules.examples import example

    yield f"{rule.name}: {rule.summary}"
    yield ""
    yield f"  Section:   {rule.section}"
    yield f"  Severity:  {rule.severity}"
    profiles = ", ".join(profile for profile in PROFILES if rule.is_in(profile))
    yield f"  Profiles:  {profiles or 'none; on where the policy has images'}"
    if rule.tags:
        yield f"  Tags:      {', '.join(rule.tags)}"
    if rule.since:
        yield f"  Since:     Kubernetes {rule.since[0]}.{rule.since[1]}"
    if rule.needs_inventory:
        yield "  Asks about other objects: answers `unknown` where they are not part of the run"
    yield from _part("Why", _wrapped(rule.rationale))
    yield from _part("Remedy", rule.remediation.split("\n"))
    case = example(rule.name)
    if case is not None:
        yield from _part("Bad", case.bad.rstrip().split("\n"))
        yield from _part("Good", case.good.rstrip().split("\n"))
    if rule.parameters:
        yield from _part("Parameters", _parameters(rule))
    yield from _part("References", rule.references)


def own_explanation(own: OwnRule) -> Iterator[str]:
    """Yield the lines of the text on a rule of the policy's own."""
    rule = own.rule
    yield f"{rule.name}: {rule.summary}"
    yield ""
    yield f"  Section:   {rule.section}"
    yield f"  Severity:  {rule.severity}"
    yield f"  Policy:    {shown(own.file)}"
    if rule.needs_inventory:
        yield "  Asks about other objects: answers `unknown` where they are not part of the run"
    if rule.remediation:
        yield from _part("Remedy", rule.remediation.split("\n"))
    yield from _part("Definition", own.definition.split("\n"))


def _part(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield title
    for line in lines:
        yield f"  {line}" if line else ""


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _parameters(rule: Rule) -> Iterator[str]:
    from json import dumps

    from tidewaiter.cli.commands.rules import plain_default

    for parameter in rule.parameters:
        kind = f"one of {', '.join(parameter.choices)}" if parameter.choices else parameter.kind
        default = dumps(plain_default(parameter.default))
        yield f"{parameter.name} ({kind}, default {default}): {parameter.description}"
