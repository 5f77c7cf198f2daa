"""Every mistake in a policy file is told at its place, with what was probably meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rules.policy.policies import HEAD, spec, write
from tidewaiter.rules.errors import PolicyError
from tidewaiter.rules.policy.file import load_policy


def mistakes(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path, use_cache=False)
    return [line.removeprefix(path + ":") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("profle: all", "5:11: there is no key 'profle' here; did you mean 'profile'?"),
        (
            "profile: recomended",
            (
                "5:12: profile is 'recomended', not one of pss-baseline, pss-restricted, recommended, "
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
        *(
            (
                f"exemptions: [{{match: {{}}, rules: [pdb], reason: x, expires: {stated}}}]",
                f"5:62: expires is {shown} where a date such as 2027-01-31 is asked for",
            )
            for stated, shown in [
                ("0", "0"),
                ("20270131", "20270131"),
                ("'1798675200'", "'1798675200'"),
                ("2027-01-31T00:00:00Z", "'2027-01-31T00:00:00Z'"),
                ("2027-02-30", "'2027-02-30'"),
                ("true", "true"),
            ]
        ),
        ("exemptions: [{match: {}, rules: [], reason: x}]", "5:35: rules is empty"),
        (
            "exemptions: [{match: {}, rules: [pbd], reason: x}]",
            "5:36: there is no rule 'pbd'; did you mean 'pdb'?",
        ),
        (
            "exemptions: [{match: {}, rules: [pdb], reason: ' '}]",
            "5:50: reason is ' ', which tells nobody why",
        ),
        (
            "exemptions: [{match: {}, rules: [pdb], reason: }]",
            "5:42: reason is null where a text is asked for",
        ),
        (
            "exemptions: [{match: {names: ['[z-a]']}, rules: [pdb], reason: x}]",
            "5:33: '[z-a]' is no glob: the range z-a runs backwards",
        ),
        (
            "overrides: [{match: {labels: {a: 1}}}]",
            "5:36: a is a number where a text is asked for; put it in quotes",
        ),
        (
            "overrides: [{match: {}, profile: pss-basline}]",
            (
                "5:36: profile is 'pss-basline', not one of pss-baseline, pss-restricted, "
                "recommended, production, all; did you mean 'pss-baseline'?"
            ),
        ),
        (
            "overrides: [{match: {}, rules: {pbd: {}}}]",
            "5:40: there is no rule 'pbd'; did you mean 'pdb'?",
        ),
        (
            "rules: {pdb: {severty: info}}",
            "5:26: there is no key 'severty' here; did you mean 'severity'?",
        ),
        ("rules: {pdb: }", "5:11: pdb is null where a mapping is asked for"),
        ("failOn: no", "5:11: failOn is false, not one of error, warning, info, never"),
        (
            "workloads: [{apiVersion: a/b/c, kind: A, podSpec: /spec}]",
            "5:28: apiVersion is 'a/b/c', not a group and version such as example.com/v1",
        ),
        (
            (
                "workloads: [{apiVersion: a/v1, kind: A, podSpec: /b}, "
                "{apiVersion: a/v2, kind: A, podSpec: /c}]"
            ),
            "5:57: A.a has another podSpec above",
        ),
        (
            "workloads: [{apiVersion: v1, kind: A, podSpec: spec}]",
            "5:50: podSpec is 'spec', not a JSON pointer such as /spec/template/spec",
        ),
        ("failOn: error\nfailOn: info", "6:3: key 'failOn' stands here again"),
    ],
)
def test_a_mistake_has_its_place_and_a_suggestion(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, spec(text)) == [expected]


def test_a_key_in_a_block_is_placed_at_the_key(tmp_path: Path) -> None:
    text = spec("overides:\n  - match: {}")
    assert mistakes(tmp_path, text) == [
        "5:3: there is no key 'overides' here; did you mean 'overrides'?"
    ]


def test_a_long_value_is_not_repeated_whole(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, spec(f"failOn: {'x' * 5000}"))
    assert len(line) < 200


def test_a_version_of_thousands_of_digits_is_no_version(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, spec(f'kubernetesVersion: "{"1" * 5000}.2"'))
    assert line.endswith("is no known Kubernetes version; give one from 1.0 to 1.37")


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


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tidewaiter.yaml"
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(PolicyError, match="is not text"):
        load_policy(str(path), use_cache=False)


def test_a_folder_without_a_policy_and_a_named_pipe_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        PolicyError, match=r"has no tidewaiter\.yaml and no ValidatingAdmissionPolicy"
    ):
        load_policy(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PolicyError, match="is a named pipe, not a file"):
        load_policy(str(tmp_path / "pipe"))
