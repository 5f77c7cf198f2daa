"""The models, their schema and the catalogue say the same of what a policy may hold."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tidewaiter.rules import catalogue
from tidewaiter.rules.finding import SEVERITIES
from tidewaiter.rules.policy import model
from tidewaiter.rules.policy.schema import policy_schema
from tidewaiter.rules.policy.validation import parameter_problem
from tidewaiter.rules.rule import PROFILES, Parameter, Rule

ROOT = Path(__file__).parents[3]
SCHEMA = policy_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PARAMETERS = [(rule, parameter) for rule in catalogue.load_all() for parameter in rule.parameters]


def policy(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": model.API_VERSION,
        "kind": "Policy",
        "metadata": {"name": "a"},
        "spec": spec,
    }


def test_the_models_know_the_profiles_and_severities_of_the_rules() -> None:
    assert get_args(model.Profile) == PROFILES
    assert get_args(model.Severity) == SEVERITIES


def exempting(**stated: Any) -> dict[str, Any]:
    return {"exemptions": [{"match": {}, "rules": ["pdb"], "reason": "x", **stated}]}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"profile": "all"},
        {"profile": ["pss-baseline", "recommended"]},
        {"rules": {"pdb": {"enabled": True, "severity": "info", "mode": "warn"}}},
        {"overrides": [{"match": {"files": ["legacy/**"], "labels": {"a": ""}}, "mode": "audit"}]},
        {"admission": {"unknown": "deny"}},
        exempting(expires="2027-01-31"),
        {"workloads": [{"apiVersion": "v1", "kind": "A", "podSpec": "/spec"}]},
    ],
)
def test_what_is_valid_is_valid_for_both(spec: dict[str, Any]) -> None:
    model.PolicyFile.model_validate(policy(spec))
    assert [error.message for error in VALIDATOR.iter_errors(policy(spec))] == []


@pytest.mark.parametrize(
    "spec",
    [
        {"profile": []},
        {"profile": "strict"},
        {"kubernetesVersion": 1.34},
        {"failOn": "fatal"},
        {"rules": {"pdb": {"enabled": "yes"}}},
        {"rules": {"pdb": {"level": "info"}}},
        {"overrides": [{"profile": "all"}]},
        {"overrides": [{"match": {"images": ["a"]}}]},
        {"overrides": [{"match": {"names": []}}]},
        {"overrides": [{"match": {"labels": {"a": 1}}}]},
        exempting(rules=[]),
        exempting(reason=" "),
        exempting(expires=20270131),
        exempting(until="2027-01-31"),
        {"admission": {"unknown": "enforce"}},
        {"workloads": [{"apiVersion": "a/b/c", "kind": "A", "podSpec": "/spec"}]},
        {"workloads": [{"apiVersion": "v1", "kind": "A", "podSpec": "spec"}]},
        {"images": []},
        {"customRules": [{"name": "Large", "expression": "true"}]},
        {"customRules": [{"name": "a"}]},
    ],
)
def test_what_is_wrong_is_wrong_for_both(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.PolicyFile.model_validate(policy(spec))
    assert list(VALIDATOR.iter_errors(policy(spec)))


def test_every_default_of_a_parameter_is_a_value_that_it_takes() -> None:
    assert PARAMETERS
    for rule, parameter in PARAMETERS:
        default = parameter.default
        stated = list(default) if isinstance(default, tuple) else default
        assert parameter_problem(parameter, stated) == "", (rule.name, parameter.name)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.sampled_from(["", "a", "required", "optional", 0.5, -0.5, {}])
    | st.lists(st.integers(0, 9) | st.sampled_from(["a", True, None]), max_size=2)
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PARAMETERS), VALUES)
def test_the_schema_takes_the_parameters_that_validation_takes(
    which: tuple[Rule, Parameter], value: Any
) -> None:
    rule, parameter = which
    spec = {"rules": {rule.name: {"parameters": {parameter.name: value}}}}
    valid = not list(VALIDATOR.iter_errors(policy(spec)))
    assert valid == (parameter_problem(parameter, value) == "")


def test_every_key_is_described() -> None:
    for name, definition in {"PolicyFile": SCHEMA, **SCHEMA["$defs"]}.items():
        if name != "Rules":
            for key, value in definition["properties"].items():
                described = value.get("description") or _target(value).get("description")
                assert described, f"{name}.{key}"


def _target(value: dict[str, Any]) -> dict[str, Any]:
    target: dict[str, Any] = SCHEMA["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
    return target


@pytest.mark.parametrize("page", ["README.md", "docs/policy.md"])
def test_the_examples_of_the_documentation_are_valid(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    # A block inside a list keeps the list's indentation before its closing fence.
    fences = [dedent(block.removeprefix("yaml\n").rstrip(" ")) for block in text.split("```")[1::2]]
    whole = [block for block in fences if block.startswith("apiVersion: tidewaiter.dev/")]
    assert whole
    for block in whole:
        # Dates stay text, as they are in JSON.
        plain = yaml.load(block, Loader=_Json)
        json.dumps(plain)
        assert [error.message for error in VALIDATOR.iter_errors(plain)] == []
        model.PolicyFile.model_validate(plain)


class _Json(yaml.SafeLoader):
    """YAML without timestamps."""


_Json.yaml_implicit_resolvers = {
    first: [row for row in rows if row[0] != "tag:yaml.org,2002:timestamp"]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
