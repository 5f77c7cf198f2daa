"""What the commands share of their surroundings: the terminal, the date, where a report is written."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tidewaiter.rules.policy.compiled import PlainPolicy

CLUSTER = "cluster"
"""The word in the place of a policy file; a file of that name is `./cluster`."""
INVENTORY_HELP = "manifests or a snapshot to know of, or the word: cluster"
_PIECES = 4096


def write(report: Iterator[str], file: str) -> None:
    """Write a report's pieces to a file, or to stdout where that is empty. Raises InputError."""
    from tidewaiter.rules.errors import InputError

    if not file:
        for block in _blocks(report):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return
    try:
        with open(file, "wb") as target:
            for block in _blocks(report):
                target.write(block)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=file) from None


def _blocks(report: Iterator[str]) -> Iterator[bytes]:
    """Yield a report's pieces as bytes, so many at once that writing them costs little."""
    block: list[str] = []
    for piece in report:
        block.append(piece)
        if len(block) == _PIECES:
            yield "".join(block).encode("utf-8", "surrogateescape")
            block.clear()
    yield "".join(block).encode("utf-8", "surrogateescape")


def use_color(stated: str) -> bool:
    """Colours go to a terminal unless NO_COLOR is set (https://no-color.org/)."""
    if stated != "auto":
        return stated == "always"
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def stated_policy(
    path: str | None,
    *,
    profiles: list[str] | None = None,
    kubernetes_version: str | None = None,
    only: list[str] | None = None,
    skip: list[str] | None = None,
    fail_on: str | None = None,
    use_cache: bool = True,
    base: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> PlainPolicy:
    """Read the policy file, where there is one, or what holds in a cluster, and lay the options over it.

    The last three are for a cluster: the policy file that its webhook has, and how to reach it. What is not accepted
    of a cluster's policies is in `refused`. Raises PolicyError, InputError and ClusterError.
    """
    plain: PlainPolicy = {}
    if base and path != CLUSTER:
        from tidewaiter.rules.errors import InputError

        raise InputError("--base is for --policy cluster")
    if not path:
        from tidewaiter.rules.policy.discovery import find_policy

        path = find_policy(os.getcwd())
    if path == CLUSTER:
        from tidewaiter.cli.cluster_policy import cluster_policy

        plain = cluster_policy(base, kubeconfig, context)
    elif path:
        from tidewaiter.rules.policy.file import load_policy

        plain = load_policy(path, use_cache=use_cache)
    if any((profiles, kubernetes_version, only, skip, fail_on)):
        from tidewaiter.rules.policy.options import with_options

        plain = with_options(
            plain,
            profiles=profiles,
            kubernetes_version=kubernetes_version,
            only=only,
            skip=skip,
            fail_on=fail_on,
        )
    return plain


def chosen_policy(
    arguments: argparse.Namespace,
    *,
    only: list[str] | None = None,
    skip: list[str] | None = None,
    fail_on: str | None = None,
    use_cache: bool = True,
) -> PlainPolicy:
    """Read the policy that the options of a command choose; see `stated_policy`."""
    return stated_policy(
        arguments.policy,
        profiles=arguments.profile,
        kubernetes_version=arguments.kubernetes_version,
        only=only,
        skip=skip,
        fail_on=fail_on,
        use_cache=use_cache,
        base=arguments.base,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
    )


def tell_of_refused(plain: PlainPolicy) -> bool:
    """Name on stderr what is not accepted of a policy; tell whether there is any."""
    from tidewaiter.cli.streams import complain

    for each in plain.get("refused", ()):
        complain(f"tidewaiter: {each}")
    return bool(plain.get("refused"))


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose a policy."""
    add = parser.add_argument
    add(
        "--policy",
        metavar="FILE|cluster",
        help="policy file (default: tidewaiter.yaml here or above), or what is in force in the cluster",
    )
    add("--base", metavar="FILE", help="for --policy cluster: the policy file of its webhook")


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose a cluster, as kubectl has them."""
    add = parser.add_argument
    add("--kubeconfig", metavar="FILE", help="for the word cluster; default: as kubectl")
    add("--context", metavar="NAME", help="for the word cluster: context of the kubeconfig")


def cores() -> int:
    """Return how many processes may run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def today() -> str:
    """Return the date in UTC as YYYY-MM-DD."""
    import time

    return time.strftime("%Y-%m-%d", time.gmtime())


def shown(text: str) -> str:
    """Return a line that any stream takes and any terminal shows, whatever bytes the name of a file has."""
    from tidewaiter.cli.output.excerpt import printable

    end = "\n" if text.endswith("\n") else ""
    cells = text.removesuffix("\n").split("\t")
    line = "\t".join(map(printable, cells)) + end
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
