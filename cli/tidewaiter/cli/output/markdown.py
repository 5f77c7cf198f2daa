"""The report as Markdown, for a comment on a pull or merge request: the summary, then details by file.

GitHub takes 65,536 characters in a comment, so a long report is cut and says what it leaves out. Names and
messages come from manifests; whatever could be markup in them is escaped.
"""

from __future__ import annotations

from tidewaiter.cli.output.rule_text import remedy_parts
from tidewaiter.cli.output.shared import (
    clean,
    cleaned_lines,
    error_text,
    exemption_text,
    label,
    repository_path,
    shown,
    where,
)
from tidewaiter.cli.output.statistics import count, counted
from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.cli.result import LintFinding, LintResult

LIMIT = 65_536
"""Characters of a comment: https://github.com/orgs/community/discussions/27190 names it."""
MARK = "<!-- tidewaiter -->"
"""The first line, which nobody sees: a job finds the comment of its last run by it, to write it anew."""
_ROOM = 400
"""Kept free for the last lines."""
_RULES_SHOWN = 15
_ERRORS_SHOWN = 20
_SIGNS = {"error": "🔴", "warning": "🟠", "info": "🔵", UNKNOWN: "⚪", EXEMPTED: "⚪"}
_MARKUP = str.maketrans(
    {
        **{each: f"\\{each}" for each in "\\`*_{}[]()#+!|~$"},
        "<": "&lt;",
        ">": "&gt;",
        "&": "&amp;",
        # Hosts turn bare addresses into links, and tell those whom an @name names, unless a space of no
        # width stands between.
        ":": "&#58;",
        "@": "@&#8203;",
    }
)
_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@&#8203;"})
"""Within a tag that Markdown passes on."""


def pieces(
    result: LintResult, *, show: frozenset[str] = frozenset(), limit: int = LIMIT
) -> Iterator[str]:
    """Yield the report in blocks of whole lines, `limit` characters at most."""
    findings = list(shown(result, show))
    used = 0
    for block in _head(result, findings):
        used += len(block)
        yield block
    left = len(findings)
    for block, number in _files(findings, limit - _ROOM, used):
        left -= number
        yield block
    if left:
        yield f"\n{counted(left, 'more finding')} left out; `tidewaiter lint` prints all of them.\n"


def _head(result: LintResult, findings: Sequence[LintFinding]) -> Iterator[str]:
    tally = count(result.findings)
    fine = not any(tally[severity] for severity in SEVERITIES) and not result.errors
    yield f"{MARK}\n## tidewaiter\n\n"
    parts = [
        f"{_SIGNS[severity]} **{counted(tally[severity], severity, severity if severity == 'info' else '')}**"
        for severity in SEVERITIES
        if tally[severity]
    ]
    found = " · ".join(parts) or ("✅ **No findings**" if fine else "No findings")
    details = [counted(result.files, "file"), counted(result.resources, "resource")]
    details += [f"{tally[status]} {status}" for status in (UNKNOWN, EXEMPTED) if tally[status]]
    yield f"{found} in {', '.join(details)}.\n"
    if result.held.unmatched is not None:
        yield f"\nThe baseline holds {counted(len(result.held.baseline), 'finding')} more.\n"
    if result.errors:
        yield f"\n**{counted(len(result.errors), 'problem')}: not everything could be checked.**\n\n"
        for error in result.errors[:_ERRORS_SHOWN]:
            yield f"- {escaped(_cut(error_text(error)))}\n"
        if len(result.errors) > _ERRORS_SHOWN:
            yield f"- and {len(result.errors) - _ERRORS_SHOWN} more\n"
    by_rule: dict[str, list[LintFinding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    if len(by_rule) > 1:
        yield "\n| rule | findings |\n|---|--:|\n"
        rows = sorted(by_rule.items(), key=lambda row: (-len(row[1]), row[0]))
        for rule, each in rows[:_RULES_SHOWN]:
            yield f"| {escaped(rule)} | {len(each)} |\n"
        if len(rows) > _RULES_SHOWN:
            rest = sum(len(each) for _, each in rows[_RULES_SHOWN:])
            yield f"| {counted(len(rows) - _RULES_SHOWN, 'other rule')} | {rest} |\n"


def _files(findings: Sequence[LintFinding], limit: int, used: int) -> Iterator[tuple[str, int]]:
    """Yield blocks with the number of findings in each, as long as there is room for a block."""
    by_file: dict[str, list[LintFinding]] = {}
    for finding in findings:
        by_file.setdefault(finding.file, []).append(finding)
    explained: set[tuple[str, str]] = set()
    for file, rows in by_file.items():
        name = _html(repository_path(file))
        head = f"\n<details><summary><code>{name}</code>: {counted(len(rows), 'finding')}</summary>\n\n"
        end = "\n</details>\n"
        if used + len(head) + len(end) > limit:
            return
        used += len(head) + len(end)
        yield head, 0
        for finding in rows:
            block = _finding(finding, explained)
            if used + len(block) > limit:
                yield end, 0
                return
            used += len(block)
            yield block, 1
        yield end, 0


def _finding(finding: LintFinding, explained: set[tuple[str, str]]) -> str:
    head = f"- {_SIGNS[label(finding)]} **{escaped(finding.rule)}** line {finding.line}: "
    message = escaped(_cut(clean(finding.message)))
    lines = [f"{head}{message}  ", f"  {escaped(_cut(where(finding)))}"]
    if finding.exemption is not None:
        lines[-1] += "  "
        lines.append(f"  {escaped(_cut(exemption_text(finding)))}")
    known = (finding.rule, finding.remediation)
    if finding.status == VIOLATION and known not in explained:
        explained.add(known)
        sentence, snippet = remedy_parts(finding.remediation)
        lines[-1] += "  "
        lines.append(f"  *Remedy:* {escaped(clean(sentence))}")
        if snippet:
            code = cleaned_lines(snippet).split("\n")
            fence = "`" * 4
            while fence in snippet:
                fence += "`"
            lines += [
                "",
                f"  {fence}yaml",
                *(f"  {line}".rstrip() for line in code),
                f"  {fence}",
                "",
            ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown and HTML show as it is."""
    return text.translate(_MARKUP)


def _html(text: str) -> str:
    return text.translate(_HTML)


def _cut(text: str) -> str:
    return text if len(text) <= 500 else text[:499] + "…"
