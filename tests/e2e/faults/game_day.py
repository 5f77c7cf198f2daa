"""What a game day finds: the rows of the table in docs/reliability.md, and how they get there.

Each test of this folder tells one fault by its docstring and notes what came of it. `make reliability` runs them
and writes the table; another run only holds the bounds.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `make reliability` -->", "<!-- end -->"
HEAD = "| fault | what the user sees meanwhile | wrongly allowed | whole again after |\n|---|---|---|---|\n"


class Outcome(NamedTuple):
    """What came of one fault."""

    fault: str
    sees: str
    """A sentence of the documentation, or what the API server answered."""
    asked: int
    wrongly_allowed: int
    seconds: float
    """From the end of the fault until every verdict came again."""
    within: float
    """The bound on that, with room for a slow machine."""

    def row(self) -> str:
        """Return the line of the table."""
        allowed = f"{self.wrongly_allowed} of {self.asked}"
        back = f"{self.seconds:.1f} s (at most {self.within:g} s)"
        return f"| {self.fault} | {_cell(self.sees)} | {allowed} | {back} |"


def faults_tested() -> list[str]:
    """Return the faults in the order of the tests, by their docstrings."""
    found = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                docstring = (ast.get_docstring(node) or node.name).split("\n\n")[0]
                found.append(" ".join(docstring.split()).rstrip("."))
    return found


def rows_written() -> list[list[str]]:
    """Return the cells of the table in the page."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def write(outcomes: Sequence[Outcome]) -> None:
    """Put the outcomes into the page's table; rows of tests that did not run stay."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    rows = {row[0]: f"| {' | '.join(row)} |" for row in rows_written()}
    rows |= {each.fault: each.row() for each in outcomes}
    table = "\n".join(rows[fault] for fault in faults_tested() if fault in rows)
    PAGE.write_text(
        f"{before}{BEGIN}\n\n{HEAD}{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )


def shortened(messages: Iterable[str], length: int = 160) -> str:
    """Return the most frequent of messages, cut to the length of a table's cell."""
    counted: dict[str, int] = {}
    for each in messages:
        counted[each] = counted.get(each, 0) + 1
    if not counted:
        return ""
    most = max(counted, key=counted.__getitem__)
    return most if len(most) <= length else f"{most[: length - 1]}…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()
