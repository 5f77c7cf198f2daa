"""Durations as Go writes them: `300ms`, `1h30m`, `-1.5h`.

Read as `time.ParseDuration`: https://pkg.go.dev/time#ParseDuration. Fields of type
`metav1.Duration` and the `@every` schedule of a CronJob hold them.
"""

from __future__ import annotations

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DIGITS = "0123456789"
_LIMIT = 2**63


class InvalidDuration(ValueError):
    """A text that is no duration. The message is a sentence that quotes it."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds that a duration means, in the range of a signed 64-bit number.

    A number without a unit is no duration, except for `0`. Raises `InvalidDuration`.
    """
    negative = text[:1] == "-"
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return 0
    if not rest:
        raise _invalid(text, "a number with a unit is wanted, such as 30s or 1h30m")
    total = 0
    while rest:
        amount, rest = _leading_amount(text, rest)
        # Go adds unsigned 64-bit numbers, of which two halves make a zero.
        total = (total + amount) % 2**64
        if total > _LIMIT:
            raise _too_long(text)
    if negative:
        return -total
    if total == _LIMIT:
        raise _too_long(text)
    return total


def _leading_amount(text: str, rest: str) -> tuple[int, str]:
    """Read one number with its unit: return its nanoseconds and what follows it."""
    after = rest.lstrip(_DIGITS)
    whole = rest[: len(rest) - len(after)]
    fraction = ""
    if after[:1] == ".":
        unit_on = after[1:].lstrip(_DIGITS)
        fraction = after[1 : len(after) - len(unit_on)]
        after = unit_on
    if not whole and not fraction:
        raise _invalid(text, "a digit is wanted")
    length = next((at for at, char in enumerate(after) if char in "0123456789."), len(after))
    unit = after[:length]
    if not unit:
        raise _invalid(text, "a unit is missing: ns, us, ms, s, m or h")
    if unit not in _UNITS:
        raise _invalid(text, f"{_shown(unit)} is not a unit: ns, us, ms, s, m or h is wanted")
    whole = whole.lstrip("0")
    if len(whole) > 19 or int(whole or "0") > _LIMIT // _UNITS[unit]:
        raise _too_long(text)
    amount = int(whole or "0") * _UNITS[unit] + _fraction(fraction, _UNITS[unit])
    if amount > _LIMIT:
        raise _too_long(text)
    return amount, after[length:]


def _fraction(digits: str, unit: int) -> int:
    """Return the nanoseconds in a decimal fraction of a unit, with Go's floating-point rounding."""
    value, scale = 0, 1.0
    for digit in digits:
        longer = value * 10 + int(digit)
        if value > (_LIMIT - 1) // 10 or longer > _LIMIT:
            break
        value, scale = longer, scale * 10
    return int(value * (unit / scale))


def _too_long(text: str) -> InvalidDuration:
    """Say that a duration does not fit."""
    return _invalid(text, "it is longer than 292 years")


def _invalid(text: str, reason: str) -> InvalidDuration:
    """Say why a text is no duration."""
    return InvalidDuration(f"{_shown(text)} is not a duration: {reason}")


def _shown(text: str) -> str:
    """Quote a text, shortened where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:60]}…")
