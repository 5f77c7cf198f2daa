"""Show what a change of the manifests, the policy or the version changes in findings.

OLD and NEW are files, folders, folders of a commit (main:deploy; main: is the whole tree), or reports that
`tidewaiter lint --format json` has written. Exit codes: 0 nothing new at or above the fail level; 1 something
is; 2 the job could not be done whole.
"""

from __future__ import annotations

from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import INVENTORY_HELP, add_cluster_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tidewaiter.cli.run.comparison import Comparison, Side
    from tidewaiter.rules.policy.compiled import PlainPolicy

FORMATS = ("text", "json", "markdown")
FAIL_LEVELS = ("error", "warning", "info", "never")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("old", metavar="OLD", help="what it was")
    add("new", metavar="NEW", nargs="?", help="what it is (default: the same as OLD)")
    add("--policy", metavar="FILE", help="policy of both sides (default: as of lint)")
    add("--old-policy", metavar="FILE", help="policy of OLD, perhaps main:tidewaiter.yaml")
    add("--new-policy", metavar="FILE", help="policy of NEW")
    add("--profile", action="append", metavar="NAME", help="set of rules; may be repeated")
    add("--kubernetes-version", metavar="X.Y", help="version to check both sides for")
    add("--old-kubernetes-version", metavar="X.Y", help="version to check OLD for")
    add("--new-kubernetes-version", metavar="X.Y", help="version to check NEW for")
    add("--only", action="append", metavar="RULE", help="run only this rule; may be repeated")
    add("--skip", action="append", metavar="RULE", help="do not run this rule; may be repeated")
    add("--exclude", action="append", metavar="GLOB", help="leave out files, as in .gitignore")
    add("--inventory", action="append", metavar="PATH", help=INVENTORY_HELP)
    add_cluster_options(parser)
    add("--schema-location", action="append", metavar="PATH", help="schemas of custom resources")
    add("--format", default="text", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    add("--output", metavar="FILE", help="write the report there rather than to stdout")
    add("--fail-on", choices=FAIL_LEVELS, help="lowest severity that fails (default: error)")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
    add("-q", "--quiet", action="store_true", help="print the counts only")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print the report and return the exit code. Raises InputError and PolicyError."""
    from tidewaiter.cli.run.comparison import compare
    from tidewaiter.cli.surroundings import use_color, write
    from tidewaiter.rules.errors import InputError

    if arguments.format not in FORMATS:
        from tidewaiter.rules.names import nearest_name

        nearest = nearest_name(arguments.format, FORMATS)
        hint = f"did you mean {nearest!r}?" if nearest else f"there are {', '.join(FORMATS)}"
        raise InputError(f"there is no format {arguments.format!r}; {hint}")
    new = arguments.new or arguments.old
    policies = [_policy(arguments, side) for side in ("old", "new")]
    same_policy = {**policies[0], "file": ""} == {**policies[1], "file": ""}
    if new == arguments.old and same_policy:
        raise InputError(
            "both sides are the same: name NEW, --new-policy or --new-kubernetes-version"
        )
    old_side = _side(arguments.old, policies[0], arguments)
    comparison = compare(old_side, _side(new, policies[1], arguments))
    for error in comparison.errors:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
        complain(f"{place}: error: {error.message}" if place else error.message)
    color = use_color(arguments.color) and not arguments.output
    write(_render(comparison, arguments, color=color), arguments.output or "")
    return _exit_code(comparison, policies[1].get("failOn", "error"))


def _exit_code(comparison: Comparison, fail_on: str) -> int:
    if comparison.errors:
        return 2
    failing = FAIL_LEVELS[: FAIL_LEVELS.index(fail_on) + 1] if fail_on != "never" else ()
    raised = [
        pair.new
        for pair in comparison.changed
        if FAIL_LEVELS.index(pair.new.severity) < FAIL_LEVELS.index(pair.old.severity)
    ]
    return 1 if any(one.severity in failing for one in (*comparison.added, *raised)) else 0


def _side(spec: str, plain: PlainPolicy, arguments: argparse.Namespace) -> Side:
    from tidewaiter.cli.run.comparison import read_side
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.cli.surroundings import cores, today

    job = Job(
        paths=(),
        exclude=tuple(arguments.exclude or ()),
        inventory=tuple(arguments.inventory or ()),
        schemas=tuple(arguments.schema_location or ()),
        plain_policy=plain,
        jobs=cores(),
        today=today(),
        use_cache=True,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
    )
    return read_side(spec, job)


def _policy(arguments: argparse.Namespace, side: str) -> PlainPolicy:
    from tempfile import TemporaryDirectory

    from tidewaiter.cli.run.comparison import policy_of
    from tidewaiter.cli.surroundings import stated_policy

    spec = getattr(arguments, f"{side}_policy") or arguments.policy
    version = getattr(arguments, f"{side}_kubernetes_version")
    with TemporaryDirectory(prefix="tidewaiter-") as folder:
        plain = stated_policy(
            policy_of(spec, folder) if spec else None,
            profiles=arguments.profile,
            kubernetes_version=version or arguments.kubernetes_version,
            only=arguments.only,
            skip=arguments.skip,
            fail_on=arguments.fail_on,
        )
    return {**plain, "file": spec} if spec and "file" in plain else plain


def _render(comparison: Comparison, arguments: argparse.Namespace, *, color: bool) -> Iterator[str]:
    if arguments.format == "json":
        from tidewaiter.cli.diff_output import json_form

        return json_form.pieces(comparison)
    if arguments.format == "markdown":
        from tidewaiter.cli.diff_output import markdown_form

        return markdown_form.pieces(comparison)
    from tidewaiter.cli.diff_output import text_form

    return text_form.pieces(comparison, color=color, quiet=arguments.quiet)
