"""Policies that are objects, joined: which wins, and that those of namespaces only narrow."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.definition import spec_schema
from tidewaiter.rules.policy.model import PolicySpec
from tidewaiter.rules.policy.objects import join, place_of
from tidewaiter.rules.policy.validation import validated


def policy(name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    kind = "Policy" if namespace else "ClusterPolicy"
    metadata = {"name": name, "uid": name, "namespace": namespace}
    return {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def workload(kind: str = "Deployment", namespace: str = "shop") -> Resource:
    metadata = {"name": "web", "namespace": namespace}
    return Resource({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {}})


STATED: dict[str, Any] = {
    "profile": ["production"],
    "kubernetesVersion": "1.33",
    "failOn": "warning",
    "rules": {"pdb": {"severity": "error"}},
    "overrides": [{"match": {"namespaces": ["shop"]}, "profile": "all"}],
    "exemptions": [{"match": {"namespaces": ["old"]}, "rules": ["pdb"], "reason": "goes"}],
    "admission": {"mode": "warn"},
    "workloads": [{"apiVersion": "example.com/v1", "kind": "Game", "podSpec": "/spec"}],
    "compatibility": ["polaris"],
    "pin": {"values": [{"files": ["values.yaml"], "paths": ["/image"]}]},
    "customRules": [{"name": "no", "expression": "false", "message": "no"}],
    "images": [{"match": ["*"], "authorities": {"static": "pass"}}],
    "imageSettings": {"unmatched": "deny"},
}
_PLACES = {"line", "source", "ruleLines", "ruleSources", "file", "name"}


def test_a_cluster_policy_says_what_a_file_does_whatever_it_states() -> None:
    # Files are refused in objects, which have none beside them.
    assert STATED.keys() == PolicySpec.model_fields.keys() - {"admissionPolicies"}
    for key, value in STATED.items():
        text = yaml.safe_dump(policy("one", {key: value}) | {"kind": "Policy"})
        of_file = validated(text.encode(), "tidewaiter.yaml")
        joined = join({}, [policy("one", {key: value})])
        assert joined.verdicts[place_of(policy("one", {}))].is_accepted
        stated = without_places(joined.plain)
        assert stated
        assert stated == without_places(of_file)


def without_places(value: Any) -> Any:
    """Return a policy without what tells where it is from."""
    if isinstance(value, dict):
        return {key: without_places(each) for key, each in value.items() if key not in _PLACES}
    return [without_places(each) for each in value] if isinstance(value, list) else value


def test_of_cluster_policies_the_later_name_wins_key_by_key() -> None:
    one = policy(
        "a", {"rules": {"min-replicas": {"severity": "info", "parameters": {"minimum": 4}}}}
    )
    other = policy("b", {"rules": {"min-replicas": {"severity": "error"}}})
    for objects in ([one, other], [other, one]):
        settings = Policy(join({}, objects).plain).settings()
        assert settings.rules["min-replicas"] == ("error", {"minimum": 4})


def test_a_setting_of_a_namespace_is_the_least_that_holds() -> None:
    base = {
        "overrides": [
            {"match": {"kinds": ["Deployment"]}, "rules": {"min-replicas": {"severity": "error", "parameters": {"minimum": 5}}}},
            {"match": {"kinds": ["StatefulSet"]}, "rules": {"min-replicas": {"enabled": False}}, "mode": "audit"},
        ]
    }  # fmt: skip
    ours = policy("ours", {"rules": {"min-replicas": {"enabled": True, "severity": "warning", "parameters": {"minimum": 3}}}}, "shop")  # fmt: skip
    joined = join(base, [ours])  # type: ignore[arg-type]
    assert joined.verdicts[place_of(ours)].is_accepted
    compiled = Policy(joined.plain)
    assert compiled.settings(workload()).rules["min-replicas"] == ("error", {"minimum": 5})
    narrowed = compiled.settings(workload("StatefulSet"))
    assert narrowed.rules["min-replicas"] == ("warning", {"minimum": 3})
    assert narrowed.mode == "audit"
    elsewhere = compiled.settings(workload("StatefulSet", "other"))
    assert "min-replicas" not in elsewhere.rules


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"min-replicas": {"minimum": 1}}, "/spec/rules/min-replicas/parameters/minimum"),
        ({"probe-timing": {"livenessMaximum": 900}}, "/spec/rules/probe-timing/parameters/livenessMaximum"),
        ({"namespace-pod-security": {"level": "baseline"}}, "/spec/rules/namespace-pod-security/parameters/level"),
    ],
)  # fmt: skip
def test_a_laxer_parameter_is_named(parameters: dict[str, Any], pointer: str) -> None:
    rules = {name: {"parameters": each} for name, each in parameters.items()}
    loose = policy("loose", {"rules": rules}, "shop")
    verdict = join({"profiles": ["all"]}, [loose]).verdicts[place_of(loose)]
    assert verdict.reason == "Loosens"
    assert [place for place, _ in verdict.mistakes] == [pointer]


def test_what_was_accepted_of_an_object_stays_until_it_is_mended() -> None:
    good = policy("a", {"profile": "all"})
    first = join({}, [good])
    bad = policy("a", {"profile": "al"})
    second = join({}, [bad], first.in_force)
    assert second.plain.get("profiles") == ["all"]
    assert second.verdicts[place_of(bad)].stays
    assert join({}, [bad]).plain == {}


@pytest.mark.parametrize("kind", ["ClusterPolicy", "Policy"])
def test_the_definition_has_the_keys_of_the_file(kind: str) -> None:
    assert set(spec_schema(kind)["properties"]) == set(PolicySpec.model_fields)
