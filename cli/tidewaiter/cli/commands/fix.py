"""Mend in the manifests what `tidewaiter lint` finds, where it can be mended without knowing the service.

Comments, quotes, order, anchors and indentation stay. Exit codes: 0 done (findings may be left; `tidewaiter
lint` fails on them); 1 with --check or --diff, something would change; 2 the job could not be done whole (a
mistake in the call or the policy, or a file that cannot be read or written): the others were still mended.
"""

from __future__ import annotations

import sys

from tidewaiter.cli.streams import complain, say
from tidewaiter.cli.surroundings import (
    INVENTORY_HELP,
    add_cluster_options,
    add_policy_options,
    chosen_policy,
    cores,
    shown,
    today,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import TextIO

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.fix import Choose, FixResult
    from tidewaiter.cli.run.generate import Generation
    from tidewaiter.cli.run.lint import Job

STDIN = "-"
KINDS = ("network-policy", "pdb", "hpa")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="file, folder or - for stdin (default: .)")
    add("--diff", action="store_true", help="print what would change as a diff; write nothing")
    add("--check", action="store_true", help="write nothing; exit 1 if something would change")
    add("--ask", action="store_true", help="ask before each fix, on a terminal")
    add("--unsafe", action="store_true", help="also fixes that may change what a workload does")
    add("--generate", action="store_true", help="also write missing objects into new files")
    add("--kind", action="append", choices=KINDS, help="what --generate writes; repeatable")
    add("--rule", action="append", metavar="RULE", help="mend only this rule's; may be repeated")
    add("--skip", action="append", metavar="RULE", help="do not mend this rule's; repeatable")
    add_policy_options(parser)
    add("--profile", action="append", metavar="NAME", help="set of rules; may be repeated")
    add("--kubernetes-version", metavar="X.Y", help="version to check for, 1.0 to 1.37")
    add("--exclude", action="append", metavar="GLOB", help="leave out files, as in .gitignore")
    add("--inventory", action="append", metavar="PATH", help=INVENTORY_HELP)
    add_cluster_options(parser)
    add("--schema-location", action="append", metavar="PATH", help="schemas of custom resources")
    add("-q", "--quiet", action="store_true", help="print no list of what was mended and left")


def run(arguments: argparse.Namespace) -> int:
    """Fix, write, say what was done, and return the exit code."""
    from tidewaiter.cli.run.fix import fix
    from tidewaiter.rules.errors import InputError

    paths = tuple(arguments.paths or ["."])
    if STDIN in paths and len(paths) > 1:
        raise InputError("standard input can only be mended alone: name - or files, not both")
    if STDIN in paths and arguments.generate:
        raise InputError("--generate writes files beside those it reads: name files or folders")
    if arguments.kind and not arguments.generate:
        raise InputError("--kind says what --generate writes: name both")
    if arguments.ask and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("--ask needs a terminal to ask on")
    job = _job(arguments, paths)
    contents = {}
    if STDIN in paths:
        from tidewaiter.rules.loading.sources import read_file

        contents[STDIN] = read_file(STDIN)
    chooser: Choose | None = _ask() if arguments.ask else None
    result = fix(job, unsafe=arguments.unsafe, choose=chooser, contents=contents)
    _complain(result, quiet=arguments.quiet)
    generation = _generation(arguments, job, result)
    keeps = arguments.diff or arguments.check
    failed = bool(result.errors)
    for path, problem in generation.problems if generation is not None else ():
        complain(f"{path}: error: {problem}")
        failed = True
    if arguments.diff:
        _print_diff(result, generation)
    elif STDIN in paths and not arguments.check:
        sys.stdout.buffer.write(result.changed.get(STDIN, (b"", contents[STDIN]))[1])
        sys.stdout.buffer.flush()
    elif not keeps:
        failed = _write(result, generation) or failed
    only_text = arguments.diff or STDIN in paths
    _report(
        result,
        generation,
        quiet=arguments.quiet or arguments.diff,
        would=keeps,
        out=sys.stderr if only_text else sys.stdout,
    )
    if failed:
        return 2
    would_change = result.changed or (generation is not None and generation.files)
    return 1 if keeps and would_change else 0


