"""Check Kubernetes manifests against the policy and print what is wrong, where, and the remedy.

Exit codes: 0 nothing at or above the fail level; 1 findings at or above it; 2 the job could not be done
whole (a mistake in the call or the policy, or input that cannot be read): what could be read was checked.
"""

from __future__ import annotations

import sys

from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import (
    INVENTORY_HELP,
    add_cluster_options,
    add_policy_options,
    chosen_policy,
    cores,
    today,
    use_color,
    write,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from tidewaiter.cli.baseline import Entry
    from tidewaiter.cli.result import LintResult
    from tidewaiter.rules.policy.compiled import PlainPolicy

FORMATS = (
    "text", "json", "sarif", "junit", "github", "gitlab", "tap", "policyreport", "markdown", "html",
)  # fmt: skip
_BY_FAIL_LEVEL = frozenset({"junit", "tap"})
"""Formats whose tests fail where the run fails."""
_AROUND = {"html": 2}
"""Source lines around a finding that a format shows."""
FAIL_LEVELS = ("error", "warning", "info", "never")
_SHOWN = ("exempted", "unknown", "fingerprints")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="file, folder or - for stdin (default: .)")
    add_policy_options(parser)
    add("--profile", action="append", metavar="NAME", help="set of rules; may be repeated")
    add("--kubernetes-version", metavar="X.Y", help="version to check for, 1.0 to 1.37")
    add("--only", action="append", metavar="RULE", help="run only this rule; may be repeated")
    add("--skip", action="append", metavar="RULE", help="do not run this rule; may be repeated")
    add("--exclude", action="append", metavar="GLOB", help="leave out files, as in .gitignore")
    add("--inventory", action="append", metavar="PATH", help=INVENTORY_HELP)
    add_cluster_options(parser)
    add("--schema-location", action="append", metavar="PATH", help="schemas of custom resources")
    add("--no-render", action="store_true", help="leave charts and kustomizations unrendered")
    add("--values", action="append", metavar="FILE", help="values for charts; may be repeated")
    add("--set", action="append", metavar="KEY=VALUE", help="one value for charts, as Helm has it")
    add("--namespace", metavar="NAME", help="namespace that charts are rendered for")
    add("--verify-images", action="store_true", help="ask registries for the signatures demanded")
    add("--format", default="text", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    add("--output", metavar="FILE", help="write the report there rather than to stdout")
    add("--report", action="append", metavar="FORMAT=FILE", help="one more report; repeatable")
    add("--fail-on", choices=FAIL_LEVELS, help="lowest severity that fails (default: error)")
    add("--baseline", metavar="FILE", help="leave out the findings that a baseline holds")
    add("--write-baseline", action="store_true", help="put all findings into the baseline")
    add("--changed-since", metavar="REF", help="only findings on objects changed since a commit")
    add(
        "--show",
        metavar="LIST",
        default="",
        help="also show: unknown, exempted; fingerprints in JSON",
    )
    add("--statistics", action="store_true", help="count the findings by rule")
    add("--jobs", type=_jobs, metavar="N", help="processes at most (default: one a core)")
    add("--no-cache", action="store_true", help="neither read nor write the cache")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
    add("-q", "--quiet", action="store_true", help="print findings only, without remedies")
    add(
        "-v", "--verbose", action="store_true", help="name the files that were passed over, and why"
    )


def run(arguments: argparse.Namespace) -> int:
    """Lint, print the reports and return the exit code."""
    from tidewaiter.cli.run.lint import Job, lint

    show = _wanted(arguments.show)
    reports = _reports(arguments)
    plain = chosen_policy(
        arguments,
        only=arguments.only,
        skip=arguments.skip,
        fail_on=arguments.fail_on,
        use_cache=not arguments.no_cache,
    )
    job = Job(
        paths=tuple(arguments.paths or ["."]),
        exclude=tuple(arguments.exclude or ()),
        inventory=tuple(arguments.inventory or ()),
        schemas=tuple(arguments.schema_location or ()),
        plain_policy=plain,
        jobs=arguments.jobs or min(cores(), 16),
        today=today(),
        use_cache=not arguments.no_cache,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        around=max(_AROUND.get(form, 0) for form, _ in reports),
        verify_images=arguments.verify_images,
        extents=bool(arguments.changed_since),
        render=not arguments.no_render,
        values=tuple(arguments.values or ()),
        settings=tuple(arguments.set or ()),
        namespace=arguments.namespace or "",
    )
    if arguments.write_baseline and arguments.changed_since:
        from tidewaiter.rules.errors import InputError

        raise InputError("--write-baseline takes all findings: it does not go with --changed-since")
    known = _baseline(arguments)
    result = lint(job, _progress_bar())
    if arguments.changed_since or known is not None:
        from tidewaiter.cli.run.ratchet import held_back

        result = held_back(result, known, arguments.changed_since)
    for error in result.errors:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
        complain(f"{place}: error: {error.message}" if place else error.message)
    if arguments.verbose:
        for file, reason in result.skipped:
            complain(f"{file}: skipped: {reason}")
    if plain.get("images") and not (arguments.verify_images or arguments.quiet):
        _tell_of_unverified(result)
    if arguments.write_baseline:
        result = _written_baseline(arguments, result)
    for form, file in reports:
        write(_render(form, result, arguments, show, plain, to_terminal=not file), file)
    return _exit_code(result, plain.get("failOn", "error"))


def _baseline(arguments: argparse.Namespace) -> list[Entry] | None:
    """Read the baseline, so that a mistake in it is told before the work begins."""
    if not arguments.baseline or arguments.write_baseline:
        return None
    from tidewaiter.cli.baseline import load

    return load(arguments.baseline)


def _written_baseline(arguments: argparse.Namespace, result: LintResult) -> LintResult:
    """Write all findings into the baseline and return the result without them."""
    from tidewaiter.cli.baseline import DEFAULT_FILE, entries_of, save
    from tidewaiter.cli.run.ratchet import held_back

    path = arguments.baseline or DEFAULT_FILE
    if result.errors:
        print(f"{path}: not written, since not everything could be checked", file=sys.stderr)
        return result
    entries = entries_of(result.findings)
    save(path, entries)
    number = sum(entry.count for entry in entries)
    print(f"{path}: {number} finding{'' if number == 1 else 's'}", file=sys.stderr)
    return held_back(result, entries, None)


def _tell_of_unverified(result: LintResult) -> None:
    """Say that images were not asked about, where the policy asks something of those that there are."""
    from tidewaiter.cli.output.statistics import counted
    from tidewaiter.cli.run.images import unanswered

    number = len(unanswered(result.findings))
    if number:
        what = counted(number, "answer on a signed image", "answers on signed images")
        print(f"tidewaiter: {what} unknown; --verify-images asks the registries", file=sys.stderr)


def _exit_code(result: LintResult, fail_on: str) -> int:
    if result.errors:
        return 2
    failing = FAIL_LEVELS[: FAIL_LEVELS.index(fail_on) + 1] if fail_on != "never" else ()
    found = any(
        finding.status == "violation" and finding.severity in failing for finding in result.findings
    )
    return 1 if found else 0


def _wanted(text: str) -> frozenset[str]:
    from tidewaiter.rules.errors import InputError

    words = frozenset(filter(None, (part.strip() for part in text.split(","))))
    for word in sorted(words.difference(_SHOWN)):
        msg = f"--show takes {', '.join(_SHOWN)}; not {word!r}"
        raise InputError(msg)
    return words


def _reports(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the reports to write as (format, file), an empty file for stdout."""
    from tidewaiter.rules.errors import InputError

    reports = [(_format(arguments.format), arguments.output or "")]
    for stated in arguments.report or ():
        form, _, file = stated.partition("=")
        if not file:
            msg = f"--report takes FORMAT=FILE, as in sarif=tidewaiter.sarif, not {stated!r}"
            raise InputError(msg)
        reports.append((_format(form), file))
    return reports


def _format(name: str) -> str:
    if name not in FORMATS:
        from tidewaiter.rules.errors import InputError
        from tidewaiter.rules.names import nearest_name

        nearest = nearest_name(name, FORMATS)
        hint = f"did you mean {nearest!r}?" if nearest else f"there are {', '.join(FORMATS)}"
        raise InputError(f"there is no format {name!r}; {hint}")
    return name


def _render(
    form: str,
    result: LintResult,
    arguments: argparse.Namespace,
    show: frozenset[str],
    plain: PlainPolicy,
    *,
    to_terminal: bool,
) -> Iterator[str]:
    if form == "json":
        from tidewaiter.cli.output import json_report

        return json_report.pieces(result, show=show)
    if form != "text":
        from importlib import import_module

        pieces = import_module(f"tidewaiter.cli.output.{form}").pieces
        words = {"fail_on": plain.get("failOn", "error")} if form in _BY_FAIL_LEVEL else {}
        if form == "policyreport":
            words["policy"] = plain.get("name") or "default"
        found: Iterator[str] = pieces(result, show=show, **words)
        return found
    from tidewaiter.cli.output import text

    return text.pieces(
        result,
        show=show,
        color=use_color(arguments.color) and to_terminal,
        statistics=arguments.statistics,
        quiet=arguments.quiet,
    )


def _progress_bar() -> Callable[[int, int], None] | None:
    """Return what draws a bar on stderr, on a terminal and when the work has taken a while."""
    if not sys.stderr.isatty():
        return None
    import time

    start = time.monotonic()

    def draw(done: int, of: int) -> None:
        if time.monotonic() - start > 1:
            filled = 30 * done // max(of, 1)
            end = "\r\033[K" if done >= of else ""
            bar = "#" * filled + "." * (30 - filled)
            print(f"\r[{bar}] {done} of {of} files{end}", end="", file=sys.stderr, flush=True)

    return draw


def _jobs(text: str) -> int:
    import argparse

    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"takes a number from 1 to 256, not {text!r}")
    return int(text)
