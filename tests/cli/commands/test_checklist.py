"""`tidewaiter checklist`: exit codes, forms, options, and input of every kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.rules.rendering.charts import small
from tidewaiter.cli.main import main

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "tests/cli/checklist_output/shop.yaml"
GOLDEN = SHOP.with_name("shop.json")
CLEAN, BROKEN = ROOT / "deploy/examples/payments", ROOT / "deploy/examples/payments-broken"
SCHEMA = json.loads((ROOT / "docs/checklist-schema.json").read_text(encoding="utf-8"))

Out = pytest.CaptureFixture[bytes]


@pytest.fixture(autouse=True)
def _day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewaiter.cli.surroundings.today", lambda: "2026-01-31")


def _call(out: Out, *arguments: object) -> tuple[int, str, str]:
    code = main(["checklist", *map(str, arguments)])
    captured = out.readouterr()
    return code, captured.out.decode(), captured.err.decode()


def _data(out: Out, *arguments: object) -> dict[str, Any]:
    _, text, _ = _call(out, *arguments, "--format=json")
    data: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    return data


def test_the_report_for_programs_is_the_one_on_file(
    capfdbinary: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SHOP.parent)
    data = _data(capfdbinary, "shop.yaml", "--inventory", ".")
    data["tool"]["version"] = "0.0.0"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    assert data == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_schema_is_one_and_is_strict() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    golden["services"][0]["answers"][0]["state"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(golden)


@pytest.mark.parametrize("path", [CLEAN, BROKEN])
def test_the_examples_fit_the_schema(path: Path, capfdbinary: Out) -> None:
    data = _data(capfdbinary, path)
    for service in data["services"]:
        counts = service["counts"]
        parts = counts["yes"] + counts["attested"] + counts["no"] + counts["unknown"]
        assert parts == counts["applicable"] == 15 - counts["notApplicable"]
        assert service["score"] == 100 * (counts["yes"] + counts["attested"]) // parts


def test_exit_codes_say_how_it_stands(capfdbinary: Out, tmp_path: Path) -> None:
    assert _call(capfdbinary, BROKEN)[0] == 1
    assert _call(capfdbinary, BROKEN, "--fail-on=never")[0] == 0
    (tmp_path / "empty.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", encoding="utf-8"
    )
    code, text, _ = _call(capfdbinary, tmp_path)
    assert code == 0
    assert text.startswith("0 services in 1 object of 1 file")


def test_unknown_answers_fail_where_asked_to(capfdbinary: Out, tmp_path: Path) -> None:
    for file in CLEAN.iterdir():
        text = file.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if "attest.image-integrity" not in line]
        (tmp_path / file.name).write_text("\n".join(lines), encoding="utf-8")
    assert _call(capfdbinary, tmp_path)[0] == 0
    assert _call(capfdbinary, tmp_path, "--fail-on=unknown")[0] == 1


def test_a_broken_file_is_told_and_the_rest_is_answered(capfdbinary: Out, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes(SHOP.read_bytes())
    (tmp_path / "broken.yaml").write_text("kind: [\n", encoding="utf-8")
    code, text, errors = _call(capfdbinary, tmp_path, "--format=json")
    data = json.loads(text)
    assert code == 2
    assert "broken.yaml:2:1: error:" in errors
    assert [service["name"] for service in data["services"]] == ["import", "web"]
    assert data["complete"] is False
    assert len(data["errors"]) == data["summary"]["errors"] == 1


def test_what_is_absent_from_a_single_file_is_unknown(capfdbinary: Out) -> None:
    def state(data: dict[str, Any], item: str) -> str:
        (service,) = (each for each in data["services"] if each["name"] == "web")
        return str(next(each["state"] for each in service["answers"] if each["item"] == item))

    alone, in_set = _data(capfdbinary, SHOP), _data(capfdbinary, SHOP, "--inventory", SHOP.parent)
    assert (alone["complete"], in_set["complete"]) == (False, True)
    assert (state(alone, "autoscaling"), state(in_set, "autoscaling")) == ("unknown", "no")


def test_objects_of_the_inventory_are_known_but_not_answered_for(
    capfdbinary: Out, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n",
        encoding="utf-8",
    )
    data = _data(capfdbinary, tmp_path / "a.yaml", "--inventory", SHOP.parent)
    assert [service["name"] for service in data["services"]] == ["a"]


def test_standard_input_is_read(capfdbinary: Out) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", "checklist", "-", "--format=json"],
        input=SHOP.read_bytes(),
        capture_output=True,
        check=False,
    )
    data = json.loads(done.stdout)
    assert done.returncode == 1
    assert data["services"][1]["objects"][0]["location"] == {"file": "-", "line": 12, "column": 18}


WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: IMAGE
"""


