"""A policy as ValidatingAdmissionPolicies: what is carried over, and what is said of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.export import Export, export

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

TODAY = "2026-11-23"


def exported(plain: PlainPolicy) -> Export:
    return export(Policy({"only": ["no-privileged"], **plain}), today=TODAY)


def conditions(found: Export) -> list[Any]:
    rows: list[Any] = found.objects[0]["spec"].get("matchConditions", [])
    return rows


def test_a_rule_is_a_policy_and_its_binding() -> None:
    policy, binding = exported({}).objects
    assert policy["metadata"]["name"] == "tidewaiter-no-privileged"
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert [row["message"] for row in policy["spec"]["validations"]] == [
        "no container runs privileged (no-privileged)"
    ]
    assert binding["spec"] == {
        "policyName": "tidewaiter-no-privileged",
        "validationActions": ["Deny"],
    }


def test_severity_and_mode_choose_the_action() -> None:
    def action(plain: PlainPolicy) -> Any:
        return exported(plain).objects[1]["spec"]["validationActions"]

    assert action({"rules": {"no-privileged": {"severity": "warning"}}}) == ["Warn"]
    assert action({"rules": {"no-privileged": {"severity": "info"}}}) == ["Audit"]
    assert action({"admission": {"mode": "warn"}}) == ["Warn"]
    assert action({"admission": {"mode": "audit"}}) == ["Audit"]


def test_an_exemption_is_a_condition() -> None:
    row: Any = {
        "match": {"namespaces": ["kube-*", "legacy"]},
        "rules": ["no-privileged"],
        "reason": "r",
    }
    found = exported({"exemptions": [row]})
    assert conditions(found) == [
        {
            "name": "exemption-0",
            "expression": "!(request.?namespace.orValue('').matches('^(kube\\\\-.*|legacy)$'))",
        }
    ]
    assert not found.notes


def test_what_has_no_counterpart_is_said() -> None:
    rows: list[Any] = [
        {"match": {"images": ["x"]}, "rules": ["no-privileged"], "reason": "r"},
        {
            "match": {"names": ["x"]},
            "rules": ["no-privileged"],
            "reason": "r",
            "expires": "2020-01-01",
        },
    ]
    overrides: list[Any] = [{"match": {"namespaces": ["x"]}, "profiles": ["pss-baseline"]}]
    found = exported({"exemptions": rows, "overrides": overrides, "only": ["no-privileged", "pdb"]})
    assert conditions(found) == []
    assert found.notes == [
        "overrides[0] (profiles) is left out: policies hold for all objects alike",
        "exemptions[0] of no-privileged is left out: a match by images has no counterpart",
        "left out, as they have no form in CEL: pdb",
    ]


def test_a_custom_rule_is_carried_over() -> None:
    rule = {
        "name": "three",
        "match": {"kinds": ["Deployment"], "labels": {"tier": "api"}},
        "expression": "object.spec.replicas > 2",
        "message": "three",
    }
    found = exported({"customRules": [rule], "only": ["three"]})
    spec = found.objects[0]["spec"]
    assert spec["validations"] == [{"expression": rule["expression"], "message": "three"}]
    (condition,) = spec["matchConditions"]
    assert condition["expression"] == (
        "object.kind.matches('^(Deployment)$') && object.metadata.?labels[?'tier'].orValue('') == 'api'"
    )
