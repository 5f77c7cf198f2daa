"""What the commands share of their surroundings: the terminal, the date, where a report is written."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tidewaiter.rules.policy.compiled import PlainPolicy

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
) -> PlainPolicy:
    """Read the policy file, where there is one, and lay the options over it."""
    plain: PlainPolicy = {}
    if not path:
        from tidewaiter.rules.policy.discovery import find_policy

        path = find_policy(os.getcwd())
    if path:
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


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose a cluster, as kubectl has them."""
    add = parser.add_argument
    add("--kubeconfig", metavar="FILE", help="for --inventory cluster; default: as kubectl")
    add("--context", metavar="NAME", help="for --inventory cluster: context of the kubeconfig")


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
