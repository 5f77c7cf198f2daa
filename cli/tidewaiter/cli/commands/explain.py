"""Say what a rule wants, why, how to fulfil it, and show a bad and a good example."""

from __future__ import annotations

from tidewaiter.rules.catalogue import entries, load
from tidewaiter.rules.rule import PROFILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from tidewaiter.rules.rule import Rule

_WIDTH = 88


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("rule", metavar="RULE", help="a rule's name; `tidewaiter rules` lists them")


def run(arguments: argparse.Namespace) -> int:
    """Print what there is to know of the rule. Raises InputError for a name that is none."""
    if arguments.rule not in entries():
        from tidewaiter.rules.errors import InputError
        from tidewaiter.rules.names import nearest_name

        nearest = nearest_name(arguments.rule, entries())
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
    shown = example(rule.name)
    if shown is not None:
        yield from _part("Bad", shown.bad.rstrip().split("\n"))
        yield from _part("Good", shown.good.rstrip().split("\n"))
    if rule.parameters:
        yield from _part("Parameters", _parameters(rule))
    yield from _part("References", rule.references)


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
