"""The report for programs: one JSON object, in ASCII, each finding on a line of its own.

The shape is a contract; `version` changes when it does. Written by hand rather than by `json`, whose
import takes as long as linting a small manifest.
"""

from __future__ import annotations

from tidewaiter.cli.output.statistics import count
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION
from tidewaiter.rules.version import __version__

try:
    from _json import encode_basestring_ascii as _string
except ImportError:  # an interpreter without the C accelerator
    from json.encoder import py_encode_basestring_ascii as _string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.cli.result import LintError, LintFinding, LintResult

VERSION = 1
"""Of the report's shape."""


def render(result: LintResult, *, show: frozenset[str] = frozenset()) -> str:
    """Return the report as one text; see `pieces`."""
    return "".join(pieces(result, show=show))


def pieces(result: LintResult, *, show: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the report piece by piece, since that of a large tree is larger than the tree.

    `show` holds "unknown" and "exempted" where those are wanted as well, and "fingerprints" where each finding is to
    have the one that SARIF has as `tidewaiter/v1`.
    """
    tally = count(result.findings)
    severities = ", ".join(f'"{severity}": {tally[severity]}' for severity in SEVERITIES)
    yield (
        f'{{"version": {VERSION},\n'
        f' "tool": {{"name": "tidewaiter", "version": {_string(__version__)}}},\n'
        f' "summary": {{"files": {result.files}, "resources": {result.resources}, '
        f'"findings": {{{severities}}}, "unknown": {tally[UNKNOWN]}, '
        f'"exempted": {tally[EXEMPTED]}, "errors": {len(result.errors)}{_held(result)}}},\n'
        ' "findings": '
    )
    listed = (
        finding
        for finding in result.findings
        if finding.status == VIOLATION or finding.status in show
    )
    yield from array(_marked(listed) if "fingerprints" in show else map(finding_object, listed))
    yield ',\n "errors": '
    yield from array(map(error_object, result.errors))
    yield "}\n"


def _marked(findings: Iterable[LintFinding]) -> Iterator[str]:
    from tidewaiter.cli.fingerprint import fingerprints

    listed = list(findings)
    for finding, mark in zip(listed, fingerprints(listed, by_file=False), strict=True):
        yield f'{finding_object(finding)[:-1]}, "fingerprint": "{mark}"}}'


def _held(result: LintResult) -> str:
    """Return the counts of what was found and does not count, where that was asked for."""
    held = result.held
    text = ""
    if held.unmatched is not None:
        text += f', "baseline": {{"findings": {len(held.baseline)}, "unmatched": {held.unmatched}}}'
    if held.elsewhere is not None:
        text += f', "unchanged": {held.elsewhere}'
    return text


def array(items: Iterable[str]) -> Iterator[str]:
    """Yield a JSON array, each item on a line of its own."""
    before = "[\n  "
    for item in items:
        yield before
        yield item
        before = ",\n  "
    yield "[]" if before[0] == "[" else "]"


def finding_object(finding: LintFinding) -> str:
    """Return one finding as a JSON object."""
    return (
        f'{{"rule": {_string(finding.rule)}, "severity": {_string(finding.severity)}, '
        f'"status": {_string(finding.status)}, "message": {_string(finding.message)}, '
        f'"remediation": {_string(finding.remediation)}, "fixable": {_boolean(finding.fix is not None)}, '
        f'"resource": {_resource(finding)}, "container": {_optional(finding.container)}, '
        f'"pointer": {_string(finding.pointer)}, '
        f'"location": {_location(finding)}, "exemption": {_exemption(finding)}{_value_from(finding)}}}'
    )


def _value_from(finding: LintFinding) -> str:
    """Return where a rendered field has its value from, for those alone."""
    if finding.value_from is None:
        return ""
    file, line = finding.value_from
    return f', "valueFrom": {{"file": {_string(file)}, "line": {line}}}'


def _location(finding: LintFinding) -> str:
    """Return the place in a file, or null for an object that was read from a cluster."""
    if not finding.line:
        return "null"
    return (
        f'{{"file": {_string(finding.file)}, "line": {finding.line}, "column": {finding.column}, '
        f'"endLine": {finding.end_line}, "endColumn": {finding.end_column}}}'
    )


def _resource(finding: LintFinding) -> str:
    """Name the object, or null for a finding on the policy file, which is about none."""
    if not finding.kind:
        return "null"
    return (
        f'{{"apiVersion": {_string(finding.api_version)}, "kind": {_string(finding.kind)}, '
        f'"namespace": {_optional(finding.namespace)}, "name": {_string(finding.name)}}}'
    )


def _exemption(finding: LintFinding) -> str:
    exemption = finding.exemption
    if exemption is None:
        return "null"
    fields = ", ".join(f'"{key}": {_optional(exemption.get(key))}' for key in _EXEMPTION)
    return f"{{{fields}}}"


_EXEMPTION = ("source", "reason", "expires")


def error_object(error: LintError) -> str:
    """Return one error as a JSON object."""
    return (
        f'{{"file": {_string(error.file)}, "line": {_number(error.line)}, '
        f'"column": {_number(error.column)}, "message": {_string(error.message)}}}'
    )


def _optional(text: str | None) -> str:
    return "null" if text is None else _string(text)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _number(number: int | None) -> str:
    return "null" if number is None else str(number)
