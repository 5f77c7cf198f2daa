"""Quantities against verdicts of apimachinery's `resource.ParseQuantity`."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.quantity import (
    BEYOND,
    LARGEST_BINARY,
    NANO,
    InvalidQuantity,
    parse,
    quantity_of,
)

# Text and units, as apimachinery v0.31 reads them.
READ = {
    "0": 0,
    "1": 1,
    "100m": Fraction(1, 10),
    "0.1": Fraction(1, 10),
    "1n": Fraction(1, 10**9),
    "1u": Fraction(1, 10**6),
    "1k": 1000,
    "1M": 10**6,
    "1G": 10**9,
    "1T": 10**12,
    "1P": 10**15,
    "1E": 10**18,
    "1e": None,
    "1E3": 1000,
    "1e3": 1000,
    "1e+3": 1000,
    "12E-1": Fraction(6, 5),
    "1Ki": 1024,
    "1.5Gi": 3 * 2**29,
    "1Ei": 2**60,
    "0.1Ki": Fraction(1024, 10),
    "-100m": Fraction(-1, 10),
    "+1Mi": 2**20,
    "1.": 1,
    ".5": Fraction(1, 2),
    "1.G": 10**9,
    "007": 7,
    "0.1n": Fraction(1, 10**9),
    "-0.1n": Fraction(-1, 10**9),
    "1.0000000001": Fraction(1_000_000_001, 10**9),
    "-1.0000000001": Fraction(-1_000_000_001, 10**9),
    "1e-1000000": Fraction(1, 10**9),
    "9223372036854775807": 2**63 - 1,
    "9223372036854775808": 2**63,
    "100E": 10**20,
    "8Ei": 2**63 - 1,
    "-9Ei": 1 - 2**63,
    "100e100": 10**102,
    "1e4294967297": 10,
    "1e-4294967297": Fraction(1, 10),
    # Digits may be missing as long as no slow path needs them.
    "+": 0,
    "-": 0,
    ".": 0,
    "m": 0,
    "E": 0,
    "Ti": 0,
    "Pi": None,
    ".Ei": None,
    "e-9": 0,
    "e-10": None,
    "0e-10": 0,
    "": None,
    " 1": None,
    "1 ": None,
    "1 Gi": None,
    "1K": None,
    "1mi": None,
    "1i": None,
    "1KiB": None,
    "1GB": None,
    "1e3k": None,
    "1ee3": None,
    "1e+": None,
    "1+1": None,
    "--1": None,
    "1.2.3": None,
    "1,5": None,
    "1_000": None,
    "0x10": None,
    "1e9223372036854775808": None,
    "１": None,
    "1é": None,
    "NaN": None,
    "Infinity": None,
    "true": None,
}


@pytest.mark.parametrize("text", READ)
def test_reads_as_kubernetes_does(text: str) -> None:
    wanted = READ[text]
    if wanted is None:
        with pytest.raises(InvalidQuantity, match="is not a quantity"):
            parse(text)
    else:
        assert Fraction(parse(text), NANO) == wanted


def test_error_quotes_the_text_and_shortens_a_long_one() -> None:
    with pytest.raises(InvalidQuantity, match="'12 Mi'"):
        parse("12 Mi")
    with pytest.raises(InvalidQuantity) as caught:
        parse("x" * 100_000)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (2, 2),
        (-1, -1),
        (0.5, Fraction(1, 2)),
        (1e-7, Fraction(1, 10**7)),
        (1.5e16, 15 * 10**15),
        (1e21, 10**21),
        ("250m", Fraction(1, 4)),
        (" 1Gi ", 2**30),
        ("\u00a01", 1),
    ],
)
def test_values_of_yaml(value: object, units: Fraction | int) -> None:
    nano = quantity_of(value)
    assert nano is not None
    assert Fraction(nano, NANO) == units


def test_whole_numbers_of_any_size_are_exact() -> None:
    assert quantity_of(10**5000) == 10**5000 * NANO


@pytest.mark.parametrize(
    "value", [None, True, False, [], ["1"], {}, "", "\t1", "1\n", "cpu", float("inf"), float("nan")]
)
def test_other_values_are_no_quantity(value: object) -> None:
    assert quantity_of(value) is None


@pytest.mark.parametrize("text", ["1e1001", "1E2147483647", "9.9e5000"])
def test_enormous_exponents_are_beyond_all_others(text: str) -> None:
    assert parse(text) == BEYOND
    assert parse(f"-{text}") == -BEYOND
    assert parse("9" * 990 + "e1000") < BEYOND


DECIMALS = st.tuples(
    st.sampled_from(["", "+", "-"]),
    st.text("0123456789", min_size=1, max_size=30),
    st.text("0123456789", max_size=20),
)
SUFFIXES = st.sampled_from(
    [(s, Fraction(10) ** e) for s, e in zip("num kMGTPE", range(-9, 21, 3), strict=True)]
    + [(f"e{e}", Fraction(10) ** e) for e in (-20, -9, 0, 5, 60)]
)


@given(DECIMALS, SUFFIXES)
def test_decimals_are_exact_and_round_away_from_zero(
    number: tuple[str, str, str], suffix: tuple[str, Fraction]
) -> None:
    sign, whole, fraction = number
    unit, factor = suffix
    nano = parse(f"{sign}{whole}.{fraction}{unit.strip()}")
    exact = Fraction(int(whole + fraction), 10 ** len(fraction)) * factor * NANO
    assert abs(nano) == -(-exact.numerator // exact.denominator)
    assert nano == 0 or (nano < 0) == (sign == "-")


@given(
    st.integers(0, 10**20),
    st.text("0123456789", max_size=20),
    st.sampled_from(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
)
def test_binary_suffixes_are_exact_up_to_their_limit(whole: int, fraction: str, unit: str) -> None:
    factor = 1024 ** (["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].index(unit) + 1)
    exact = Fraction(int(f"{whole}{fraction}"), 10 ** len(fraction)) * factor * NANO
    wanted = min(-(-exact.numerator // exact.denominator), LARGEST_BINARY)
    assert parse(f"{whole}.{fraction}{unit}") == wanted


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
def test_floats_are_read_by_their_shortest_digits(value: float) -> None:
    nano = quantity_of(value)
    exact = abs(Fraction(repr(value))) * NANO
    assert nano is not None
    assert abs(nano) == -(-exact.numerator // exact.denominator)


@given(st.text() | st.text("0123456789.+-eEinumkKMGTP ", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        nano = parse(text)
    except InvalidQuantity:
        assert quantity_of(text) is None or text != text.strip()
    else:
        assert quantity_of(text) == nano
