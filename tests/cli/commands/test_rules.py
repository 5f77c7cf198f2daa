"""`tidewaiter rules`."""

from __future__ import annotations

import json

import pytest

from tidewaiter.cli.main import main
from tidewaiter.rules.catalogue import entries, in_profile


def test_the_table_has_every_rule_with_its_severity(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    assert {(row[0], row[1]) for row in rows} == {
        (entry.name, entry.severity) for entry in entries().values()
    }


@pytest.mark.parametrize("profile", ["pss-baseline", "recommended", "production", "all"])
def test_a_profile_narrows_the_list(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--profile", profile, "--format", "json"]) == 0
    names = {rule["name"] for rule in json.loads(capsys.readouterr().out)}
    assert names == {name for name, one in entries().items() if in_profile(one, profile)}


def test_json_has_all_that_is_known_of_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--section", "security", "--format", "json"]) == 0
    rules = {rule["name"]: rule for rule in json.loads(capsys.readouterr().out)}
    rule = rules["no-privileged"]
    assert {one["section"] for one in rules.values()} == {"security"}
    assert rule["summary"] == "no container runs privileged"
    assert rule["profiles"] == [
        "pss-baseline",
        "pss-restricted",
        "recommended",
        "production",
        "all",
    ]
    assert rule["appliesTo"] == ["workload"]
    assert rule["references"]


def test_a_tag_that_no_rule_has_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--tag", "no-such-tag"]) == 2
    assert "no rule has the tag 'no-such-tag'" in capsys.readouterr().err