def _generation(arguments: argparse.Namespace, job: Job, result: FixResult) -> Generation | None:
    """Make the missing objects, and lay what that changes in kustomizations over the fixes."""
    if not arguments.generate:
        return None
    from tidewaiter.cli.run.generate import generate
    from tidewaiter.rules.fixes.objects import HPA

    kinds = arguments.kind or [kind for kind in KINDS if kind != HPA or not arguments.rule]
    contents = {path: after for path, (_, after) in result.changed.items()}
    findings = [left.finding for left in result.left]
    generation = generate(job, findings, kinds, contents)
    for path, (before, after) in generation.changed.items():
        result.changed[path] = (result.changed.get(path, (before, b""))[0], after)
    return generation


def _job(arguments: argparse.Namespace, paths: tuple[str, ...]) -> Job:
    from tidewaiter.cli.run.lint import Job

    return Job(
        paths=paths,
        exclude=tuple(arguments.exclude or ()),
        inventory=tuple(arguments.inventory or ()),
        schemas=tuple(arguments.schema_location or ()),
        plain_policy=chosen_policy(arguments, only=arguments.rule, skip=arguments.skip),
        jobs=cores(),
        today=today(),
        use_cache=False,
        # Files are edited as they stand, and templates never.
        render=False,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
    )


def _complain(result: FixResult, *, quiet: bool) -> None:
    for error in result.errors:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
        complain(f"{place}: error: {error.message}" if place else error.message)
    for chart in () if quiet else result.charts:
        complain(
            f"note: chart {chart} is left alone: Helm writes what its templates make; `tidewaiter lint` "
            "shows what is found in it"
        )


def _print_diff(result: FixResult, generation: Generation | None) -> None:
    from tidewaiter.cli.output.diff import unified

    changed = dict(result.changed)
    for file in generation.files if generation is not None else ():
        changed[file.path] = (b"", file.content)
    for path, (before, after) in sorted(changed.items()):
        for line in unified(path if path != STDIN else "stdin", before, after):
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _write(result: FixResult, generation: Generation | None) -> bool:
    """Write every new and every changed file; tell whether one could not be."""
    from tidewaiter.rules.errors import InputError
    from tidewaiter.rules.fixes.writing import create, rewrite

    failed = False
    for file in generation.files if generation is not None else ():
        try:
            create(file.path, file.content)
        except InputError as error:
            complain(f"{file.path}: error: {error.message}")
            failed = True
    for path, (before, after) in sorted(result.changed.items()):
        try:
            rewrite(path, before, after)
        except InputError as error:
            complain(f"{path}: error: {error.message}")
            del result.changed[path]
            failed = True
    return failed


def _report(
    result: FixResult, generation: Generation | None, *, quiet: bool, would: bool, out: TextIO
) -> None:
    from tidewaiter.cli.output.fixes import report

    for line in report(result, generation, would=would, quiet=quiet):
        print(shown(line), file=out)


def _ask() -> Callable[[LintFinding, bytes, bytes], bool]:
    """Return what asks on the terminal: yes, no, all the rest, or quit."""
    from tidewaiter.cli.output.diff import unified
    from tidewaiter.cli.run.fix import Stop

    takes_all = False

    def choose(finding: LintFinding, before: bytes, after: bytes) -> bool:
        nonlocal takes_all
        if takes_all:
            return True
        safety = "" if finding.fix is None or finding.fix[0] else " (unsafe)"
        where = f"{finding.file}:{finding.line}"
        say("")
        complain(f"{where}: {finding.rule}: {finding.message}{safety}")
        for line in unified(finding.file, before, after):
            sys.stderr.write(shown(line))
        while True:
            sys.stderr.write("Make this change? [y]es, [n]o, [a]ll that follow, [q]uit: ")
            sys.stderr.flush()
            line = sys.stdin.readline()
            answer = line.strip().lower()[:1] if line else "q"
            if answer == "q":
                raise Stop
            if answer in {"y", "n", "a"}:
                takes_all = answer == "a"
                return answer != "n"

    return choose
