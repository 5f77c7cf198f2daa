"""JUnit XML: a test suite for each file, a test case for each finding; it fails where the run fails.

A finding below the fail level, an unknown and an exempted one is a skipped test with its reason. Without any
finding there is one test that passes. The form is that of Jenkins' schema, which other readers accept too:
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

from tidewaiter.cli.output.shared import (
    clean,
    cleaned_lines,
    error_text,
    exemption_text,
    fails,
    label,
    object_name,
    repository_path,
    shown,
    where,
)
from tidewaiter.rules.finding import VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.cli.result import LintError, LintFinding, LintResult

_MARKUP = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\ufffe": "\ufffd", "\uffff": "\ufffd"}
)


def pieces(
    result: LintResult, *, show: frozenset[str] = frozenset(), fail_on: str = "error"
) -> Iterator[str]:
    """Yield the document in whole lines."""
    findings = list(shown(result, show))
    failures = sum(fails(finding, fail_on) for finding in findings)
    errors = len(result.errors)
    tests = len(findings) + errors or 1
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites name="tidewaiter" tests="{tests}" failures="{failures}" errors="{errors}">\n'
    by_file: dict[str, list[LintFinding]] = {}
    for finding in findings:
        by_file.setdefault(finding.file, []).append(finding)
    for file, rows in by_file.items():
        yield from _suite(repository_path(file), rows, fail_on)
    if result.errors:
        yield from _errors(result.errors)
    if not findings and not result.errors:
        yield '<testsuite name="tidewaiter" tests="1" failures="0" errors="0" skipped="0">\n'
        yield f'<testcase classname="tidewaiter" name="no findings in {result.files} files"/>\n'
        yield "</testsuite>\n"
    yield "</testsuites>\n"


def _suite(file: str, findings: Sequence[LintFinding], fail_on: str) -> Iterator[str]:
    name = _text(file)
    failures = sum(fails(finding, fail_on) for finding in findings)
    skipped = len(findings) - failures
    yield (
        f'<testsuite name="{name}" tests="{len(findings)}" failures="{failures}" errors="0" '
        f'skipped="{skipped}" file="{name}">\n'
    )
    for finding in findings:
        yield from _case(finding, file, failed=fails(finding, fail_on))
    yield "</testsuite>\n"


def _case(finding: LintFinding, file: str, *, failed: bool) -> Iterator[str]:
    subject = object_name(finding) or "the policy"
    # Readers follow a test by its name from run to run, so there is no line in it.
    field = clean(finding.field or finding.pointer)
    name = _text(f"{finding.rule}: {subject}{field and f': {field}'}")
    message = _text(clean(finding.message))
    yield f'<testcase classname="{_text(file)}" name="{name}">'
    if failed:
        details = [f"{file}:{finding.line}:{finding.column}", where(finding)]
        details.append(f"Remedy: {cleaned_lines(finding.remediation)}")
        text = _text("\n".join(details))
        yield f'<failure type="{finding.severity}" message="{message}">{text}</failure>'
    else:
        reason = exemption_text(finding)
        text = _text(reason or ("below the fail level" if finding.status == VIOLATION else ""))
        yield f'<skipped type="{label(finding)}" message="{message}">{text}</skipped>'
    yield "</testcase>\n"


def _errors(errors: Sequence[LintError]) -> Iterator[str]:
    count = len(errors)
    yield (f'<testsuite name="input" tests="{count}" failures="0" errors="{count}" skipped="0">\n')
    for error in errors:
        file = _text(repository_path(error.file) if error.file else "input")
        yield (
            f'<testcase classname="{file}" name="{file} can be read">'
            f'<error type="input" message="{_text(clean(error.message))}">'
            f"{_text(error_text(error))}</error></testcase>\n"
        )
    yield "</testsuite>\n"


def _text(text: str) -> str:
    return text.translate(_MARKUP)
