"""Schedules of a CronJob: `*/5 * * * *`, `0 3 * * mon-fri`, `@hourly`.

Read as the CronJob controller and the API's validation read them, with `ParseStandard` of
robfig/cron v3: https://pkg.go.dev/github.com/robfig/cron/v3 and
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax. Five fields;
Sunday is 0, and 7 is refused; `?` means `*`.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.duration import InvalidDuration, parse_duration
from tidewaiter.rules.record import record

_SECOND = 10**9
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: at for at, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: at for at, name in enumerate(_DAYS)}),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# White space to Python, but not to Go.
_NO_SPACE = str.maketrans("\x1c\x1d\x1e\x1f", "\0\0\0\0")


class InvalidSchedule(ValueError):
    """A text that is no schedule. The message is a sentence that quotes what is wrong."""


@record
class Schedule:
    """When a CronJob runs: at certain minutes, or `every` so many nanoseconds.

    The fields hold the values at which it runs, ascending; with `every` they are empty. A day must
    be in both fields of days if either is written with `*`, else it may be in either. A field
    without any value, as `,` gives, is accepted by Kubernetes and never runs.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days_of_month: tuple[int, ...]
    months: tuple[int, ...]
    days_of_week: tuple[int, ...]
    any_day_of_month: bool = False
    any_day_of_week: bool = False
    every: int | None = None
    time_zone: str | None = None


def names_time_zone(text: str) -> bool:
    """Tell whether the API refuses a schedule for naming a time zone in it.

    It does so since Kubernetes 1.29 for any new schedule that contains `TZ`; `spec.timeZone` is the
    field for it.
    """
    return "TZ" in text


def parse_cron(text: str) -> Schedule:
    """Read a schedule. Raises `InvalidSchedule`.

    A prefix `TZ=zone ` or `CRON_TZ=zone ` is kept as `time_zone`; whether that zone exists is not
    looked up.
    """
    if not text:
        raise InvalidSchedule("the schedule is empty")
    zone: str | None = None
    if text.startswith(("TZ=", "CRON_TZ=")):
        prefix, blank, text = text.partition(" ")
        if not blank:
            raise InvalidSchedule(f"{_shown(prefix)} has no schedule after the time zone")
        zone = prefix.partition("=")[2]
        if ".." in zone or zone[:1] in {"/", "\\"}:
            raise InvalidSchedule(f"{_shown(zone)} is not a time zone")
        text = text.translate(_NO_SPACE).strip()
    if text.startswith("@every "):
        return Schedule((), (), (), (), (), every=_interval(text), time_zone=zone)
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise InvalidSchedule(
                f"{_shown(text)} is not a schedule: @yearly, @annually, @monthly, @weekly, @daily, "
                "@midnight, @hourly or @every with a duration is wanted"
            )
        text = _DESCRIPTORS[text]
    return _from_fields(text, zone)


def _interval(text: str) -> int:
    """Return the nanoseconds of `@every`: whole seconds, at least one."""
    try:
        interval = parse_duration(text.removeprefix("@every "))
    except InvalidDuration as error:
        raise InvalidSchedule(f"@every wants a duration: {error}") from error
    return max(interval - interval % _SECOND, _SECOND)


def _from_fields(text: str, zone: str | None) -> Schedule:
    """Read the five fields."""
    fields = text.translate(_NO_SPACE).split()
    if len(fields) != len(_FIELDS):
        raise InvalidSchedule(
            f"{_shown(text)} has {len(fields)} fields; five are wanted: minute, hour, day of the "
            "month, month, day of the week"
        )
    values: list[tuple[int, ...]] = []
    stars: list[bool] = []
    for field, (name, lowest, highest, names) in zip(fields, _FIELDS, strict=True):
        chosen: set[int] = set()
        star = False
        for part in filter(None, field.split(",")):
            steps, is_star = _part(part, name, lowest, highest, names)
            chosen.update(steps)
            star = star or is_star
        values.append(tuple(sorted(chosen)))
        stars.append(star)
    minutes, hours, days_of_month, months, days_of_week = values
    return Schedule(
        minutes,
        hours,
        days_of_month,
        months,
        days_of_week,
        any_day_of_month=stars[2],
        any_day_of_week=stars[4],
        time_zone=zone,
    )


def _part(
    part: str, name: str, lowest: int, highest: int, names: dict[str, int]
) -> tuple[range, bool]:
    """Read `5`, `1-5`, `*/10`, `1-30/2` or `5/10`: the values, and whether it is a plain star."""
    place = f"{_shown(part)} as {name}"
    bounds, *steps = part.split("/")
    ends = bounds.split("-")
    star = ends[0] in {"*", "?"}
    if len(steps) > 1:
        raise InvalidSchedule(f"{place} has more than one slash")
    if star:
        # What follows a star and a hyphen is never looked at upstream.
        first, last = lowest, highest
    elif len(ends) > 2:
        raise InvalidSchedule(f"{place} has more than one hyphen")
    else:
        first = _number(ends[0], place, names)
        last = _number(ends[-1], place, names)
    step = 1
    if steps:
        step = _number(steps[0], place, {})
        if len(ends) == 1:
            last = highest
    if first < lowest:
        raise InvalidSchedule(f"{place} begins below {lowest}")
    if last > highest:
        raise InvalidSchedule(f"{place} ends above {highest}")
    if first > last:
        raise InvalidSchedule(f"{place} begins after its end")
    if step == 0:
        raise InvalidSchedule(f"{place} has a step of zero")
    return range(first, last + 1, step), star and step == 1


def _number(text: str, place: str, names: dict[str, int]) -> int:
    """Read a number or a name, the latter in any case."""
    named = names.get(text.lower())
    if named is not None:
        return named
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidSchedule(f"{place} is not a number, a range or a step")
    significant = digits.lstrip("0") or "0"
    if len(significant) > 19 or int(significant) >= 2**63:
        raise InvalidSchedule(f"{place} does not fit into 64 bits")
    return int(significant)


def _shown(text: str) -> str:
    """Quote a text, shortened where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:60]}…")
