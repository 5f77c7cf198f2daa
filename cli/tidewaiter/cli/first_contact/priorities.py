"""What to fix first: findings by rule, the gravest and most frequent before the others."""

from __future__ import annotations

from tidewaiter.rules.finding import SEVERITIES
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidewaiter.cli.result import LintFinding

ORDER = (
    "Errors come before warnings, rules with many objects before those with few, and then what "
    "`tidewaiter fix` mends."
)


@record
class Priority:
    """One rule: its first finding, how many findings and objects there are, and how many of these have a fix.

    `fixed_by` is the option that `tidewaiter fix` needs for it, with a blank after it, empty where it needs none.
    """

    first: LintFinding
    findings: int
    objects: int
    fixable: int
    fixed_by: str


def priorities(findings: Iterable[LintFinding]) -> list[Priority]:
    """Return the rules that have findings, in the order in which they are best worked off."""
    by_rule: dict[str, list[LintFinding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    rows = [
        Priority(
            min(found, key=lambda each: SEVERITIES.index(each.severity)),
            len(found),
            len({(each.file, each.kind, each.namespace, each.name) for each in found}),
            sum(each.fix is not None for each in found),
            "" if any(each.fix is not None and each.fix[0] for each in found) else "--unsafe ",
        )
        for found in by_rule.values()
    ]
    return sorted(
        rows,
        key=lambda row: (
            SEVERITIES.index(row.first.severity),
            -row.objects,
            not row.fixable,
            row.first.rule,
        ),
    )
