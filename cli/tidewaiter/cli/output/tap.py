"""The Test Anything Protocol, version 14: a test point for each finding, with a YAML block of its details.

https://testanything.org/tap-version-14-specification.html
A finding below the fail level is a TODO, which fails no harness; unknown and exempted ones are skipped.
"""

from __future__ import annotations

import json

from tidewaiter.cli.output.shared import (
    clean,
    error_text,
    exemption_text,
    fails,
    object_name,
    repository_path,
    shown,
    whole,
)
from tidewaiter.rules.finding import VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintFinding, LintResult


def pieces(
    result: LintResult, *, show: frozenset[str] = frozenset(), fail_on: str = "error"
) -> Iterator[str]:
    """Yield the stream in whole lines."""
    findings = list(shown(result, show))
    total = len(findings) + len(result.errors)
    yield "TAP version 14\n"
    if not total:
        yield f"1..1\nok 1 - no findings in {result.files} files\n"
        return
    yield f"1..{total}\n"
    for number, finding in enumerate(findings, 1):
        yield from _point(number, finding, fail_on)
    for number, error in enumerate(result.errors, len(findings) + 1):
        yield f"not ok {number} - {_escaped('cannot be checked: ' + error_text(error))}\n"


def _point(number: int, finding: LintFinding, fail_on: str) -> Iterator[str]:
    subject = object_name(finding) or "the policy"
    text = _escaped(f"{finding.rule}: {subject}: {clean(finding.message)}")
    if finding.status != VIOLATION:
        reason = exemption_text(finding) or "cannot be told from here"
        yield f"ok {number} - {text} # SKIP {finding.status}: {_escaped(reason)}\n"
    elif fails(finding, fail_on):
        yield f"not ok {number} - {text}\n"
    else:
        yield f"not ok {number} - {text} # TODO {finding.severity}, below the fail level\n"
    details = {
        "severity": finding.severity,
        "file": repository_path(finding.file),
        "line": finding.line,
        "column": finding.column,
        "container": finding.container and clean(finding.container),
        "pointer": clean(finding.pointer),
        "remedy": whole(finding.remediation),
    }
    yield "  ---\n"
    for key, value in details.items():
        # A JSON text is a YAML text.
        yield f"  {key}: {json.dumps(value)}\n"
    yield "  ...\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("#", "\\#")
