"""The table of faults says what the tests say: each of them once, nothing let in, and inside its bound; and the runbook."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.e2e.faults.game_day import faults_tested, rows_written

ROOT = Path(__file__).parents[2]


def test_every_fault_that_is_tested_is_in_the_table_and_no_other() -> None:
    assert [row[0] for row in rows_written()] == faults_tested()


def test_nothing_was_wrongly_allowed_and_all_was_whole_again_in_time() -> None:
    for fault, sees, allowed, back in rows_written():
        assert sees
        assert re.fullmatch("0 of [1-9][0-9]*", allowed), fault
        found = re.fullmatch(r"([0-9.]+) s \(at most ([0-9]+) s\)", back)
        assert found is not None, fault
        assert float(found[1]) <= float(found[2]), fault


def test_every_alert_has_its_section_in_the_runbook() -> None:
    rules = yaml.safe_load((ROOT / "deploy/alerts/rules.yaml").read_text(encoding="utf-8"))
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (Tidewaiter\w+)$", text, re.MULTILINE) == alerts
