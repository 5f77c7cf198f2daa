"""How many findings there are: by severity and status, and by rule."""

from __future__ import annotations

from tidewaiter.rules.finding import EXEMPTED, SEVERITIES, UNKNOWN, VIOLATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.cli.result import LintFinding

_COLUMNS = (*SEVERITIES, UNKNOWN, EXEMPTED)


def count(findings: Iterable[LintFinding]) -> dict[str, int]:
    """Count violations by severity, and unknown and exempted findings by status; all are there."""
    tally = dict.fromkeys(_COLUMNS, 0)
    for finding in findings:
        tally[_column(finding)] += 1
    return tally


def statistics_table(findings: Iterable[LintFinding]) -> Iterator[str]:
    """Yield the lines of a table of the findings by rule, the rules with the most findings first."""
    by_rule: dict[str, dict[str, int]] = {}
    for finding in findings:
        tally = by_rule.get(finding.rule)
        if tally is None:
            tally = by_rule[finding.rule] = dict.fromkeys(_COLUMNS, 0)
        tally[_column(finding)] += 1
    rows = sorted(by_rule.items(), key=lambda row: (-sum(row[1].values()), row[0]))
    width = max((len(rule) for rule, _ in rows), default=0)
    yield "rule".ljust(width) + "".join(name.rjust(len(name) + 2) for name in _COLUMNS)
    for rule, tally in rows:
        counts = "".join(str(tally[name] or "-").rjust(len(name) + 2) for name in _COLUMNS)
        yield rule.ljust(width) + counts


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _column(finding: LintFinding) -> str:
    return finding.severity if finding.status == VIOLATION else finding.status