def test_charts_and_kustomizations_are_answered_for_as_they_would_be_applied(
    capfdbinary: Out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small(
        tmp_path, WORKLOAD.replace("IMAGE", "{{ .Values.image }}"), "image: nginx\n", name="chart"
    )
    for folder in ("base", "prod", "test"):
        (tmp_path / folder).mkdir()
        text = "resources: [../base]\n"
        if folder != "base":
            text += f"namespace: {folder}\nimages: [{{name: nginx, newTag: '1.{len(folder)}'}}]\n"
        (tmp_path / folder / "kustomization.yaml").write_text(text)
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [web.yaml]\n")
    (tmp_path / "base" / "web.yaml").write_text(WORKLOAD.replace("IMAGE", "nginx"))
    data = _data(capfdbinary)
    assert data["errors"] == []
    found = {
        row["namespace"]: next(
            e for a in row["answers"] for e in a["evidence"] if "image" in e["message"]
        )
        for row in data["services"]
    }
    assert set(found) == {"default", "prod", "test"}
    assert found["default"]["location"]["file"] == "chart/templates/all.yaml"
    assert found["default"]["location"]["line"] == 11
    assert "nginx:1.4" in found["prod"]["message"]
    data = _data(capfdbinary, "--no-render")
    assert [row["namespace"] for row in data["services"]] == ["default"]


def test_a_chart_that_cannot_be_rendered_is_an_error(
    capfdbinary: Out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small(tmp_path, '{{ fail "no" }}\n')
    code, _, error = _call(capfdbinary)
    assert code == 2
    assert "small/templates/all.yaml" in error


def test_what_does_not_count_is_told(capfdbinary: Out) -> None:
    _, text, _ = _call(capfdbinary, SHOP)
    assert (
        "shop.yaml:8: annotation tidewaiter.dev/attest.observability has 'someday' where a date"
    ) in text


def test_an_exemption_of_the_policy_holds(capfdbinary: Out, tmp_path: Path) -> None:
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  exemptions:\n"
        "    - {match: {names: [web]}, rules: [readiness-probe, liveness-probe, termination-grace,"
        " startup-probe], reason: no probes here}\n",
        encoding="utf-8",
    )
    data = _data(capfdbinary, SHOP, "--policy", policy, "--inventory", SHOP.parent)
    probes = data["services"][1]["answers"][1]
    assert probes["state"] == "yes"
    assert {each["exemption"]["reason"] for each in probes["evidence"]} == {"no probes here"}
    assert data["policy"] == str(policy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kubernetes-version=9.9"], "no known Kubernetes version"),
        (["--inventory=cluster"], "the checklist answers by manifests"),
        (["--policy=missing.yaml"], "missing.yaml"),
        (["--output=no/such/folder/x"], "cannot be written"),
    ],
)
def test_mistakes_in_the_call_are_told(
    arguments: list[str], message: str, capfdbinary: Out
) -> None:
    code, _, errors = _call(capfdbinary, SHOP, *arguments)
    assert code == 2
    assert message in errors


def test_an_output_file_leaves_stdout_alone(capfdbinary: Out, tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    _, text, _ = _call(capfdbinary, SHOP, "--format=markdown", "--output", target)
    assert text == ""
    assert target.read_text(encoding="utf-8").startswith("# Release checklist\n")


def test_two_runs_give_the_same_bytes(capfdbinary: Out) -> None:
    for form in ("text", "json", "markdown", "html"):
        assert _call(capfdbinary, CLEAN, "--format", form) == _call(
            capfdbinary, CLEAN, "--format", form
        )


def test_colours_are_for_terminals(capfdbinary: Out) -> None:
    assert "\033[" not in _call(capfdbinary, SHOP)[1]
    assert "\033[" in _call(capfdbinary, SHOP, "--color=always")[1]


def test_the_text_has_a_map_a_legend_and_reasons(capfdbinary: Out) -> None:
    _, text, _ = _call(capfdbinary, BROKEN)
    assert "payments/payments-api              " in text
    assert "Y yes  A yes, attested  N no  ? unknown  - not applicable" in text
    assert "api.yaml:62: the image registry.example.com/payments/api:4.12.0" in text
    assert "Readiness is the share of the items that apply" in text


HOSTILE = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "<script>alert(1)</script>"
  namespace: "a\\u001b[31m|b](javascript:x)"
  labels: {app.kubernetes.io/name: "\\"><img src=x onerror=alert(1)>\\n# owned `x`"}
spec:
  template:
    spec:
      containers: [{name: "'\\"><svg onload=alert(1)>", image: "<b>\\u202e"}]
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "<i>"
    folder.mkdir()
    (folder / "a&b.yaml").write_text(HOSTILE, encoding="utf-8")
    (folder / "b.yaml").write_text("apiVersion: v1\nkind: List\nitems: [1]\n", encoding="utf-8")
    return folder


def test_html_shows_hostile_names_as_text(hostile: Path, capfdbinary: Out) -> None:
    code, page, _ = _call(capfdbinary, hostile, "--format=html")
    assert code in {1, 2}
    for markup in ("<script", "<img", "<svg", "<i>", "<b>\\", "\u202e", "\x1b"):
        assert markup not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_markdown_shows_hostile_names_as_text(hostile: Path, capfdbinary: Out) -> None:
    _, text, _ = _call(capfdbinary, hostile, "--format=markdown")
    for markup in ("<img", "<script", "\n# owned", "](javascript", " `x`", "\x1b"):
        assert markup not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    plain = [row.replace("\\|", "") for row in rows]
    assert {row.count("|") for row in plain} == {18}


def test_a_terminal_gets_no_control_characters(hostile: Path, capfdbinary: Out) -> None:
    _, text, _ = _call(capfdbinary, hostile)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_file_names_outside_unicode_are_kept_or_replaced(tmp_path: Path, capfdbinary: Out) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.yaml"
    with open(name, "wb") as file:
        file.write(SHOP.read_bytes())
    for form in ("text", "json", "markdown", "html"):
        assert main(["checklist", str(tmp_path), "--format", form]) == 1
        out = capfdbinary.readouterr().out
        if form in {"markdown", "html"}:
            out.decode("utf-8")
