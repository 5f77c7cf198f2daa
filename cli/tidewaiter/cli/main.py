"""The command `tidewaiter`: finds the subcommand, and turns every mistake into a sentence.

Only the module of the command that is called is imported.
"""

from __future__ import annotations

import os
import sys

from tidewaiter.cli.streams import cannot_write, drop, open_streams, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

COMMANDS = {
    "init": "make a policy, a pre-commit entry and a CI job that fit a repository",
    "lint": "check manifests against the policy",
    "fix": "mend what findings ask for, in place, keeping comments and layout",
    "pin": "pin images to the digests that their tags have now",
    "scan": "check what is in a cluster, and write reports into it",
    "baseline": "look after the findings that lint leaves out: prune what is fixed",
    "diff": "show what two trees, policies or versions change in findings",
    "checklist": "answer the release checklist for every service",
    "rules": "list the rules",
    "explain": "say what one rule wants, why, and how to fulfil it",
    "policy": "check a policy file, show what it does, print its JSON Schema",
    "verify": "verify that images are signed and attested",
    "lsp": "serve an editor: diagnostics, quick fixes and explanations while manifests are written",
    "completion": "print the script that completes this command in a shell",
    "serve": "judge what is sent to a cluster: a validating admission webhook",
    "audit": "verify the audit log of the webhook",
}
"""Every subcommand and what it does; each is a module in `commands`."""

EXIT_INCOMPLETE = 2
_EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (findings) or 2 (not done whole)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        say("tidewaiter: interrupted")
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        drop(sys.stdout)  # its reader has gone
        return EXIT_INCOMPLETE
    except SystemExit:  # argparse's, once it has printed
        try:
            sys.stdout.flush()
        except OSError:
            drop(sys.stdout)
        raise
    except Exception as error:
        if cannot_write(error):
            say(f"tidewaiter: standard output cannot be written: {error.args[1]}")
            drop(sys.stdout)
            return EXIT_INCOMPLETE
        if os.environ.get("TIDEWAITER_TRACEBACK"):
            raise
        say(
            f"tidewaiter: internal error: {type(error).__name__}: {error}\n"
            "This is a defect; please report it with the output of the same command under TIDEWAITER_TRACEBACK=1."
        )
        return EXIT_INCOMPLETE


def _run(words: list[str]) -> int:
    if words and words[0] in {"--version", "-V"}:
        from tidewaiter.rules.version import __version__

        print(f"tidewaiter {__version__}")
        return 0
    if not words or words[0] not in COMMANDS:
        return _without_command(make_parser(), words)
    parser = make_parser(words[0])
    _check_action(parser, words)
    namespace, unknown = parser.parse_known_args(words)
    if unknown:
        _unknown_option(parser, words, unknown[0])
    from tidewaiter.rules.errors import TidewaiterError

    try:
        code: int = namespace.run(namespace)
    except TidewaiterError as error:
        say(f"tidewaiter: {error}")
        return EXIT_INCOMPLETE
    return code


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of one command; without one, what is needed to list them all."""
    from importlib import import_module

    from tidewaiter.cli.parser import Parser

    parser = Parser(
        prog="tidewaiter",
        description="Check Kubernetes manifests: at the desk, in the pipeline and at admission.",
        epilog="`tidewaiter COMMAND --help` shows a command's options.",
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    if command is None:
        for name, summary in COMMANDS.items():
            commands.add_parser(name, help=summary)
    else:
        module = import_module(f"tidewaiter.cli.commands.{command}")
        subparser = commands.add_parser(command, description=module.__doc__, allow_abbrev=False)
        module.configure(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _without_command(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Help, or name the command that may have been meant."""
    if not words or words[0] in {"-h", "--help"}:
        parser.print_help(sys.stdout if words else sys.stderr)
        return 0 if words else EXIT_INCOMPLETE
    if words[0].startswith("-"):
        _unknown_option(parser, [], words[0])
    return parser.error(f"there is no command {words[0]!r}{_suggestion(words[0], list(COMMANDS))}")


def _check_action(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Name the action of a command that may have been meant, as `check` in `tidewaiter policy`."""
    subparser = _subparsers(parser)[words[0]]
    actions = list(_subparsers(subparser))
    if actions and words[1:] and not words[1].startswith("-") and words[1] not in actions:
        nearest = _suggestion(words[1], actions) or f"; there are {', '.join(actions)}"
        subparser.error(f"there is no action {words[1]!r}{nearest}")


def _subparsers(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Return the parsers below one by their names; argparse has no public way to ask."""
    group = parser._subparsers  # noqa: SLF001
    return group._group_actions[0].choices if group is not None else {}  # type: ignore[return-value] # noqa: SLF001


def _unknown_option(parser: argparse.ArgumentParser, words: list[str], word: str) -> NoReturn:
    """Say that a word means nothing to the command, or its action, that `words` begin with."""
    named, options, inner = "COMMAND", ["--help", "--version"], parser
    while words and (below := _subparsers(inner).get(words[0])):
        inner, words = below, words[1:]
        options = list(inner._option_string_actions)  # noqa: SLF001
        named = inner.prog.partition(" ")[2]
    what = "there is no option" if word.startswith("-") else "there is no use for"
    suggestion = _suggestion(word.partition("=")[0], options)
    parser.error(f"{what} {word!r}{suggestion}; see `tidewaiter {named} --help`")


def _suggestion(word: str, names: list[str]) -> str:
    from tidewaiter.rules.names import nearest_name

    nearest = nearest_name(word, names)
    return f"; did you mean {nearest!r}?" if nearest else ""


if __name__ == "__main__":
    sys.exit(main())
