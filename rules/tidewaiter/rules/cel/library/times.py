"""Timestamps and durations: how they are written, and their parts.

https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#timestamps-and-durations, RFC 3339, and Go's
time.ParseDuration.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cel.function import Overload, member
from tidewaiter.rules.cel.operators import FIRST_TIME, LAST_TIME
from tidewaiter.rules.cel.types import DURATION, INT, STRING, TIMESTAMP
from tidewaiter.rules.cel.values import Duration, EvaluationError, Timestamp, checked_int

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_SECOND = 10**9
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d+))?(?:(Z)|([+-])(\d{2}):(\d{2}))",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})", re.ASCII)


def parse_duration(text: str) -> Duration:
    """Read `1h30m`, `-1.5s`, `300ms` or `0`. Raises EvaluationError."""
    sign = -1 if text[:1] == "-" else 1
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return Duration(0)
    total, place = 0, 0
    while place < len(rest):
        part = _PART.match(rest, place)
        if part is None:
            break
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        place = part.end()
    if not rest or place < len(rest) or len(rest) > 200:
        raise EvaluationError(f"{text!r} is no duration such as 1h30m")
    return Duration(checked_int(sign * total))


def duration_text(value: Duration) -> str:
    """Return a duration in seconds: `5400s`, `-1.5s`."""
    whole, rest = divmod(abs(int(value)), _SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if value < 0 else ''}{whole}{fraction}s"


def parse_timestamp(text: str) -> Timestamp:
    """Read a time of RFC 3339, such as `2026-11-23T10:00:00Z`. Raises EvaluationError."""
    from datetime import UTC, datetime, timedelta

    match = _TIME.fullmatch(text)
    offset = _offset_minutes(match) if match is not None else None
    try:
        if match is None or offset is None:
            raise _no_time(text)
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(tzinfo=UTC)
    except ValueError:
        raise _no_time(text) from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since // timedelta(seconds=1) - offset * 60
    nanoseconds = seconds * _SECOND + int((match[3] or "0").ljust(9, "0")[:9])
    return checked_time(nanoseconds, offset)


def checked_time(nanoseconds: int, offset: int = 0) -> Timestamp:
    """Return a time of the years 1 to 9999. Raises EvaluationError beyond."""
    if not FIRST_TIME <= nanoseconds <= LAST_TIME:
        raise EvaluationError("timestamp overflow")
    return Timestamp.at(nanoseconds, offset)


def _no_time(text: str) -> EvaluationError:
    return EvaluationError(f"{text!r} is no time such as 2026-11-23T10:00:00Z")


def _offset_minutes(match: re.Match[str]) -> int | None:
    """Return how far east of Greenwich a time is written, in minutes, or None where that is no offset."""
    if not match[5]:
        return 0
    hours, minutes = int(match[6]), int(match[7])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (1 if match[5] == "+" else -1)


def timestamp_text(value: Timestamp) -> str:
    """Return a time as RFC 3339 has it, in its own offset, with the fraction of a second that it needs."""
    rest = int(value) % _SECOND
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    hours, minutes = divmod(abs(value.offset), 60)
    zone = f"{'-' if value.offset < 0 else '+'}{hours:02d}:{minutes:02d}"
    moment = _moment(value, zone).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{moment}{fraction}{zone if value.offset else 'Z'}"


def _moment(value: Timestamp, zone: str) -> datetime:
    from datetime import UTC, datetime, timedelta, timezone, tzinfo

    place: tzinfo = UTC
    offset = _OFFSET.fullmatch(zone)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes >= 24 * 60:
            raise EvaluationError(f"{zone!r} is no time zone")
        place = timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    elif zone not in {"UTC", ""}:
        place = _zone(zone)
    since = timedelta(seconds=int(value) // _SECOND)
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + since).astimezone(place)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise EvaluationError(f"{name!r} is no time zone") from None


_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
}
_SPANS = {
    "getHours": 3600 * _SECOND,
    "getMinutes": 60 * _SECOND,
    "getSeconds": _SECOND,
    "getMilliseconds": 10**6,
}


def _part(name: str) -> Callable[..., int]:
    def run(value: Timestamp, zone: str = "UTC") -> int:
        if name == "getMilliseconds":
            _moment(value, zone)
            return int(value) % _SECOND // 10**6
        return _PARTS[name](_moment(value, zone))

    return run


def _span(unit: int) -> Callable[[Duration], int]:
    def run(value: Duration) -> int:
        amount = abs(int(value)) // unit
        return -amount if value < 0 else amount

    return run


FUNCTIONS: tuple[Overload, ...] = (
    *(member(name, (TIMESTAMP,), INT, _part(name)) for name in (*_PARTS, "getMilliseconds")),
    *(member(name, (TIMESTAMP, STRING), INT, _part(name)) for name in (*_PARTS, "getMilliseconds")),
    *(member(name, (DURATION,), INT, _span(unit)) for name, unit in _SPANS.items()),
)
