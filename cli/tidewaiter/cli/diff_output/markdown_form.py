"""A comparison as Markdown, for a comment on a pull or merge request; it is cut to the size of one."""

from __future__ import annotations

from tidewaiter.cli.diff_output.text_form import noted, summary
from tidewaiter.cli.output.markdown import LIMIT, escaped
from tidewaiter.cli.output.shared import clean, error_text, object_name
from tidewaiter.cli.output.statistics import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.comparison import Comparison

MARK = "<!-- tidewaiter diff -->"
"""As the mark of a report: a job finds its comment by it."""
_ROOM = 600
"""Kept free for the ends of the parts."""
_TEXT_LIMIT = 300
_ERRORS_SHOWN = 20


def pieces(comparison: Comparison, *, limit: int = LIMIT) -> Iterator[str]:
    """Yield the report in blocks of whole lines, `limit` characters at most."""
    left = limit - _ROOM
    head = [
        f"{MARK}\n## What changes in findings\n\n",
        f"`{_code(comparison.old)}` to `{_code(comparison.new)}`: {escaped(summary(comparison))}.\n",
    ]
    for error in comparison.errors[:_ERRORS_SHOWN]:
        head.append(f"\n**Not everything could be checked:** {escaped(_cut(error_text(error)))}\n")
    for block in head:
        left -= len(block)
        yield block
    parts = (
        ("Added", " open", list(noted(comparison, "added"))),
        (
            "Another severity",
            "",
            [(pair.new, f"was {pair.old.severity}") for pair in comparison.changed],
        ),
        ("Fixed", "", list(noted(comparison, "fixed"))),
    )
    for title, is_open, rows in parts:
        if not rows:
            continue
        block = (
            f"\n<details{is_open}><summary>{title}: {counted(len(rows), 'finding')}</summary>\n\n"
        )
        block += "| severity | rule | where | what |\n|---|---|---|---|\n"
        left -= len(block)
        yield block
        for number, (finding, note) in enumerate(rows):
            row = _row(finding, note)
            if len(row) > left:
                yield f"\n{len(rows) - number} more left out\n"
                break
            left -= len(row)
            yield row
        yield "\n</details>\n"


def _row(finding: LintFinding, note: str) -> str:
    place = f"{clean(finding.file)}:{finding.line}"
    subject = object_name(finding)
    where = f"{place}, {subject}" if subject else place
    what = clean(finding.message) + (f" ({note})" if note else "")
    cells = (finding.severity, finding.rule, _cut(where), _cut(what))
    return f"| {' | '.join(map(escaped, cells))} |\n"


def _code(text: str) -> str:
    return clean(text).replace("`", "'")


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
