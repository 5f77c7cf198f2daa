"""Check what is in a cluster against the policy and print what is wrong, where, and the remedy.

The cluster is the one that kubectl would speak to. What a controller made (pods, old ReplicaSets) is reported only
for what its template does not have. Exit codes: 0 nothing at or above the fail level; 1 findings at or above it; 2
the job could not be done whole (a mistake in the call or the policy, a cluster that cannot be reached, kinds that
may not be read): what could be read was checked.
"""

from __future__ import annotations

import sys

from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import add_policy_options, chosen_policy, today, use_color, write
from tidewaiter.rules.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from tidewaiter.cli.result import LintResult
    from tidewaiter.rules.cluster.reports import Written
    from tidewaiter.rules.cluster.shard import Shard

FORMATS = ("text", "json")
FAIL_LEVELS = ("error", "warning", "info", "never")
_SHOWN = ("exempted", "unknown", "fingerprints")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config, the pod's own")
    add("--context", metavar="NAME", help="the kubeconfig's context (default: the current one)")
    add("-n", "--namespace", action="append", metavar="NAME", help="judge only this; repeatable")
    add("--shard", metavar="INDEX/TOTAL", help="judge only this part of the cluster's namespaces")
    add(
        "--shards", metavar="TOTAL", help="the part of a pod of an Indexed Job of TOTAL completions"
    )
    add("--only-readable", action="store_true", help="pass over kinds that may not be listed")
    add_policy_options(parser)
    add("--profile", action="append", metavar="NAME", help="set of rules; may be repeated")
    add("--kubernetes-version", metavar="X.Y", help="version to check for (default: the cluster's)")
    add("--only", action="append", metavar="RULE", help="run only this rule; may be repeated")
    add("--skip", action="append", metavar="RULE", help="do not run this rule; may be repeated")
    add("--format", choices=FORMATS, default="text", help="form of the report (default: text)")
    add("--output", metavar="FILE", help="write the report there rather than to stdout")
    add("--report", action="append", metavar="FORMAT=FILE", help="one more report; repeatable")
    add("--fail-on", choices=FAIL_LEVELS, help="lowest severity that fails (default: error)")
    add(
        "--show",
        metavar="LIST",
        default="",
        help="also show: unknown, exempted; fingerprints in JSON",
    )
    add("--statistics", action="store_true", help="count the findings by rule")
    add("--verify-images", action="store_true", help="ask registries for the signatures demanded")
    add("--write-reports", action="store_true", help="write PolicyReports into the cluster")
    add(
        "--snapshot",
        metavar="FILE",
        help="save what rules know of the cluster, for lint --inventory",
    )
    add("--no-cache", action="store_true", help="neither read nor write the cache")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
    add("-q", "--quiet", action="store_true", help="print findings only, without remedies")


def run(arguments: argparse.Namespace) -> int:
    """Scan, print the reports and return the exit code."""
    # Before the long work, so that a mistake in the call costs none.
    show = _wanted(arguments.show)
    reports = _reports(arguments)
    shard = _shard(arguments)
    plain = chosen_policy(
        arguments,
        only=arguments.only,
        skip=arguments.skip,
        fail_on=arguments.fail_on,
        use_cache=not arguments.no_cache,
    )
    from tidewaiter.cli.run.scan import Job, scan_cluster

    job = Job(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        namespaces=tuple(arguments.namespace or ()),
        shard=shard,
        only_readable=arguments.only_readable,
        plain_policy=plain,
        today=today(),
        write_reports=arguments.write_reports,
        verify_images=arguments.verify_images,
        use_cache=not arguments.no_cache,
        snapshot=arguments.snapshot or "",
    )
    done = scan_cluster(job, _progress())
    for error in done.result.errors:
        place = f"{error.file}: " if error.file else ""
        complain(f"{place}error: {error.message}")
    for form, file in reports:
        write(_render(form, done.result, arguments, show, to_terminal=not file), file)
    if done.written is not None and not arguments.quiet:
        print(_told(done.written), file=sys.stderr)
    return _exit_code(done.result, plain.get("failOn", "error"))


def _exit_code(result: LintResult, fail_on: str) -> int:
    if result.errors:
        return 2
    failing = FAIL_LEVELS[: FAIL_LEVELS.index(fail_on) + 1] if fail_on != "never" else ()
    found = any(
        finding.status == "violation" and finding.severity in failing for finding in result.findings
    )
    return 1 if found else 0


def _told(written: Written) -> str:
    return (
        f"Reports in the cluster: {written.applied} written, {written.unchanged} as before, "
        f"{written.removed} removed."
    )


def _shard(arguments: argparse.Namespace) -> Shard | None:
    """Return the part of the cluster to judge, None for all of it. Raises InputError."""
    if arguments.shard is None and arguments.shards is None:
        return None
    from tidewaiter.rules.cluster.shard import parse_shard, shard_of_job

    stated = "--shards" if arguments.shard is None else "--shard"
    for option, other in (
        ("--shard and --shards", arguments.shard is not None and arguments.shards is not None),
        (f"{stated} and --namespace", arguments.namespace),
        (f"{stated} and --snapshot", arguments.snapshot),
    ):
        if other:
            msg = f"{option} exclude each other"
            raise InputError(msg)
    if arguments.shard is not None:
        return parse_shard(arguments.shard)
    import os

    return shard_of_job(arguments.shards, os.environ.get("JOB_COMPLETION_INDEX", ""))


def _wanted(text: str) -> frozenset[str]:
    words = frozenset(filter(None, (part.strip() for part in text.split(","))))
    for word in sorted(words.difference(_SHOWN)):
        msg = f"--show takes {', '.join(_SHOWN)}; not {word!r}"
        raise InputError(msg)
    return words


def _reports(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the reports to write as (format, file), an empty file for stdout."""
    reports = [(arguments.format, arguments.output or "")]
    for stated in arguments.report or ():
        form, _, file = stated.partition("=")
        if form not in FORMATS or not file:
            msg = (
                f"--report takes FORMAT=FILE with a format of {', '.join(FORMATS)}, not {stated!r}"
            )
            raise InputError(msg)
        reports.append((form, file))
    return reports


def _render(
    form: str,
    result: LintResult,
    arguments: argparse.Namespace,
    show: frozenset[str],
    *,
    to_terminal: bool,
) -> Iterator[str]:
    if form == "json":
        from tidewaiter.cli.output import json_report

        return json_report.pieces(result, show=show)
    from tidewaiter.cli.output import scan_text

    return scan_text.pieces(
        result,
        show=show,
        color=use_color(arguments.color) and to_terminal,
        statistics=arguments.statistics,
        quiet=arguments.quiet,
    )


def _progress() -> Callable[[int], None] | None:
    """Return what counts the objects on stderr, on a terminal and when the work has taken a while; 0 ends it."""
    if not sys.stderr.isatty():
        return None
    import time

    start = time.monotonic()

    def draw(read: int) -> None:
        if time.monotonic() - start > 1:
            told = f"{read} objects read" if read else ""
            print(f"\r\033[K{told}", end="", file=sys.stderr, flush=True)

    return draw
