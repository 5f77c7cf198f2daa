"""Which reviews take long, by what has taken long before: an expression of the policy may cost much on a small object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidewaiter.webhook.decision import ReviewedObject
    from tidewaiter.webhook.policy_watch import LoadedPolicy

SLOW = 0.1
"""Seconds of processor time in which other reviews wait."""
_MOST_KINDS = 256


class SlowReviews:
    """The sizes from which on reviews of a kind take long under the policy in force."""

    def __init__(self) -> None:
        """Know of none."""
        self._loaded: LoadedPolicy | None = None
        self._sizes: dict[tuple[str, str], int] = {}

    def expects(self, subject: ReviewedObject, size: int, loaded: LoadedPolicy) -> bool:
        """Tell whether a review of so many bytes is likely to take long."""
        if not self._sizes or loaded is not self._loaded:
            return False
        return size >= self._sizes.get((subject.api_version, subject.kind), size + 1)

    def note(
        self, subject: ReviewedObject, size: int, loaded: LoadedPolicy, seconds: float
    ) -> None:
        """Remember a review that has taken so many seconds of processor time, where that is long."""
        if seconds < SLOW:
            return
        if loaded is not self._loaded or len(self._sizes) >= _MOST_KINDS:
            self._loaded = loaded
            self._sizes = {}
        key = subject.api_version, subject.kind
        # What is half as large may take half as long.
        self._sizes[key] = min(size // 2, self._sizes.get(key, size))
