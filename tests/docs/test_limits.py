"""docs/limits.md states each limit as the code has it."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
UNITS = {"KiB": 2**10, "MiB": 2**20, "s": 1, "": 1}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and "`tidewaiter." in line
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_limit_is_the_one_of_the_code(row: list[str]) -> None:
    number, _, unit = row[1].partition(" ")
    module, _, path = row[3].strip("`").partition(":")
    names = path.split(".")
    start = getattr(import_module(module), names[0])
    value = reduce(getattr, names[1:], start() if isinstance(start, type) else start)
    assert float(value) == float(number.replace(",", "")) * UNITS[unit]


def test_each_kind_of_input_has_its_limits() -> None:
    assert len(ROWS) > 40
    assert len({row[3] for row in ROWS}) == len(ROWS)
