"""A comparison for people: what was added, what is fixed, and a line that counts."""

from __future__ import annotations

from tidewaiter.cli.output.excerpt import printable
from tidewaiter.rules.finding import SEVERITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.comparison import Comparison

_COLORS = {"added": "\033[1;31m", "fixed": "\033[1;32m", "changed": "\033[1;33m"}
_SIGNS = {"added": "+", "fixed": "-", "changed": "~"}


def pieces(comparison: Comparison, *, color: bool = False, quiet: bool = False) -> Iterator[str]:
    """Yield the report in whole lines, each with its line end; `quiet` leaves only the last one."""
    if not quiet:
        rows = [("added", one, note) for one, note in noted(comparison, "added")]
        rows += [("changed", pair.new, f"was {pair.old.severity}") for pair in comparison.changed]
        rows += [("fixed", one, note) for one, note in noted(comparison, "fixed")]
        file = None
        for kind, finding, note in sorted(rows, key=lambda row: (row[1].file, row[1].line)):
            if finding.file != file:
                file = finding.file
                yield f"{printable(file)}\n"
            yield f"{_line(kind, finding, note, color=color)}\n"
        if rows:
            yield "\n"
    yield f"{summary(comparison)}\n"


def _line(kind: str, finding: LintFinding, note: str, *, color: bool) -> str:
    sign = f"{_COLORS[kind]}{_SIGNS[kind]}\033[0m" if color else _SIGNS[kind]
    name = f"{finding.namespace}/{finding.name}" if finding.namespace else finding.name
    where = f"{finding.kind} {name}: " if finding.kind else ""
    text = printable(f"{where}{finding.message}")
    said = f" ({note})" if note else ""
    return f"  {sign} {finding.line}:{finding.column}  {finding.severity}  {finding.rule}  {text}{said}"


def noted(comparison: Comparison, kind: str) -> Iterator[tuple[LintFinding, str]]:
    """Yield the findings of a kind, "added" or "fixed", with what the other side has instead."""
    findings = comparison.added if kind == "added" else comparison.fixed
    for index, finding in enumerate(findings):
        yield finding, comparison.notes.get((kind, index), "")


def summary(comparison: Comparison) -> str:
    """Return the counts in one line."""
    return (
        f"{len(comparison.added)} added{_severities(comparison.added)}, "
        f"{len(comparison.fixed)} fixed{_severities(comparison.fixed)}, "
        f"{len(comparison.changed)} with another severity, {comparison.unchanged} unchanged"
    )


def _severities(findings: Sequence[LintFinding]) -> str:
    tally = by_severity(findings)
    parts = [f"{number} {severity}" for severity, number in tally.items() if number]
    return f" ({', '.join(parts)})" if parts else ""


def by_severity(findings: Iterable[LintFinding]) -> dict[str, int]:
    """Count findings by severity; all severities are there."""
    tally = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        tally[finding.severity] += 1
    return tally
