"""`tidewaiter explain`."""

from __future__ import annotations

import pytest

from tidewaiter.cli.main import main
from tidewaiter.rules.catalogue import entries, load
from tidewaiter.rules.examples import Example, example, examples_source


@pytest.mark.parametrize("name", list(entries()))
def test_every_rule_is_explained_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 0
    text = capsys.readouterr().out
    rule = load(name)
    shown = example(name)
    assert shown is not None, "the rule has no example.yaml among its fixtures"
    assert text.startswith(f"{name}: {rule.summary}\n")
    for part in ("Why", "Remedy", "Bad", "Good", "References"):
        assert f"\n{part}\n  " in text
    for line in (*shown.bad.splitlines(), *shown.good.splitlines(), *rule.references):
        assert line in text
    for parameter in rule.parameters:
        assert f"  {parameter.name} (" in text


def test_a_misspelt_name_is_a_mistake_with_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "no-priviledged"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "tidewaiter: there is no rule 'no-priviledged'; did you mean 'no-privileged'?\n"
    )


def test_a_name_like_no_other_is_pointed_to_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "xyzzy"]) == 2
    assert "`tidewaiter rules` lists them" in capsys.readouterr().err


def test_a_wheel_carries_the_same_examples_as_the_checkout() -> None:
    module: dict[str, dict[str, tuple[str, str]]] = {}
    exec(examples_source(["no-privileged"]), module)
    assert Example(*module["EXAMPLES"]["no-privileged"]) == example("no-privileged")
