"""How much input is read before it is refused.

Whatever a file holds, reading it ends within five seconds and 500 MB of memory. The figures are
measured: a file of many tiny values costs far more than one of the same size with long texts, so
values are counted as well as bytes. For scale: etcd takes objects up to 1.5 MiB, and the largest
bundles of custom resource definitions have a few hundred thousand values.
"""

from __future__ import annotations

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record


@record
class Limits:
    """Bounds on one file: its bytes, documents, values with keys, and how deep these nest."""

    file_bytes: int = 16 * 1024 * 1024
    documents: int = 100_000
    values: int = 750_000
    depth: int = 256


DEFAULT_LIMITS = Limits()


def too_large(file: str, size: int, limits: Limits) -> InputError:
    """The error for a file beyond the limit; `size` in bytes."""
    mebibytes = 1024 * 1024
    return InputError(
        f"is {size / mebibytes:.0f} MiB large; files up to {limits.file_bytes // mebibytes} MiB are read",
        file=file,
    )
