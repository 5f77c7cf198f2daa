"""Look after a baseline, the file of findings that `tidewaiter lint --baseline` leaves out.

`prune` lints again and drops what is fixed; `show` counts what the file holds. Exit codes: 0 done; 1 with
--check, something would be dropped; 2 the job could not be done whole, and the file is as it was.
"""

from __future__ import annotations

import os
import sys

from tidewaiter.cli.baseline import DEFAULT_FILE
from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import INVENTORY_HELP, add_cluster_options, add_policy_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tidewaiter.cli.baseline import Entry


_FILE_HELP = f"the baseline (default: {DEFAULT_FILE})"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    prune = actions.add_parser("prune", help="drop what is fixed", allow_abbrev=False)
    add = prune.add_argument
    add("file", nargs="?", default=DEFAULT_FILE, metavar="FILE", help=_FILE_HELP)
    add("paths", nargs="*", metavar="PATH", help="what to lint, as of `lint` (default: .)")
    add("--check", action="store_true", help="write nothing; exit 1 if something is fixed")
    add_policy_options(prune)
    add("--profile", action="append", metavar="NAME", help="set of rules; may be repeated")
    add("--kubernetes-version", metavar="X.Y", help="version to check for, 1.0 to 1.37")
    add("--exclude", action="append", metavar="GLOB", help="leave out files, as in .gitignore")
    add("--inventory", action="append", metavar="PATH", help=INVENTORY_HELP)
    add_cluster_options(prune)
    add("--schema-location", action="append", metavar="PATH", help="schemas of custom resources")
    show = actions.add_parser("show", help="count what it holds", allow_abbrev=False)
    show.add_argument("file", nargs="?", default=DEFAULT_FILE, metavar="FILE", help=_FILE_HELP)


def run(arguments: argparse.Namespace) -> int:
    """Do what the action asks and return the exit code. Raises InputError."""
    from tidewaiter.cli.baseline import load

    entries = load(arguments.file)
    if arguments.action == "show":
        _show(entries)
        return 0
    return _prune(arguments, entries)


def _prune(arguments: argparse.Namespace, entries: list[Entry]) -> int:
    from tidewaiter.cli.baseline import save, split, without
    from tidewaiter.cli.output.shared import repository_path
    from tidewaiter.cli.output.statistics import counted
    from tidewaiter.cli.run.lint import Job, lint
    from tidewaiter.cli.surroundings import chosen_policy, cores, today
    from tidewaiter.rules.loading.sources import discover

    paths = tuple(arguments.paths or ["."])
    exclude = tuple(arguments.exclude or ())
    job = Job(
        paths=paths,
        exclude=exclude,
        inventory=tuple(arguments.inventory or ()),
        schemas=tuple(arguments.schema_location or ()),
        plain_policy=chosen_policy(arguments),
        jobs=cores(),
        today=today(),
        use_cache=True,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
    )
    result = lint(job)
    for error in result.errors:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
        complain(f"{place}: error: {error.message}" if place else error.message)
    if result.errors:
        print(f"{arguments.file}: not pruned: not everything could be checked", file=sys.stderr)
        return 2
    left = split(result.findings, entries).left
    found = discover(paths, exclude)
    files = {repository_path(file.path) for file in found.files}
    for chart in found.charts:  # findings stand in helpers too, which are no YAML
        files |= {
            repository_path(os.path.join(folder, name))
            for folder, _, names in os.walk(chart)
            for name in names
        }
    kept = without(entries, left, files, result.findings)
    before, after = _total(entries), _total(kept)
    if not arguments.check and kept != entries:
        save(arguments.file, kept)
    verb = "would be dropped" if arguments.check else "dropped"
    print(f"{arguments.file}: {counted(before - after, 'finding')} {verb}, {after} left")
    return 1 if arguments.check and before != after else 0


def _show(entries: Sequence[Entry]) -> None:
    from tidewaiter.cli.output.excerpt import printable
    from tidewaiter.cli.output.statistics import counted

    by_rule: dict[str, int] = {}
    by_file: dict[str, int] = {}
    for entry in entries:
        by_rule[entry.rule] = by_rule.get(entry.rule, 0) + entry.count
        by_file[entry.file] = by_file.get(entry.file, 0) + entry.count
    print(f"{counted(_total(entries), 'finding')} in {counted(len(by_file), 'file')}")
    for title, tally in (("rule", by_rule), ("file", by_file)):
        if tally:
            print(f"\n{'findings':>8}  {title}")
        for name, number in sorted(tally.items(), key=lambda row: (-row[1], row[0])):
            print(f"{number:>8}  {printable(name)}")


def _total(entries: Sequence[Entry]) -> int:
    return sum(entry.count for entry in entries)
