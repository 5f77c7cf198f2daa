"""`tidewaiter explain`."""

from __future__ import annotations

from pathlib import Path

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


OWN = """
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: shop}
spec:
  customRules:
    - name: enough-replicas
      severity: warning
      summary: a Deployment has three replicas
      remediation: Set replicas to 3 or more.
      match: {kinds: [Deployment]}
      expression: object.spec.replicas >= 3
"""
ADMISSION = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few-ports}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [services]}]}
  validations: [{expression: size(object.spec.ports) < 3}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few-ports}
spec: {policyName: few-ports, validationActions: [Warn]}
"""


def test_a_rule_of_the_policys_own_is_explained_by_what_defines_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tidewaiter.yaml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "enough-replicas"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("enough-replicas: a Deployment has three replicas\n")
    assert "  Severity:  warning\n  Policy:    tidewaiter.yaml\n" in text
    assert "\nRemedy\n  Set replicas to 3 or more.\n" in text
    assert "  expression: object.spec.replicas >= 3" in text
    assert main(["explain", "enough-replica"]) == 2
    assert "did you mean 'enough-replicas'?" in capsys.readouterr().err


def test_admission_policies_of_a_folder_are_explained_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tidewaiter.yaml").write_text(OWN)
    (tmp_path / "ports.yaml").write_text(ADMISSION)
    assert main(["explain", "few-ports", "--policy", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert f"  Policy:    {tmp_path / 'ports.yaml'}\n" in text
    assert "  - expression: size(object.spec.ports) < 3" in text
    assert main(["rules", "--section", "custom", "--policy", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert "  enough-replicas  warning  a Deployment has three replicas\n" in listed
    assert "  few-ports        warning  " in listed
    assert "\n2 rules;" in listed


def test_a_policy_with_a_mistake_is_told_of_beside_the_catalogue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "tidewaiter.yaml"
    broken.write_text(OWN.replace(">= 3", ">="))
    assert main(["rules", "--policy", str(broken)]) == 2
    captured = capsys.readouterr()
    assert "  no-privileged " in captured.out
    assert f"{broken}:" in captured.err
    assert main(["explain", "no-privileged", "--policy", str(broken)]) == 0
