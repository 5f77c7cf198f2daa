"""Regular expressions in RE2's syntax, which take linear time whatever the text.

https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tidewaiter.rules.cel.values import EvaluationError


@lru_cache(maxsize=256)
def pattern_of(text: str) -> Any:
    """Return a compiled pattern. Raises EvaluationError for one that RE2 does not take."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise EvaluationError(f"{text!r} is no regular expression: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    shown = error.args[0] if error.args else error
    return shown.decode("utf-8", "replace") if isinstance(shown, bytes) else str(shown)


def pattern_cost(text: str, pattern: str) -> int:
    """Return the units that a search costs: cel-go charges a tenth of the text times a quarter of the pattern."""
    return -(-(len(text) + 1) // 10) * -(-len(pattern) // 4)
