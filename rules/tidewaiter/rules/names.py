"""What a misspelt name was meant to be."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Return the name most like a misspelt one, or "" where none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.6)), "")
