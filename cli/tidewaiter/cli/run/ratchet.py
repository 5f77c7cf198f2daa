"""Taking from a result what does not count: findings on unchanged objects, and those of a baseline."""

from __future__ import annotations

import sys

from tidewaiter.cli.result import Held
from tidewaiter.rules.finding import VIOLATION
from tidewaiter.rules.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.cli.baseline import Entry
    from tidewaiter.cli.result import LintResult

_NAMED = 3


def held_back(
    result: LintResult, baseline: Sequence[Entry] | None, changed_since: str | None
) -> LintResult:
    """Return a result without the findings on objects unchanged since a commit and those of a baseline.

    Raises InputError where git cannot tell what has changed.
    """
    held = Held()
    if changed_since:
        from tidewaiter.cli.run.changed import touched

        found = touched(result.findings, changed_since)
        _tell_deleted(found.deleted, changed_since)
        number = sum(finding.status == VIOLATION for finding in found.others)
        held = replace(held, elsewhere=number)
        result = replace(result, findings=found.changed)
    if baseline is not None:
        from tidewaiter.cli.baseline import split

        parts = split(result.findings, baseline)
        # On a part of the objects it cannot be told what of a baseline is there no more.
        unmatched = sum(entry.count for entry in parts.left) if not changed_since else 0
        held = replace(held, baseline=parts.held, unmatched=unmatched)
        result = replace(result, findings=parts.others)
    return replace(result, held=held)


def _tell_deleted(names: Sequence[str], ref: str) -> None:
    if not names:
        return
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    print(
        f"deleted since {ref}: {', '.join(names[:_NAMED])}{more}. What unchanged objects lose by that is not "
        f"among the findings; `tidewaiter diff {ref}: .` shows it.",
        file=sys.stderr,
    )
