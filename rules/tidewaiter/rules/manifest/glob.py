"""Names against the globs that a policy lists: `*`, `?` and `[ab]`, case counts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def matches_any(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether a name matches one of the patterns."""
    if not patterns:
        return False
    from fnmatch import fnmatchcase  # it imports `re`, which most runs do without

    return any(fnmatchcase(name, pattern) for pattern in patterns)
