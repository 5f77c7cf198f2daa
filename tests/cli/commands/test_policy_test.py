"""`tidewaiter policy test`: cases that pass, that fail, and that cannot be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidewaiter.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: own}
spec:
  customRules:
    - name: three
      match: {kinds: [Deployment]}
      expression: object.spec.replicas >= 3
      messageExpression: "'only ' + string(object.spec.replicas)"
"""
CASE = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: "


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A folder for cases, beside a policy."""
    (tmp_path / "tidewaiter.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "cases").mkdir()
    return tmp_path / "cases"


def run(cases: Path) -> int:
    return main(["policy", "test", str(cases), "--policy", str(cases.parent / "tidewaiter.yaml")])


def test_cases_that_hold_pass(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cases / "bad.yaml").write_text(f"{CASE}2 # expect: three\n", encoding="utf-8")
    (cases / "good.yaml").write_text(f"{CASE}3\n", encoding="utf-8")
    assert run(cases) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bad.yaml   pass   expects three",
        "good.yaml  pass   expects nothing",
        "",
        "2 of 2 cases pass",
    ]


def test_what_is_missing_and_what_is_surplus_is_told(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cases / "missing.yaml").write_text(f"{CASE}3 # expect: three\n", encoding="utf-8")
    (cases / "surplus.yaml").write_text(f"{CASE}1\n", encoding="utf-8")
    assert run(cases) == 1
    text = capsys.readouterr().out
    assert f"{cases}/missing.yaml:5: no violation of three, which is expected" in text
    assert f"{cases}/surplus.yaml:5: violation of three, not expected: only 1" in text
    assert "0 of 2 cases pass" in text


def test_a_case_that_cannot_be_run_is_no_pass(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cases / "broken.yaml").write_text("a: [\n", encoding="utf-8")
    (cases / "misspelt.yaml").write_text(f"{CASE}1 # expect: tree\n", encoding="utf-8")
    assert run(cases) == 2
    assert "there is no rule 'tree'" in capsys.readouterr().out


@pytest.mark.parametrize("text", [f"{CASE}3 # expect: three (too few)\n", "# nothing here\n"])
def test_a_case_that_says_nothing_is_no_pass(text: str, cases: Path) -> None:
    (cases / "case.yaml").write_text(text, encoding="utf-8")
    assert run(cases) == 2


def test_a_folder_without_cases_is_no_pass(cases: Path) -> None:
    assert run(cases) == 2
    assert run(cases / "nowhere") == 2
