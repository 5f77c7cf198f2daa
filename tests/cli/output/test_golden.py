"""Each report whole, as it stands in `golden/`: a change of a format shows in review as its reader sees it.

`TIDEWAITER_UPDATE_GOLDEN=1 pytest tests/cli/output/test_golden.py` writes the files anew. SARIF and HTML are not
among them, since they quote the rules, whose words change for other reasons.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.output.results import EXEMPTED, MALFORMED, UNKNOWN, finding, result
from tidewaiter.cli.diff_output import json_form, markdown_form, text_form
from tidewaiter.cli.output import (
    github,
    gitlab,
    json_report,
    junit,
    markdown,
    policyreport,
    tap,
    text,
)
from tidewaiter.cli.result import Held
from tidewaiter.cli.run.comparison import Side, compare
from tidewaiter.rules.version import __version__

GOLDEN = Path(__file__).parent / "golden"
SHOW = frozenset({"unknown", "exempted"})
WARNING = finding(
    rule="no-latest-tag",
    severity="warning",
    line=40,
    end_line=41,
    file="folder/b c.yaml",
    message="<b>latest</b> is *no* tag, see #1 and @team",
)
OWN = finding(
    rule="own-rule", severity="info", namespace=None, container=None, remediation="Do it."
)
RESULT = result(
    UNKNOWN,
    finding(),
    OWN,
    EXEMPTED,
    WARNING,
    errors=(MALFORMED,),
    held=Held(baseline=(finding(line=9),), unmatched=2, elsewhere=4),
)
COMPARISON = compare(
    Side("main:", (finding(), WARNING, finding(name="gone")), ()),
    Side(".", (finding(line=90), WARNING._replace(severity="error"), OWN), (MALFORMED,)),  # type: ignore[attr-defined]
)
REPORTS = {
    "diff.json": lambda: json_form.pieces(COMPARISON),
    "diff.md": lambda: markdown_form.pieces(COMPARISON),
    "diff.txt": lambda: text_form.pieces(COMPARISON),
    "github.txt": lambda: github.pieces(RESULT, show=SHOW),
    "gitlab.json": lambda: gitlab.pieces(RESULT, show=SHOW),
    "json.json": lambda: json_report.pieces(RESULT, show=SHOW),
    "junit.xml": lambda: junit.pieces(RESULT, show=SHOW),
    "markdown.md": lambda: markdown.pieces(RESULT, show=SHOW),
    "policyreport.yaml": lambda: policyreport.pieces(RESULT, show=SHOW),
    "tap.tap": lambda: tap.pieces(RESULT, show=SHOW),
    "text.txt": lambda: text.pieces(RESULT, show=SHOW, statistics=True),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    found = "".join(REPORTS[name]()).replace(f'"version": "{__version__}"', '"version": "…"')
    path = GOLDEN / name
    if os.environ.get("TIDEWAITER_UPDATE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_every_golden_report_is_of_a_format() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(REPORTS)
