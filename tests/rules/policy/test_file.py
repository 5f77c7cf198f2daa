"""A policy file: what is in it is what holds; it is read once, and nothing makes reading it crash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rules.policy.policies import FULL, HEAD, spec, write
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.file import load_policy, policy_warnings
from tidewaiter.rules.policy.schema import policy_schema

ROOT = Path(__file__).parents[3]


def test_everything_of_a_policy_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + FULL)
    assert load_policy(path, use_cache=False) == {
        "name": "default",
        "file": path,
        "profiles": ["pss-baseline", "recommended"],
        "kubernetesVersion": "1.34",
        "failOn": "warning",
        "rules": {
            "image-digest": {"severity": "warning"},
            "resource-limits": {"parameters": {"cpu": "optional"}},
            "no-latest-tag": {"enabled": False},
            "pdb": {"mode": "audit"},
        },
        "ruleLines": {"image-digest": 10, "resource-limits": 11, "no-latest-tag": 12, "pdb": 13},
        "overrides": [
            {
                "match": {
                    "namespaces": ["kube-*"],
                    "kinds": ["DaemonSet"],
                    "labels": {"tier": "node"},
                    "files": ["legacy/**"],
                },
                "profiles": ["pss-baseline"],
                "mode": "warn",
                "rules": {"no-host-path": {"severity": "info"}},
                "line": 15,
            }
        ],
        "exemptions": [
            {
                "match": {
                    "namespaces": ["legacy"],
                    "names": ["redis-*"],
                    "containers": ["init-*"],
                    "images": ["docker.io/*"],
                },
                "rules": ["read-only-root-filesystem"],
                "reason": "image writes its pid file to /; replaced in Q1",
                "expires": "2027-01-31",
                "line": 20,
            }
        ],
        "admission": {"annotationExemptions": False, "unknown": "warn", "mode": "enforce"},
        "workloads": [
            {"apiVersion": "example.com/v1", "kind": "Game", "podSpec": "/spec/template/spec"}
        ],
    }


def test_the_smallest_policy_is_the_default_one(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD.replace("spec:", "spec: {}"))
    assert load_policy(path, use_cache=False) == {"name": "default", "file": path}


def test_settings_without_effect_are_warned_of(tmp_path: Path) -> None:
    text = spec(
        "profile: pss-baseline\nrules: {pdb: {severity: info}, image-digest: {enabled: true}}"
    )
    warnings = policy_warnings(load_policy(write(tmp_path, text), use_cache=False))
    assert len(warnings) == 1
    assert warnings[0].startswith("rules.pdb has no effect")
    assert warnings[0].endswith("`enabled: true` switches it on")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules: {image-digest: {severity: info}}", []),
        ("profile: pss-baseline\nrules: {pdb: {enabled: false}}", []),
        (
            (
                "profile: pss-baseline\nrules: {pdb: {severity: info}}\n"
                "overrides: [{match: {}, profile: all}]"
            ),
            [],
        ),
        (
            (
                "profile: pss-baseline\nrules: {pdb: {severity: info}}\n"
                "overrides: [{match: {}, rules: {pdb: {enabled: true}}}]"
            ),
            [],
        ),
        (
            "profile: pss-baseline\noverrides: [{match: {}, rules: {pdb: {severity: info}}}]",
            ["overrides[0].rules.pdb has no effect"],
        ),
        (
            "workloads: [{apiVersion: apps/v1, kind: Deployment, podSpec: /spec}]",
            ["workloads[0] has no effect: the pod spec of Deployment.apps is known"],
        ),
        ("workloads: [{apiVersion: a/v1, kind: A, podSpec: /spec}]", []),
    ],
)
def test_warnings_are_only_for_what_has_no_effect(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    warnings = policy_warnings(load_policy(write(tmp_path, spec(text)), use_cache=False))
    assert len(warnings) == len(expected)
    for warning, start in zip(warnings, expected, strict=True):
        assert warning.startswith(start)


def test_a_policy_that_was_read_before_needs_no_pydantic(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + FULL)
    script = (
        "import json, sys\n"
        "from tidewaiter.rules.policy.file import load_policy\n"
        f"plain = load_policy({path!r})\n"
        "print(json.dumps([plain, 'pydantic' in sys.modules]))\n"
    )

    def run() -> Any:
        environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    (first, with_pydantic), (second, without) = run(), run()
    assert first == second
    assert with_pydantic
    assert not without
    (entry,) = (tmp_path / "cache/tidewaiter/policies").iterdir()
    entry.write_bytes(b"damaged")
    assert run()[0] == first


def test_the_cache_keeps_the_newest_policies_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(70):
        load_policy(write(tmp_path, f"{HEAD}  {{}}\n# {number}\n"))
    kept = list((tmp_path / "cache/tidewaiter/policies").iterdir())
    assert len(kept) == 64


def test_a_policy_in_the_cache_has_the_name_it_is_read_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "other").mkdir()
    first, second = write(tmp_path, HEAD + FULL), write(tmp_path / "other", HEAD + FULL)
    assert load_policy(first)["file"] == first
    assert load_policy(second)["file"] == second


def test_the_schema_that_is_shipped_is_the_generated_one() -> None:
    shipped = json.loads((ROOT / "docs/policy-schema.json").read_text(encoding="utf-8"))
    assert shipped == policy_schema(), (
        "run `.venv/bin/tidewaiter policy schema > docs/policy-schema.json`"
    )


def test_the_schema_takes_what_is_valid_and_refuses_what_is_not() -> None:
    validator = jsonschema.Draft202012Validator(policy_schema())
    validator.check_schema(validator.schema)
    valid = yaml.load(HEAD + FULL, Loader=yaml.BaseLoader)
    valid["spec"]["rules"]["no-latest-tag"]["enabled"] = False
    valid["spec"]["admission"]["annotationExemptions"] = False
    assert [error.message for error in validator.iter_errors(valid)] == []
    for text in (
        "rules: {pbd: {}}",
        "profile: x",
        "exemptions: [{match: {}, rules: [pdb]}]",
        "a: b",
    ):
        assert list(validator.iter_errors(yaml.safe_load(spec(text)))), text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "spec",
                    "rules",
                    "pdb",
                    "parameters",
                    "match",
                    "profile",
                    "exemptions",
                    "overrides",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(VALUES)
def test_any_spec_is_read_or_refused_with_a_sentence(tmp_path: Path, value: Any) -> None:
    policy = {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "Policy",
        "metadata": {"name": "a"},
        "spec": value,
    }
    path = write(tmp_path, json.dumps(policy))
    try:
        plain = load_policy(path, use_cache=False)
    except PolicyError as error:
        message = str(error)
    else:
        Policy(plain)
        policy_warnings(plain)
        return
    assert message.startswith(path)


LINES = st.lists(
    st.sampled_from(
        [
            *(line for line in FULL.splitlines() if line),
            "spec:",
            "apiVersion: tidewaiter.dev/v1",
            "kind: Policy",
            "metadata: {name: a}",
            "---",
            "  rules: &a {pdb: *a}",
            "  <<: *a",
            "  ? [a]",
            "- x",
            "\t",
            "%YAML 1.1",
            "  profile: !!binary aGk=",
            "  1: .inf",
        ]
    )
    | st.text(max_size=12),
    max_size=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(LINES.map("\n".join), st.booleans())
def test_any_text_is_read_or_refused_with_a_sentence(
    tmp_path: Path, text: str, with_head: bool
) -> None:
    path = tmp_path / "tidewaiter.yaml"
    path.write_bytes(((HEAD if with_head else "") + text).encode("utf-8", "surrogatepass"))
    try:
        plain = load_policy(str(path), use_cache=False)
    except PolicyError as error:
        message = str(error)
    else:
        Policy(plain)
        policy_warnings(plain)
        return
    assert message.startswith(str(path))
