"""PolicyReport objects as a YAML stream; what is in them is in `policy_report`."""

from __future__ import annotations

import os

import yaml

from tidewaiter.cli.output.rule_text import remedy_parts
from tidewaiter.cli.output.shared import clean, exemption_text, repository_path, shown
from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.policy_report import API_VERSION, LABEL, NAME, WRITER, Entry, reports
from tidewaiter.rules.rule import CUSTOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.cli.result import LintFinding, LintResult


def pieces(
    result: LintResult, *, show: frozenset[str] = frozenset(), policy: str = "default"
) -> Iterator[str]:
    """Yield one document for each report. There is a time in it only where SOURCE_DATE_EPOCH gives one."""
    found = reports(map(_entry, shown(result, show)), policy=policy, timestamp=_stated_time())
    for report in found or [_NOTHING]:
        yield "---\n"
        yield yaml.dump(
            report, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=100
        )


_NOTHING = {
    "apiVersion": API_VERSION,
    "kind": "ClusterPolicyReport",
    "metadata": {"name": NAME, "labels": {LABEL: WRITER}},
    "summary": {"pass": 0, "fail": 0, "warn": 0, "error": 0, "skip": 0},
    "results": [],
}
"""The report of a run without findings, so that the one of the run before is replaced."""


def _entry(finding: LintFinding) -> Entry:
    entry = entries().get(finding.rule)
    sentence, _ = remedy_parts(finding.remediation)
    return Entry(
        rule=finding.rule,
        category=entry.section if entry is not None else CUSTOM,
        severity=finding.severity,
        status=finding.status,
        message=clean(finding.message),
        api_version=clean(finding.api_version),
        kind=clean(finding.kind),
        namespace=clean(finding.namespace) if finding.namespace else None,
        name=clean(finding.name),
        properties={
            "container": clean(finding.container or ""),
            "pointer": clean(finding.pointer),
            "file": repository_path(finding.file),
            "line": str(finding.line),
            "remedy": clean(sentence),
            "exemption": exemption_text(finding),
        },
    )


def _stated_time() -> int | None:
    """Return the time that the build states: https://reproducible-builds.org/specs/source-date-epoch/"""
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 12 else None
