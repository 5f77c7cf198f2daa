"""Schedules against verdicts of robfig/cron v3's `ParseStandard`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.cron import (
    InvalidSchedule,
    Schedule,
    names_time_zone,
    parse_cron,
)

MINUTES = tuple(range(60))
HOURS = tuple(range(24))
DAYS = tuple(range(1, 32))
MONTHS = tuple(range(1, 13))
WEEK = tuple(range(7))
ALWAYS = Schedule(MINUTES, HOURS, DAYS, MONTHS, WEEK, True, True)


def test_reads_five_fields() -> None:
    assert parse_cron("* * * * *") == ALWAYS
    assert parse_cron("*/15 0-6/3 1,15 jan-MAR Mon-fri") == Schedule(
        (0, 15, 30, 45), (0, 3, 6), (1, 15), (1, 2, 3), (1, 2, 3, 4, 5)
    )
    assert parse_cron("59 23 31 12 6") == Schedule((59,), (23,), (31,), (12,), (6,))


@pytest.mark.parametrize(
    ("minute", "wanted"),
    [
        ("5/20", (5, 25, 45)),
        ("*/61", (0,)),
        ("*/9223372036854775807", (0,)),
        ("3-3", (3,)),
        ("+5", (5,)),
        ("007", (7,)),
        ("?", MINUTES),
        ("?/30", (0, 30)),
        ("1,,2,", (1, 2)),
        (",", ()),
        ("*-foo", MINUTES),
        ("*-1-2/30", (0, 30)),
        ("10-20/+5", (10, 15, 20)),
        ("5,1-2,5", (1, 2, 5)),
    ],
)
def test_reads_one_field_as_upstream_does(minute: str, wanted: tuple[int, ...]) -> None:
    assert parse_cron(f"{minute} * * * *") == Schedule(
        wanted, HOURS, DAYS, MONTHS, WEEK, True, True
    )


@pytest.mark.parametrize(
    ("days", "star"),
    [("*", True), ("?", True), ("*/1", True), ("*/2", False), ("1,*", True), ("1-31", False)],
)
def test_knows_which_days_are_a_star(days: str, star: bool) -> None:
    assert parse_cron(f"0 0 {days} * *").any_day_of_month == star


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("\t5  *\u00a0* * * ", "5 * * * *"),
    ],
)
def test_reads_other_spellings(text: str, fields: str) -> None:
    assert parse_cron(text) == parse_cron(fields)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("@every 1h30m", 5400),
        ("@every 1.9s", 1),
        ("@every 10ms", 1),
        ("@every -5m", 1),
        ("@every 0", 1),
    ],
)
def test_reads_intervals(text: str, seconds: int) -> None:
    assert parse_cron(text) == Schedule((), (), (), (), (), every=seconds * 10**9)


def test_keeps_the_time_zone_of_a_prefix() -> None:
    assert parse_cron("TZ=Asia/Tokyo 0 5 * * *").time_zone == "Asia/Tokyo"
    assert parse_cron("CRON_TZ=UTC  @hourly").time_zone == "UTC"
    assert parse_cron("TZ= @every 5m").time_zone == ""
    assert parse_cron("0 5 * * *").time_zone is None
    assert names_time_zone("CRON_TZ=UTC 0 5 * * *")
    assert not names_time_zone("0 5 * * *")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("   ", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("*\x1c* * * *", "has 4 fields"),
        ("60 * * * *", "'60' as minute ends above 59"),
        ("* 24 * * *", "'24' as hour ends above 23"),
        ("* * 0 * *", "'0' as day of the month begins below 1"),
        ("* * 32 * *", "ends above 31"),
        ("* * * 13 *", "ends above 12"),
        ("* * * * 7", "'7' as day of the week ends above 6"),
        ("* * * * fri-mon", "begins after its end"),
        ("jan * * * *", "is not a number"),
        ("* * * january *", "is not a number"),
        ("*/0 * * * *", "step of zero"),
        ("*/ * * * *", "is not a number"),
        ("/5 * * * *", "is not a number"),
        ("*/-5 * * * *", "is not a number"),
        ("*/mon * * * *", "is not a number"),
        ("1-2-3 * * * *", "more than one hyphen"),
        ("1/2/3 * * * *", "more than one slash"),
        ("-5 * * * *", "is not a number"),
        ("5- * * * *", "is not a number"),
        ("1_0 * * * *", "is not a number"),
        ("１ * * * *", "is not a number"),
        ("9223372036854775808 * * * *", "64 bits"),
        ("@Hourly", "'@Hourly' is not a schedule"),
        ("@hourly ", "is not a schedule"),
        (" @hourly", "has 1 fields"),
        ("@reboot", "is not a schedule"),
        ("@every", "is not a schedule"),
        ("@every ", "wants a duration"),
        ("@every 5", "wants a duration: '5' is not a duration"),
        ("@every 1h ", "wants a duration"),
        ("TZ=UTC", "no schedule after the time zone"),
        ("TZ=../UTC * * * * *", "is not a time zone"),
        ("tz=UTC * * * * *", "has 6 fields"),
    ],
)
def test_refuses_others_with_a_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidSchedule, match=message):
        parse_cron(text)


FIELDS = st.tuples(
    *(
        st.sets(st.integers(lowest, highest), min_size=1)
        for lowest, highest in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    )
)


@given(FIELDS)
def test_lists_of_numbers_are_read_back(fields: tuple[set[int], ...]) -> None:
    schedule = parse_cron(" ".join(",".join(map(str, field)) for field in fields))
    assert fields == (
        set(schedule.minutes),
        set(schedule.hours),
        set(schedule.days_of_month),
        set(schedule.months),
        set(schedule.days_of_week),
    )


@given(st.text() | st.text("0123456789*/?-, @monTZ=", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        schedule = parse_cron(text)
    except InvalidSchedule:
        return
    assert schedule.every is None or schedule.every >= 10**9
