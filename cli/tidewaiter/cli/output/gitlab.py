"""GitLab's Code Quality report: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format

A merge request shows what its report has and that of the target branch has not, told by the fingerprint.
"""

from __future__ import annotations

import json

from tidewaiter.cli.fingerprint import fingerprints
from tidewaiter.cli.output.rule_text import remedy_parts
from tidewaiter.cli.output.shared import (
    clean,
    cleaned_lines,
    exemption_text,
    repository_path,
    shown,
    where,
)
from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.finding import VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.cli.result import LintError, LintFinding, LintResult

_SEVERITIES = {"error": "critical", "warning": "minor", "info": "info"}
_SECURITY = frozenset({"security", "images", "network", "secrets", "access"})


def pieces(result: LintResult, *, show: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the report, each issue on a line of its own."""
    findings = list(shown(result, show))
    marks = fingerprints(findings)
    rows = [_issue(finding, mark) for finding, mark in zip(findings, marks, strict=True)]
    rows += [_error_issue(error, index) for index, error in enumerate(result.errors)]
    before = "[\n "
    for row in rows:
        yield before + json.dumps(row)
        before = ",\n "
    yield "\n]\n" if rows else "[]\n"


def _issue(finding: LintFinding, mark: str) -> dict[str, Any]:
    entry = entries().get(finding.rule)
    is_security = entry is not None and entry.section in _SECURITY
    status = "" if finding.status == VIOLATION else f"{finding.status}: "
    sentence, _ = remedy_parts(finding.remediation)
    body = [where(finding), exemption_text(finding)]
    if finding.status == VIOLATION and sentence:
        body.append(f"Remedy: {cleaned_lines(finding.remediation)}")
    return {
        "type": "issue",
        "description": f"{status}{clean(finding.message)}",
        "check_name": finding.rule,
        "content": {"body": "\n\n".join(filter(None, body))},
        "categories": ["Security" if is_security else "Bug Risk"],
        "fingerprint": mark,
        "severity": _SEVERITIES[finding.severity] if finding.status == VIOLATION else "info",
        "location": {
            "path": repository_path(finding.file),
            "lines": {"begin": finding.line, "end": max(finding.end_line, finding.line)},
        },
    }


def _error_issue(error: LintError, index: int) -> dict[str, Any]:
    from hashlib import sha256

    path = repository_path(error.file) if error.file else "."
    line = error.line or 1
    mark = sha256(f"error\0{path}\0{error.message}\0{index}".encode("utf-8", "replace"))
    return {
        "type": "issue",
        "description": f"cannot be checked: {clean(error.message)}",
        "check_name": "input-error",
        "categories": ["Bug Risk"],
        "fingerprint": mark.hexdigest()[:32],
        "severity": "blocker",
        "location": {"path": path, "lines": {"begin": line, "end": line}},
    }
