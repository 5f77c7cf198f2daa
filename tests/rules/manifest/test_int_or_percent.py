"""Whole numbers and percentages against verdicts of apimachinery's `intstr`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.int_or_percent import (
    IntOrPercent,
    InvalidIntOrPercent,
    parse_int_or_percent,
)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0, IntOrPercent(0, False)),
        (-3, IntOrPercent(-3, False)),
        (2**31 - 1, IntOrPercent(2**31 - 1, False)),
        (-(2**31), IntOrPercent(-(2**31), False)),
        (1.0, IntOrPercent(1, False)),
        ("0%", IntOrPercent(0, True)),
        ("25%", IntOrPercent(25, True)),
        ("0009%", IntOrPercent(9, True)),
        ("250%", IntOrPercent(250, True)),
        ("9223372036854775807%", IntOrPercent(2**63 - 1, True)),
    ],
)
def test_reads_numbers_and_percentages(value: object, wanted: IntOrPercent) -> None:
    assert parse_int_or_percent(value) == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1", "without quotes"),
        ("", "'' is not a percentage"),
        ("%", "'%' is not a percentage"),
        ("-5%", "'-5%' is not a percentage"),
        ("+5%", r"'\+5%' is not a percentage"),
        ("5.5%", "'5.5%' is not a percentage"),
        ("5 %", "'5 %' is not a percentage"),
        ("5%%", "'5%%' is not a percentage"),
        ("１%", "is not a percentage"),
        ("9223372036854775808%", "64 bits"),
        ("9" * 10_000 + "%", "64 bits"),
        (2**31, "32 bits"),
        (-(2**31) - 1, "32 bits"),
        (10**400, "32 bits"),
        (1.5, r"1\.5 is not a number"),
        (float("nan"), "nan is not a number"),
        (float("inf"), "inf is not a number"),
        (True, "true is not a number"),
        (None, "null is not a number"),
        ([1], "a list is not a number"),
        ({}, "a mapping is not a number"),
    ],
)
def test_refuses_others_with_a_sentence(value: object, message: str) -> None:
    with pytest.raises(InvalidIntOrPercent, match=message):
        parse_int_or_percent(value)


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [
        (5, 0, 5, 5),
        (5, 100, 5, 5),
        ("90%", 100, 90, 90),
        ("95%", 100, 95, 95),
        ("25%", 10, 3, 2),
        ("25%", 3, 1, 0),
        ("1%", 1, 1, 0),
        ("0%", 7, 0, 0),
        ("100%", 7, 7, 7),
        ("150%", 3, 5, 4),
    ],
)
def test_shares_are_rounded_as_asked(value: object, total: int, up: int, down: int) -> None:
    share = parse_int_or_percent(value)
    assert share.scaled(total, round_up=True) == up
    assert share.scaled(total, round_up=False) == down


@given(st.integers(0, 1000), st.integers(0, 10**6))
def test_both_roundings_enclose_the_share(percent: int, total: int) -> None:
    share = parse_int_or_percent(f"{percent}%")
    down, up = share.scaled(total, round_up=False), share.scaled(total, round_up=True)
    assert down * 100 <= percent * total <= up * 100
    assert up - down == (percent * total % 100 != 0)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_any_value_is_read_or_refused(value: object) -> None:
    try:
        read = parse_int_or_percent(value)
    except InvalidIntOrPercent:
        return
    assert parse_int_or_percent(f"{read.value}%" if read.is_percent else read.value) == read
