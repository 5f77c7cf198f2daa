"""What can be typed behind `tidewaiter`: read off the parsers of the commands, so that nothing is missing."""

from __future__ import annotations

import argparse
from importlib import import_module

from tidewaiter.cli.main import COMMANDS, make_parser
from tidewaiter.rules.record import record
from tidewaiter.rules.rule import PROFILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILES, RULES, REPORTS = "files", "rules", "reports"
_FILES = frozenset({"FILE", "PATH", "FOLDER", "OLD", "NEW"})


@record
class Value:
    """What may stand for a value: some words, and of a kind, if any: files, rules, or FORMAT=FILE as reports."""

    words: tuple[str, ...] = ()
    kind: str = ""


@record
class Option:
    """An option; `value` is None for one that takes none."""

    flags: tuple[str, ...]
    help: str
    metavar: str
    value: Value | None
    is_repeatable: bool


@record
class Place:
    """What may follow some words: actions with what they do, options, and other arguments in order.

    `repeats` says that the last argument may stand several times.
    """

    words: tuple[str, ...]
    actions: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    arguments: tuple[tuple[str, Value], ...]
    repeats: bool


def places() -> list[Place]:
    """Return every place: the first follows `tidewaiter` alone."""
    first = make_parser()
    found = [Place((), tuple(COMMANDS.items()), tuple(_options(first, ())), (), repeats=False)]
    for command in COMMANDS:
        try:
            parser = _below(make_parser(command))[command]
        except ModuleNotFoundError:
            # The command belongs to a part that is not installed.
            found.append(Place((command,), (), (), (), repeats=False))
            continue
        module = import_module(f"tidewaiter.cli.commands.{command}")
        formats = tuple(getattr(module, "FORMATS", ()))
        found += _places(parser, (command,), formats)
    return found


def rule_names() -> dict[str, str]:
    """Return every rule of the catalogue with its summary."""
    from tidewaiter.rules.catalogue import load_all

    return {rule.name: rule.summary for rule in load_all()}


def _places(
    parser: argparse.ArgumentParser, words: tuple[str, ...], formats: tuple[str, ...]
) -> Iterator[Place]:
    below = _below(parser)
    arguments = [
        (str(action.metavar or action.dest), _value(action, formats), action.nargs in {"*", "+"})
        for action in parser._actions  # noqa: SLF001 - argparse has no public way to ask
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    yield Place(
        words,
        tuple((name, _summary(parser, name)) for name in below),
        tuple(_options(parser, formats)),
        tuple((name, value) for name, value, _ in arguments),
        repeats=bool(arguments) and arguments[-1][2],
    )
    for name, inner in below.items():
        yield from _places(inner, (*words, name), formats)


def _below(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return action.choices
    return {}


def _summary(parser: argparse.ArgumentParser, name: str) -> str:
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for choice in action._choices_actions:  # noqa: SLF001
                if choice.dest == name:
                    return choice.help or ""
    return ""


def _options(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> Iterator[Option]:
    for action in parser._actions:  # noqa: SLF001
        if action.option_strings and action.help != argparse.SUPPRESS:
            yield Option(
                tuple(action.option_strings),
                (action.help or "").replace("%%", "%"),
                str(action.metavar or action.dest.upper()),
                None if action.nargs == 0 else _value(action, formats),
                is_repeatable=isinstance(action, argparse._AppendAction),  # noqa: SLF001
            )


def _value(action: argparse.Action, formats: tuple[str, ...]) -> Value:
    metavar = str(action.metavar or "")
    if action.choices is not None:
        return Value(tuple(map(str, action.choices)))
    if action.dest == "profile":
        return Value(PROFILES)
    if action.dest == "inventory" and metavar == "PATH":
        return Value(("cluster",), FILES)
    if metavar == "RULE":
        return Value((), RULES)
    if metavar == "FORMAT":
        return Value(formats)
    if metavar == "FORMAT=FILE":
        return Value(formats, REPORTS)
    parts = metavar.split("|")
    words = tuple(each for each in parts if each not in _FILES)
    return Value(words, FILES) if len(words) < len(parts) else Value()
