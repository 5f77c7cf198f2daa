"""What the page remembers of reviews: the last ones, and how often each rule was violated; names only, no values."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from tidewaiter.rules.finding import VIOLATION
from tidewaiter.rules.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.webhook.decision import Decision

REMEMBERED = 100
_LONGEST_NAME = 253
_MOST_RULES = 1000


@record
class Row:
    """One decision."""

    time: float
    gate: str
    verdict: str
    operation: str
    kind: str
    object: str
    username: str
    rules: tuple[str, ...]


class Activity:
    """The memory of one replica since its start."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: deque[Row] = deque(maxlen=REMEMBERED)
        self._violated: Counter[str] = Counter()
        self.since = time.time()

    def note(self, gate: str, decision: Decision) -> None:
        """Remember a decision."""
        subject = decision.subject
        rules = tuple({rule: None for rule, status, _ in decision.tally() if status == VIOLATION})
        for rule in rules:
            if rule in self._violated or len(self._violated) < _MOST_RULES:
                self._violated[rule] += 1
        where = "/".join(filter(None, (subject.namespace, subject.name)))
        self._rows.append(
            Row(
                time.time(),
                gate,
                decision.verdict,
                subject.operation[:_LONGEST_NAME],
                subject.kind[:_LONGEST_NAME],
                where[: 2 * _LONGEST_NAME],
                subject.username[:_LONGEST_NAME],
                rules[:20],
            )
        )

    def latest(self) -> Sequence[Row]:
        """Return the decisions, the newest first."""
        return list(reversed(self._rows))

    def most_violated(self) -> Sequence[tuple[str, int]]:
        """Return the rules that most reviews violated, with the number of these."""
        return self._violated.most_common(10)
