"""What the reports for other programs share: which findings they show, and how they name things."""

from __future__ import annotations

import os

from tidewaiter.cli.output.excerpt import printable
from tidewaiter.rules.finding import SEVERITIES, VIOLATION
from tidewaiter.rules.loading.sources import STDIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintError, LintFinding, LintResult


def shown(result: LintResult, show: frozenset[str]) -> Iterator[LintFinding]:
    """Yield the violations, and the findings of the statuses that were asked for."""
    for finding in result.findings:
        if finding.status == VIOLATION or finding.status in show:
            yield finding


def label(finding: LintFinding) -> str:
    """Return the severity of a violation, or else the status."""
    return finding.severity if finding.status == VIOLATION else finding.status


def fails(finding: LintFinding, fail_on: str) -> bool:
    """Tell whether a finding fails the run at a fail level."""
    if finding.status != VIOLATION or fail_on == "never":
        return False
    return SEVERITIES.index(finding.severity) <= SEVERITIES.index(fail_on)


def object_name(finding: LintFinding) -> str:
    """Name a finding's object: `Deployment payments/api`, or "" for a finding on the policy file."""
    if not finding.kind:
        return ""
    name = f"{finding.namespace}/{finding.name}" if finding.namespace else finding.name
    return clean(f"{finding.kind} {name}".rstrip())


def where(finding: LintFinding) -> str:
    """Name a finding's object, container and field on one line."""
    container = f"container {clean(finding.container)}" if finding.container is not None else ""
    parts = ", ".join(filter(None, (object_name(finding), container)))
    return ": ".join(filter(None, (parts, clean(finding.pointer))))


def exemption_text(finding: LintFinding) -> str:
    """Say which exemption a finding falls under, "" where there is none."""
    exemption = finding.exemption
    if exemption is None:
        return ""
    until = f", until {exemption['expires']}" if exemption.get("expires") else ""
    return clean(f"exempted by {exemption.get('source')}: {exemption.get('reason')}{until}")


def error_text(error: LintError) -> str:
    """Return an error on one line, after its place."""
    parts = (repository_path(error.file) if error.file else "", error.line, error.column)
    place = ":".join(str(part) for part in parts if part)
    return f"{place}: {clean(error.message)}" if place else clean(error.message)


def clean(text: str) -> str:
    """Return a text on one line that any file can hold: no control character, no stray surrogate."""
    return whole(printable(text))


def whole(text: str) -> str:
    """Return a text without the surrogates that stand for bytes outside UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def cleaned_lines(text: str) -> str:
    """Return a text of several lines, each cleaned."""
    return "\n".join(clean(line) for line in text.split("\n"))


def repository_path(file: str) -> str:
    """Return a file's path from the root of its repository, where the programs that read a report look.

    Without a repository around the working directory, or outside of it, the path is as the user named it.
    """
    return clean(raw_repository_path(file))


def raw_repository_path(file: str) -> str:
    """Return what `repository_path` does with the name's own bytes."""
    root = repository_root()
    if file == STDIN or not root:
        return file
    path = os.path.relpath(os.path.abspath(file), root)
    return file if path.startswith("..") else path


def repository_root() -> str:
    """Return the root of the repository that the working directory is in, "" where it is in none."""
    here = os.getcwd()
    if here not in _roots:
        folder = here
        while not os.path.exists(os.path.join(folder, ".git")):
            parent = os.path.dirname(folder)
            if parent == folder:
                folder = ""
                break
            folder = parent
        _roots[here] = folder
    return _roots[here]


_roots: dict[str, str] = {}
