"""`tidewaiter policy diff`: what another policy changes, by setting, rule, override and exemption.

Exit codes: 0 the same, 1 not, 2 it cannot be known: a policy has a mistake, or the cluster cannot be read.
"""

from __future__ import annotations

import json

from tidewaiter.cli.surroundings import CLUSTER, add_cluster_options, tell_of_refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.difference import Change


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "before", metavar="FILE|cluster", help="a policy file, or what is in force in the cluster"
    )
    parser.add_argument("after", metavar="FILE|cluster", help="what to compare it with")
    parser.add_argument(
        "--base", metavar="FILE", help="for the word cluster: the policy file of its webhook"
    )
    add_cluster_options(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> tuple[int, list[str]]:
    """Return the exit code and the lines to print. Raises PolicyError, InputError and ClusterError."""
    from tidewaiter.rules.policy.difference import differences

    before, is_known = _read(arguments.before, arguments)
    after, also_known = _read(arguments.after, arguments)
    changes = differences(before, after)
    if arguments.format == "json":
        rows = [
            {"place": each.place, "before": each.before, "after": each.after} for each in changes
        ]
        lines = [json.dumps({"version": 1, "same": not changes, "changes": rows}, indent=2)]
    else:
        lines = [line for each in changes for line in _text(each)] or ["no difference"]
    if not (is_known and also_known):
        return 2, lines
    return (1 if changes else 0), lines


def _read(name: str, arguments: argparse.Namespace) -> tuple[PlainPolicy, bool]:
    from tidewaiter.cli.cluster_policy import cluster_policy
    from tidewaiter.rules.policy.file import load_policy

    if name != CLUSTER:
        return load_policy(name), True
    plain = cluster_policy(arguments.base, arguments.kubeconfig, arguments.context)
    return plain, not tell_of_refused(plain)


def _text(change: Change) -> Iterator[str]:
    if change.before is not None and change.after is not None:
        yield f"~ {change.place}: {_value(change.before)} -> {_value(change.after)}"
    elif change.after is not None:
        yield f"+ {change.place}: {_value(change.after)}"
    else:
        yield f"- {change.place}: {_value(change.before)}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
