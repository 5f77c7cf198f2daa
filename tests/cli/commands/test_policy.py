"""`tidewaiter policy`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest

from tidewaiter.cli.main import main

POLICY = """apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: default}
spec:
  profile: pss-baseline
  rules:
    pdb: {severity: info}
  overrides:
    - match: {namespaces: [payments]}
      profile: recommended
"""
MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: payments}
spec: {template: {spec: {containers: [{name: api, image: api}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: other}
spec: {}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tidewaiter.yaml").write_text(POLICY, encoding="utf-8")
    Path("app.yaml").write_text(MANIFEST, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", ["lint app.yaml", "scan", "policy show app.yaml"])
def test_a_base_is_for_the_policy_of_a_cluster(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([*command.split(), "--base", "tidewaiter.yaml"]) == 2
    assert "--base is for --policy cluster" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["lint app.yaml", "scan", "policy show app.yaml"])
def test_the_policy_of_a_cluster_that_cannot_be_asked_is_not_taken_for_none(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    # A file of that name is ./cluster.
    Path("cluster").write_text(POLICY, encoding="utf-8")
    assert main([*command.split(), "--policy", "cluster", "--kubeconfig", "missing"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "missing" in told.err


def test_check_says_that_a_policy_is_valid_and_what_has_no_effect(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = POLICY.replace("recommended", "pss-restricted")
    Path("tidewaiter.yaml").write_text(text, encoding="utf-8")
    assert main(["policy", "check"]) == 0
    done = capsys.readouterr()
    assert done.out == "tidewaiter.yaml: valid: profile pss-baseline, 1 rule setting, 1 override\n"
    assert "warning: rules.pdb has no effect" in done.err


def test_check_lists_every_mistake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = POLICY.replace("pdb", "pbd").replace("namespaces", "namespace")
    Path("tidewaiter.yaml").write_text(text, encoding="utf-8")
    assert main(["policy", "check", "tidewaiter.yaml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "tidewaiter: tidewaiter.yaml:7:10: there is no rule 'pbd'; did you mean 'pdb'?",
        "tidewaiter.yaml:9:26: there is no key 'namespace' here; did you mean 'namespaces'?",
    ]


def test_check_without_a_policy_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["policy", "check"]) == 2
    assert "there is no tidewaiter.yaml here" in capsys.readouterr().err


def test_show_gives_the_rules_of_an_object_and_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "show", "app.yaml", "--kind", "deployment"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Policy for Deployment payments/api\n")
    assert "overrides           overrides[0] (line 9)" in text
    (line,) = [one for one in text.splitlines() if one.split()[:1] == ["pdb"]]
    assert line.split()[1] == "info"
    assert line.endswith("rules.pdb (line 7): severity info")


def test_show_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "show", "app.yaml", "--format", "json"]) == 0
    deployment, service = json.loads(capsys.readouterr().out)
    assert deployment["resource"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "payments",
        "name": "api",
    }
    assert deployment["profiles"] == ["recommended"]
    assert service["profiles"] == ["pss-baseline"]
    rules = {rule["name"]: rule for rule in service["rules"]}
    assert not rules["service-selector"]["enabled"]
    assert "no-privileged" not in rules


def test_show_without_an_object_shows_the_policy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "show"]) == 0
    assert "objects that no override matches" in capsys.readouterr().out


def test_show_of_an_object_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "show", "app.yaml", "--name", "web"]) == 2
    assert "there are Deployment payments/api, Service other/api" in capsys.readouterr().err


def test_show_says_what_is_exempted_and_what_no_longer_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exemptions = """  exemptions:
    - {match: {containers: [side]}, rules: [no-privileged], reason: old, expires: 2020-01-01}
    - {match: {}, rules: [pdb], reason: can wait, expires: 9999-12-31}
"""
    Path("tidewaiter.yaml").write_text(POLICY + exemptions, encoding="utf-8")
    manifest = MANIFEST.replace(
        "namespace: payments}",
        "namespace: payments, annotations: {tidewaiter.dev/ignore.image-digest: ''}}",
    )
    Path("app.yaml").write_text(manifest, encoding="utf-8")
    assert main(["policy", "show", "app.yaml", "--kind", "Deployment"]) == 0
    lines = {line.strip() for line in capsys.readouterr().out.splitlines()}
    assert lines >= {
        "no longer exempted for containers side since it expired on 2020-01-01 (line 12): old",
        "exempted until 9999-12-31 (line 13): can wait",
        "exempted (annotation): no reason given",
    }


def test_show_names_the_option_that_chose_the_profile(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "show", "--profile", "pss-restricted"]) == 0
    assert "in profile pss-restricted (--profile)" in capsys.readouterr().out


def test_show_reads_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MANIFEST.encode())))
    assert main(["policy", "show", "-", "--name", "api", "--namespace", "other"]) == 0
    assert capsys.readouterr().out.startswith("Policy for Service other/api\n")


def test_show_prints_no_control_characters_of_a_manifest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("app.yaml").write_text(
        MANIFEST.replace("name: api, namespace: payments", 'name: "a\\e[2Jb"'), encoding="utf-8"
    )
    assert main(["policy", "show", "app.yaml"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["chek"], "there is no action 'chek'; did you mean 'check'?"),
        (
            ["xyzzy"],
            "there is no action 'xyzzy'; there are check, show, export, import, test, diff, schema",
        ),
        (["show", "--nmae", "x"], "there is no option '--nmae'; did you mean '--name'?"),
        (["check", "--name"], "there is no option '--name'; see `tidewaiter policy check --help`"),
        (["show", "--kin", "x"], "there is no option '--kin'; did you mean '--kind'?"),
        ([], "the following arguments are required: ACTION"),
    ],
)
def test_a_mistake_in_the_call_is_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["policy", *words])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err


def test_schema_is_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
