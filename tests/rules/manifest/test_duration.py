"""Durations against verdicts of Go's `time.ParseDuration`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.duration import InvalidDuration, parse_duration

READ = {
    "0": 0,
    "+0": 0,
    "-0": 0,
    "0s": 0,
    "5s": 5 * 10**9,
    "30s": 30 * 10**9,
    "1478s": 1478 * 10**9,
    "-5s": -5 * 10**9,
    "+5s": 5 * 10**9,
    "5.0s": 5 * 10**9,
    "5.6s": 56 * 10**8,
    "5.s": 5 * 10**9,
    ".5s": 5 * 10**8,
    "1.0040s": 1004 * 10**6,
    "100.00100s": 100_001 * 10**6,
    "10ns": 10,
    "11us": 11_000,
    "12µs": 12_000,
    "12μs": 12_000,
    "13ms": 13 * 10**6,
    "15m": 900 * 10**9,
    "16h": 57_600 * 10**9,
    "3h30m": 12_600 * 10**9,
    "10.5s4m": 250_500 * 10**6,
    "-2m3.4s": -123_400 * 10**6,
    "1h2m3s4ms5us6ns": 3_723_004_005_006,
    "52763797000ns": 52_763_797_000,
    "0.3333333333333333333h": 1200 * 10**9,
    "0.100000000000000000000h": 360 * 10**9,
    "0.830103483285477580700h": 2_988_372_539_827,
    "9007199254740993ns": 2**53 + 1,
    "9223372036854775807ns": 2**63 - 1,
    "9223372036854775.807us": 2**63 - 1,
    "-9223372036854775808ns": -(2**63),
    "2562047h47m16.854775807s": 2**63 - 1,
    # Unsigned 64-bit numbers go round.
    "9223372036854775808ns9223372036854775808ns": 0,
}
REFUSED = [
    "",
    "3",
    "00",
    "0.0",
    "-",
    "+",
    "s",
    ".",
    "-.",
    ".s",
    "+.s",
    "1d",
    "1w",
    "5S",
    "1 h",
    " 1h",
    "1h ",
    "1e3s",
    "1h-5m",
    "--1s",
    "１s",
    "3000000h",
    "9223372036854775808ns",
    "9223372036854775810ns",
    "-9223372036854775809ns",
    "2562047h47m16.854775808s",
    "1" * 10_000 + "h",
]


@pytest.mark.parametrize("text", READ)
def test_reads_as_go_does(text: str) -> None:
    assert parse_duration(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(InvalidDuration, match="is not a duration") as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 250


@given(st.integers(0, 10**5), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_parts_add_up(hours: int, minutes: int, nanoseconds: int, negative: bool) -> None:
    total = (hours * 3600 + minutes * 60) * 10**9 + nanoseconds
    text = f"{'-' * negative}{hours}h{minutes}m{nanoseconds}ns"
    assert parse_duration(text) == (-total if negative else total)


@given(st.text() | st.text("0123456789.+-nuµmsh", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        nanoseconds = parse_duration(text)
    except InvalidDuration:
        return
    assert -(2**63) <= nanoseconds < 2**63
