"""`tidewaiter policy diff`: what another policy changes, by setting, rule, override and exemption.

Exit codes: 0 the same, 1 not, 2 it cannot be known: a policy has a mistake, or the cluster cannot be read.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.difference import Change

CLUSTER = "cluster"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "before", metavar="FILE|cluster", help="a policy file, or what is in force in the cluster"
    )
    parser.add_argument("after", metavar="FILE|cluster", help="what to compare it with")
    parser.add_argument(
        "--base",
        metavar="FILE",
        help="the policy file that the cluster's webhook has (default: none)",
    )
    parser.add_argument("--kubeconfig", metavar="FILE", help="access to the cluster, as kubectl")
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig")
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
    from tidewaiter.rules.policy.file import load_policy

    if name != CLUSTER or os.path.exists(name):
        return load_policy(name), True
    return policy_of_cluster(arguments.base, arguments.kubeconfig, arguments.context)


def policy_of_cluster(
    base: str | None, kubeconfig: str | None, context: str | None
) -> tuple[PlainPolicy, bool]:
    """Return what the objects of a cluster make of a file, and whether all of them are accepted.

    Those that are not are named on stderr: an earlier form of theirs may be in force.
    """
    import asyncio

    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.policy.file import load_policy
    from tidewaiter.rules.policy.objects import join, shown

    try:
        from tidewaiter.rules.cluster.client import open_client
        from tidewaiter.rules.cluster.policies import read_policies
    except ModuleNotFoundError as error:
        msg = f"a part is missing ({error.name}): install tidewaiter[cluster]"
        raise InputError(msg) from error

    async def read() -> list[dict[str, Any]]:
        async with open_client(kubeconfig, context) as client:
            return await read_policies(client)

    plain: PlainPolicy = load_policy(base) if base else {}
    joined = join(plain, asyncio.run(read()))
    refused = {
        place: verdict for place, verdict in joined.verdicts.items() if not verdict.is_accepted
    }
    for place, verdict in refused.items():
        print(f"tidewaiter: {shown(place)} is not accepted: {verdict.message}", file=sys.stderr)
    return joined.plain, not refused


def _text(change: Change) -> Iterator[str]:
    if change.before is not None and change.after is not None:
        yield f"~ {change.place}: {_value(change.before)} -> {_value(change.after)}"
    elif change.after is not None:
        yield f"+ {change.place}: {_value(change.after)}"
    else:
        yield f"- {change.place}: {_value(change.before)}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
