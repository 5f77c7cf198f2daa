"""A part of a cluster that one of several scans judges: the namespaces whose names' hash falls to it.

The parts need not know of each other: which namespace is whose depends on its name and their number only. A Namespace
is judged with what is in it, everything else that is in no namespace by the first.
https://kubernetes.io/docs/tasks/job/indexed-parallel-processing-static/
"""

from __future__ import annotations

import hashlib

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record

MOST_SHARDS = 10_000


@record
class Shard:
    """One of `total` parts, counted from 0."""

    index: int
    total: int

    def has(self, namespace: str) -> bool:
        """Say whether a namespace is of this part; empty for what is in none."""
        if not namespace:
            return self.index == 0
        digest = hashlib.sha256(namespace.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.total == self.index


def parse_shard(text: str) -> Shard:
    """Read INDEX/TOTAL. Raises InputError."""
    index, slash, total = text.partition("/")
    found = _number(index), _number(total)
    if not slash or found[0] is None or found[1] is None or not found[0] < found[1] <= MOST_SHARDS:
        msg = f"--shard takes INDEX/TOTAL such as 0/8, the index below the total, not {text!r}"
        raise InputError(msg)
    return Shard(found[0], found[1])


def shard_of_job(total: str, index: str) -> Shard:
    """Return the part of a pod of an Indexed Job, given the number of parts and its JOB_COMPLETION_INDEX."""
    number, position = _number(total), _number(index)
    if number is None or not 1 <= number <= MOST_SHARDS:
        msg = f"--shards takes a number from 1 to {MOST_SHARDS}, not {total!r}"
        raise InputError(msg)
    if position is None:
        said = f"is {index!r}" if index else "is not set"
        msg = (
            f"--shards takes its index from JOB_COMPLETION_INDEX, which {said}; --shard states both"
        )
        raise InputError(msg)
    if position >= number:
        msg = f"JOB_COMPLETION_INDEX is {position}, of {number} shards: the Job's completions must be --shards"
        raise InputError(msg)
    return Shard(position, number)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None
