"""ValidatingAdmissionPolicies offline: parameters, matching, and what cannot be known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tidewaiter.rules import engine
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.file import load_policy, policy_warnings

if TYPE_CHECKING:
    from pathlib import Path

    from tidewaiter.rules.manifest.resource import Resource

GROUP = "admissionregistration.k8s.io/v1"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "api", "namespace": "shop", "labels": {"app": "api"}},
    "spec": {"selector": {}, "template": {"metadata": {"labels": {}}, "spec": {"containers": []}}},
}
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
    "data": {"least": "3"},
}
NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "shop", "labels": {"tier": "a"}},
}
RULE = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["deployments"],
}


def policy(**spec: Any) -> dict[str, Any]:
    constraints = {"resourceRules": [RULE], **spec.pop("constraints", {})}
    validations = [{"expression": spec.pop("expression", "false"), "message": "no"}]
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "p"},
        "spec": {"matchConstraints": constraints, "validations": validations, **spec},
    }


def binding(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "b"},
        "spec": {"policyName": "p", "validationActions": ["Deny"], **spec},
    }


def read(value: dict[str, Any]) -> Resource:
    return read_resources(json.dumps(value).encode(), "o.json", explicit=True).resources[0]


def findings(
    tmp_path: Path,
    *objects: dict[str, Any],
    others: tuple[dict[str, Any], ...] = (),
    complete: bool = True,
) -> list[tuple[str, str, str]]:
    """Return (severity, status, message) of the Deployment under the policies."""
    for number, value in enumerate(objects):
        (tmp_path / f"{number}.yaml").write_text(json.dumps(value), encoding="utf-8")
    plain = load_policy(str(tmp_path))
    resource = read(DEPLOYMENT)
    inventory = Inventory([resource, *map(read, others)], complete=complete)
    report = engine.evaluate(
        [resource], Policy({**plain, "only": ["p"]}), inventory, today="2026-11-23"
    )
    assert not report.crashes
    return [(each.severity, each.status, each.message) for each in report.findings]


def test_the_binding_says_what_a_finding_is(tmp_path: Path) -> None:
    for action, severity in (("Deny", "error"), ("Warn", "warning"), ("Audit", "info")):
        found = findings(tmp_path, policy(), binding(validationActions=[action]))
        assert found == [(severity, "violation", "no")]


def test_a_policy_without_a_binding_is_not_in_force_and_told(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(json.dumps(policy()), encoding="utf-8")
    plain = load_policy(str(tmp_path))
    assert policy_warnings(plain) == [
        f"{tmp_path}/policy.yaml: ValidatingAdmissionPolicy p has no effect: no binding names it"
    ]


def test_a_binding_to_a_misspelt_policy_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(policy()), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(json.dumps(binding(policyName="q")), encoding="utf-8")
    assert len(policy_warnings(load_policy(str(tmp_path)))) == 2


PARAMETERS: dict[str, Any] = {
    "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
    "expression": "object.spec.replicas >= int(params.data.least)",
}


def reference(action: str) -> dict[str, Any]:
    return {"paramRef": {"name": "settings", "parameterNotFoundAction": action}}


def test_parameters_come_from_the_folder_or_the_run(tmp_path: Path) -> None:
    folder = (policy(**PARAMETERS), binding(**reference("Deny")))
    found = findings(tmp_path, *folder, others=(SETTINGS,))
    assert found == [("error", "violation", "no")]
    assert findings(tmp_path, *folder, SETTINGS) == [("error", "violation", "no")]


def test_missing_parameters_deny_or_allow_as_the_binding_says(tmp_path: Path) -> None:
    elsewhere = {**SETTINGS, "metadata": {"name": "settings", "namespace": "other"}}
    denied = findings(
        tmp_path, policy(**PARAMETERS), binding(**reference("Deny")), others=(elsewhere,)
    )
    assert [(severity, status) for severity, status, _ in denied] == [("error", "violation")]
    assert "no params found" in denied[0][2]
    assert findings(tmp_path, policy(**PARAMETERS), binding(**reference("Allow"))) == []
    unknown = findings(
        tmp_path, policy(**PARAMETERS), binding(**reference("Allow")), complete=False
    )
    assert [status for _, status, _ in unknown] == ["unknown"]


def test_labels_of_a_namespace_that_is_not_there_are_unknown(tmp_path: Path) -> None:
    selector = {"namespaceSelector": {"matchLabels": {"tier": "a"}}}
    folder = (policy(constraints=selector), binding())
    assert [status for _, status, _ in findings(tmp_path, *folder)] == ["unknown"]
    assert [status for _, status, _ in findings(tmp_path, *folder, others=(NAMESPACE,))] == [
        "violation"
    ]
    by_name = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    assert findings(tmp_path, policy(constraints=by_name), binding()) == [
        ("error", "violation", "no")
    ]


def test_who_sends_the_request_is_unknown(tmp_path: Path) -> None:
    expression = "request.userInfo.username == 'admin'"
    found = findings(tmp_path, policy(expression=expression), binding())
    assert found == [("error", "unknown", "no: it needs who sends the request")]
    ignored = policy(
        expression="authorizer.requestResource.check('x').allowed()", failurePolicy="Ignore"
    )
    assert [status for _, status, _ in findings(tmp_path, ignored, binding())] == ["unknown"]


def test_policies_for_updates_leave_what_is_created_alone(tmp_path: Path) -> None:
    updates = policy(constraints={"resourceRules": [{**RULE, "operations": ["UPDATE", "DELETE"]}]})
    assert findings(tmp_path, updates, binding()) == []


def test_another_version_of_the_resource_is_unknown(tmp_path: Path) -> None:
    rule = {**RULE, "apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]}
    for version, expected in (("v2", "violation"), ("v1", "unknown")):
        value = policy(constraints={"resourceRules": [{**rule, "apiVersions": [version]}]})
        for number, each in enumerate((value, binding())):
            (tmp_path / f"{number}.yaml").write_text(json.dumps(each), encoding="utf-8")
        scaler = read(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "a"},
                "spec": {},
            }
        )
        settings = Policy({**load_policy(str(tmp_path)), "only": ["p"]})
        report = engine.evaluate(
            [scaler], settings, Inventory([scaler], complete=True), today="2026-11-23"
        )
        assert [each.status for each in report.findings] == [expected]


@pytest.mark.parametrize(
    "value",
    [
        policy(expression="object.spec.replicas >"),
        binding(validationActions=["Refuse"]),
        binding(validationActions=["Deny", "Warn"]),
        binding(paramRef={"name": "x"}),
    ],
)
def test_a_mistake_has_its_file(value: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(value, indent=1), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(
        json.dumps({**policy(), "metadata": {"name": "q"}}), encoding="utf-8"
    )
    with pytest.raises(PolicyError) as caught:
        load_policy(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/a.yaml:")
