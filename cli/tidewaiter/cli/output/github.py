"""Annotations of GitHub Actions, as workflow commands in the log.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
GitHub keeps ten annotations of each kind for a step and drops the rest without a word, so the gravest ones
come as commands, and the others as plain lines of the log.
"""

from __future__ import annotations

from tidewaiter.cli.output.shared import (
    clean,
    error_text,
    exemption_text,
    label,
    repository_path,
    shown,
    where,
    whole,
)
from tidewaiter.cli.output.statistics import count, counted
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintError, LintFinding, LintResult

LIMIT = 10
"""Annotations of a kind that GitHub shows for one step."""
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def pieces(result: LintResult, *, show: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the commands and lines of the log, each with its line end."""
    left = dict.fromkeys(_COMMANDS.values(), LIMIT)
    rest: list[str] = []
    for error in result.errors:
        if left["error"]:
            left["error"] -= 1
            yield _error_command(error) + "\n"
        else:
            rest.append(f"error: {error_text(error)}")
    for finding in shown(result, show):
        kind = _COMMANDS[finding.severity] if finding.status == VIOLATION else "notice"
        if left[kind]:
            left[kind] -= 1
            yield _command(kind, finding) + "\n"
        else:
            rest.append(_plain(finding))
    if rest:
        yield (
            f"GitHub shows {LIMIT} annotations of a kind for each step; "
            f"{counted(len(rest), 'more finding')}:\n"
        )
        for line in rest:
            yield _log_line(line) + "\n"
    yield _summary(result) + "\n"


def _command(kind: str, finding: LintFinding) -> str:
    properties = [f"file={_property(repository_path(finding.file))}", f"line={finding.line}"]
    if finding.end_line == finding.line:
        # The end is the last character, and columns are refused where an annotation has several lines.
        end = max(finding.end_column - 1, finding.column)
        properties += [f"endLine={finding.line}", f"col={finding.column}", f"endColumn={end}"]
    else:
        properties.append(f"endLine={finding.end_line}")
    status = "" if finding.status == VIOLATION else f" ({finding.status})"
    properties.append(f"title={_property(finding.rule + status)}")
    lines = [clean(finding.message), where(finding), exemption_text(finding)]
    if finding.status == VIOLATION and finding.remediation:
        lines.append(f"Remedy: {whole(finding.remediation)}")
    return f"::{kind} {','.join(properties)}::{_data(chr(10).join(filter(None, lines)))}"


def _error_command(error: LintError) -> str:
    properties = [f"file={_property(repository_path(error.file))}"] if error.file else []
    properties += [f"line={error.line}"] if error.line else []
    properties += [f"col={error.column}"] if error.line and error.column else []
    properties.append("title=cannot be checked")
    return f"::error {','.join(properties)}::{_data(clean(error.message))}"


def _plain(finding: LintFinding) -> str:
    place = f"{repository_path(finding.file)}:{finding.line}:{finding.column}"
    return f"{place}: {label(finding)}: {clean(finding.message)} [{finding.rule}]"


def _log_line(line: str) -> str:
    """Return a line that the runner takes for no command, in either of the notations it knows."""
    return "- " + line.replace("##[", "## [")


def _summary(result: LintResult) -> str:
    tally = count(result.findings)
    parts = [f"{tally[severity]} {severity}" for severity in SEVERITIES if tally[severity]]
    parts += [f"{tally[status]} {status}" for status in (UNKNOWN, EXEMPTED) if tally[status]]
    files = counted(result.files, "file")
    return f"tidewaiter: {', '.join(parts) or 'no findings'} in {files}"


def _data(text: str) -> str:
    return text.translate(_DATA)


def _property(text: str) -> str:
    return text.translate(_PROPERTY)
