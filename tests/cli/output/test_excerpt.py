"""Source lines with carets."""

from __future__ import annotations

from time import perf_counter
from unicodedata import east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.cli.output.excerpt import excerpt, printable


@pytest.mark.parametrize(
    ("source", "span", "text", "carets"),
    [
        ("image: api", (8, 11), "image: api", "       ^^^"),
        ("image: api", (8, 8), "image: api", "       ^"),
        ("image: api", (40, 50), "image: api", "          ^"),
        ("a:\tb", (4, 5), "a:    b", "      ^"),
        ("name: 支付 x", (7, 9), "name: 支付 x", "      ^^^^"),
        ("name: 支付 x", (10, 11), "name: 支付 x", "           ^"),
        ("e\u0301: x", (5, 6), "e\u0301: x", "   ^"),
        ("a: \x1b[0m", (4, 5), "a: \\x1b[0m", "   ^^^^"),
    ],
)
def test_carets_stand_under_the_span(
    source: str, span: tuple[int, int], text: str, carets: str
) -> None:
    assert excerpt(source, *span) == (text, carets)


def test_a_long_line_is_cut_around_the_carets() -> None:
    source = "key: " + "x" * 500 + "WRONG" + "y" * 500
    text, carets = excerpt(source, 506, 511)
    assert text == "…" + "x" * 30 + "WRONG" + "y" * 65 + "…"
    assert carets == " " * 31 + "^^^^^"


def test_a_minified_file_costs_no_more_than_what_is_shown() -> None:
    source = "x" * 100_000_000
    start = perf_counter()
    for column in range(1, 100_000_000, 5_000_000):
        excerpt(source, column, column + 4_000_000)
    assert perf_counter() - start < 0.5


def test_a_long_value_is_cut_at_its_end() -> None:
    text, carets = excerpt("key: " + "x" * 500, 6, 506)
    assert len(text) <= 102
    assert text[carets.index("^")] == "x"
    assert len(carets) <= len(text)


@given(st.text(), st.integers(1, 400), st.integers(0, 400))
def test_any_line_gives_one_printable_line_of_bounded_width(
    source: str, column: int, length: int
) -> None:
    text, carets = excerpt(source, column, column + length)
    assert text.isprintable()
    assert sum(2 if east_asian_width(one) in {"W", "F"} else 1 for one in text) <= 202
    assert carets.strip(" ").strip("^") == ""
    assert "^" in carets


def test_printable_keeps_the_bytes_of_a_file_name() -> None:
    assert printable("a\udcff.yaml") == "a\udcff.yaml"
    assert printable("a\ud800\n.yaml") == "a\\ud800\\n.yaml"
