"""A comparison as one JSON object; findings and errors have the shape they have in `lint --format json`."""

from __future__ import annotations

import json

from tidewaiter.cli.diff_output.text_form import by_severity, noted
from tidewaiter.cli.output.json_report import array, error_object, finding_object
from tidewaiter.rules.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.run.comparison import Comparison, Pair

VERSION = 1
"""Of the report's shape."""


def pieces(comparison: Comparison) -> Iterator[str]:
    """Yield the report piece by piece."""
    summary = {
        "added": by_severity(comparison.added),
        "fixed": by_severity(comparison.fixed),
        "changed": len(comparison.changed),
        "unchanged": comparison.unchanged,
        "errors": len(comparison.errors),
    }
    head = {"name": "tidewaiter", "version": __version__}
    yield f'{{"version": {VERSION},\n "tool": {json.dumps(head)},\n'
    yield f' "old": {json.dumps(comparison.old)}, "new": {json.dumps(comparison.new)},\n'
    yield f' "summary": {json.dumps(summary)},\n "added": '
    for kind in ("added", "fixed"):
        yield from array(
            f'{finding_object(finding)[:-1]}, "note": {json.dumps(note or None)}}}'
            for finding, note in noted(comparison, kind)
        )
        yield ',\n "fixed": ' if kind == "added" else ',\n "changed": '
    yield from array(map(_changed, comparison.changed))
    yield ',\n "errors": '
    yield from array(map(error_object, comparison.errors))
    yield "}\n"


def _changed(pair: Pair) -> str:
    return f'{finding_object(pair.new)[:-1]}, "oldSeverity": {json.dumps(pair.old.severity)}}}'
