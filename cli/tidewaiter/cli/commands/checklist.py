"""Answer the release checklist for every service in the manifests: yes, no, not applicable or unknown.

Exit codes: 0 no answer at or above the fail level; 1 some are; 2 the job could not be done whole (a
mistake in the call or the policy, or input that cannot be read): what could be read was answered.
"""

from __future__ import annotations

from tidewaiter.cli.streams import complain
from tidewaiter.cli.surroundings import add_cluster_options, add_policy_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any


FORMATS = ("text", "json", "markdown", "html")
FAIL_LEVELS = ("no", "unknown", "never")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="file, folder or - for stdin (default: .)")
    add_policy_options(parser)
    add_cluster_options(parser)
    add("--kubernetes-version", metavar="X.Y", help="version to check for, 1.0 to 1.37")
    add("--exclude", action="append", metavar="GLOB", help="leave out files, as in .gitignore")
    add("--inventory", action="append", metavar="PATH", help="further manifests to know of")
    add("--no-render", action="store_true", help="leave charts and kustomizations unrendered")
    add("--values", action="append", metavar="FILE", help="values for charts; may be repeated")
    add("--set", action="append", metavar="KEY=VALUE", help="one value for charts, as Helm has it")
    add("--namespace", metavar="NAME", help="namespace that charts are rendered for")
    add("--format", choices=FORMATS, default="text", help="form of the report (default: text)")
    add("--output", metavar="FILE", help="write the report there rather than to stdout")
    add(
        "--fail-on",
        choices=FAIL_LEVELS,
        default="no",
        help="answers that fail: no (default), unknown (and no), never",
    )
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")


def run(arguments: argparse.Namespace) -> int:
    """Answer, print the report and return the exit code."""
    from tidewaiter.cli.run.checklist import ChecklistJob, run_checklist
    from tidewaiter.cli.surroundings import stated_policy, today, use_color, write

    job = ChecklistJob(
        paths=tuple(arguments.paths or ["."]),
        exclude=tuple(arguments.exclude or ()),
        inventory=_inventory(arguments.inventory),
        plain_policy=stated_policy(
            arguments.policy,
            kubernetes_version=arguments.kubernetes_version,
            base=arguments.base,
            kubeconfig=arguments.kubeconfig,
            context=arguments.context,
        ),
        today=today(),
        render=not arguments.no_render,
        values=tuple(arguments.values or ()),
        settings=tuple(arguments.set or ()),
        namespace=arguments.namespace or "",
    )
    data = run_checklist(job)
    for error in data["errors"]:
        parts = (error["file"], error["line"], error["column"])
        place = ":".join(str(part) for part in parts if part)
        message = error["message"]
        complain(f"{place}: error: {message}" if place else message)
    color = use_color(arguments.color) and not arguments.output
    write(_render(arguments.format, data, color=color), arguments.output or "")
    return _exit_code(data, arguments.fail_on)


def _inventory(paths: list[str] | None) -> tuple[str, ...]:
    if "cluster" in (paths or ()):
        from tidewaiter.rules.errors import InputError

        msg = "the checklist answers by manifests; --inventory cluster is for lint and fix"
        raise InputError(msg)
    return tuple(paths or ())


def _exit_code(data: dict[str, Any], fail_on: str) -> int:
    if data["errors"]:
        return 2
    answers = data["summary"]["answers"]
    failing = {"no": answers["no"], "unknown": answers["no"] + answers["unknown"], "never": 0}
    return 1 if failing[fail_on] else 0


def _render(form: str, data: dict[str, Any], *, color: bool) -> Iterator[str]:
    if form == "json":
        from tidewaiter.cli.checklist_output import json_form

        return json_form.pieces(data)
    if form == "markdown":
        from tidewaiter.cli.checklist_output import markdown_form

        return markdown_form.pieces(data)
    if form == "html":
        from tidewaiter.cli.checklist_output import html_form

        return html_form.pieces(data)
    from tidewaiter.cli.checklist_output import text_form

    return text_form.pieces(data, color=color)
