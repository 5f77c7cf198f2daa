"""A policy file: what is in it is what holds, and every mistake is told with its place."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.policy.file import load_policy, policy_warnings
from tidewaiter.rules.policy.schema import policy_schema

ROOT = Path(__file__).parents[3]
HEAD = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\nspec:\n"
FULL = """
  profile: [recommended, pss-baseline]
  kubernetesVersion: "1.34"
  failOn: warning
  rules:
    image-digest: {severity: warning}
    resource-limits: {parameters: {cpu: optional}}
    no-latest-tag: {enabled: false}
    pdb: {mode: audit}
  overrides:
    - match: {namespaces: ["kube-*"], kinds: [DaemonSet], labels: {tier: node}, files: ["legacy/**"]}
      profile: pss-baseline
      mode: warn
      rules: {no-host-path: {severity: info}}
  exemptions:
    - match: {namespaces: [legacy], names: ["redis-*"], containers: [init-*], images: ["docker.io/*"]}
      rules: [read-only-root-filesystem]
      reason: image writes its pid file to /; replaced in Q1
      expires: 2027-01-31
  admission: {annotationExemptions: false, unknown: warn, mode: enforce}
  workloads: [{apiVersion: example.com/v1, kind: Game, podSpec: /spec/template/spec}]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "tidewaiter.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def spec(text: str) -> str:
    return HEAD + textwrap.indent(textwrap.dedent(text).strip("\n"), "  ") + "\n"


def mistakes(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path, use_cache=False)
    return [line.removeprefix(path + ":") for line in str(caught.value).splitlines()]


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("profle: all", "5:11: there is no key 'profle' here; did you mean 'profile'?"),
        (
            "profile: recomended",
            (
                "5:3: profile is 'recomended', not one of pss-baseline, pss-restricted, recommended, "
                "production, all; did you mean 'recommended'?"
            ),
        ),
        (
            "kubernetesVersion: 1.30",
            '5:22: kubernetesVersion is a number; write it in quotes, as "1.30"',
        ),
        (
            'kubernetesVersion: "1.99"',
            "5:22: '1.99' is no known Kubernetes version; give one from 1.0 to 1.37",
        ),
        ("rules: {pbd: {enabled: true}}", "5:16: there is no rule 'pbd'; did you mean 'pdb'?"),
        (
            "rules: {pdb: {enabled: maybe}}",
            "5:26: enabled is a text where true or false is asked for",
        ),
        (
            "rules: {resource-limits: {parameters: {cpu: maybe}}}",
            "5:47: cpu is 'maybe', not one of required, optional",
        ),
        (
            "rules: {resource-limits: {parameters: {cpus: optional}}}",
            "5:48: rule resource-limits has no parameter 'cpus' (parameters: cpu); did you mean 'cpu'?",
        ),
        ("rules: {hpa-bounds: {parameters: {minimum: 0}}}", "5:46: minimum is 0, less than 1"),
        (
            "rules: {hpa-bounds: {parameters: {minimum: two}}}",
            "5:46: minimum is a text where a whole number is asked for",
        ),
        (
            "overrides: [{match: {namespace: [a]}}]",
            "5:35: there is no key 'namespace' here; did you mean 'namespaces'?",
        ),
        (
            "overrides: [{match: {containers: [a]}}]",
            "5:36: there is no key 'containers' here",
        ),
        ("exemptions: [{match: {}, rules: [pdb]}]", "5:16: reason is missing"),
        (
            "exemptions: [{match: {names: a}, rules: [pdb], reason: x}]",
            "5:32: names is a text where a list is asked for",
        ),
        (
            "exemptions: [{match: {}, rules: [pdb], reason: x, expires: soon}]",
            "5:62: expires is 'soon' where a date such as 2027-01-31 is asked for",
        ),
        ("exemptions: [{match: {}, rules: [], reason: x}]", "5:35: rules is empty"),
        (
            "workloads: [{apiVersion: v1, kind: A, podSpec: spec}]",
            "5:50: podSpec is no JSON pointer such as /spec/template/spec",
        ),
        ("images: []", "5:11: images (signatures of images) is not supported by this version"),
        (
            "customRules: []",
            "5:16: customRules (rules of your own in CEL) is not supported by this version",
        ),
        ("failOn: error\nfailOn: info", "6:3: key 'failOn' stands here again"),
    ],
)
def test_a_mistake_has_its_place_and_a_suggestion(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, spec(text)) == [expected]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = spec("failOn: eror\nrules: {pbd: {}}\nadmission: {mode: enforced}")
    assert [line.partition(":")[0] for line in mistakes(tmp_path, text)] == ["5", "6", "7"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the policy file is empty"),
        ("- a\n", "1:3: a policy is a mapping with apiVersion, kind, metadata and spec"),
        (HEAD + "  {}\n---\n" + HEAD + "  {}\n", "1:1: the policy file has 2 documents"),
        (HEAD.replace("/v1", "/v2") + "  {}\n", "1:13: apiVersion is 'tidewaiter.dev/v2'"),
        (HEAD.replace("Policy", "Polic") + "  {}\n", "2:7: kind is 'Polic', not one of Policy"),
        (HEAD, "4:1: spec is null where a mapping is asked for"),
        ("apiVersion: [\n", "2:1: did not find expected node content"),
    ],
)
def test_a_file_that_is_no_policy_is_told(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text)[0].startswith(expected)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="the policy cannot be read: does not exist"):
        load_policy(str(tmp_path / "none.yaml"))


def test_settings_without_effect_are_warned_of(tmp_path: Path) -> None:
    text = spec(
        "profile: pss-baseline\nrules: {pdb: {severity: info}, image-digest: {enabled: true}}"
    )
    warnings = policy_warnings(load_policy(write(tmp_path, text), use_cache=False))
    assert len(warnings) == 1
    assert warnings[0].startswith("rules.pdb has no effect")


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
        load_policy(path, use_cache=False)
    except PolicyError as error:
        message = str(error)
    else:
        return
    assert message.startswith(path)
