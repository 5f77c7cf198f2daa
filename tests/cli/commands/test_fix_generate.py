"""`tidewaiter fix --generate`: what is missing is written beside what asks for it, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

API = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  namespace: shop
  labels: {app.kubernetes.io/name: api, helm.sh/chart: api-1}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
        - name: api
          image: registry.example.com/api:1
          resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {cpu: 1, memory: 128Mi}}
"""


def tidewaiter(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def findings(folder: Path) -> list[dict[str, Any]]:
    report = tidewaiter(folder, "lint", "--profile", "production", "--format", "json", ".")
    found: list[dict[str, Any]] = json.loads(report.stdout)["findings"]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "api.yaml").write_text(API)
    return tmp_path


def test_missing_objects_stand_in_new_files_and_their_findings_are_gone(folder: Path) -> None:
    assert {"pdb", "network-policy-default-deny"} <= {one["rule"] for one in findings(folder)}
    run = tidewaiter(folder, "fix", "--generate", ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert sorted(path.name for path in (folder / "app").iterdir()) == [
        "api-hpa.yaml",
        "api-pdb.yaml",
        "api.yaml",
        "network-policy-default-deny.yaml",
    ]
    after = findings(folder)
    assert not {"pdb", "network-policy-default-deny"} & {one["rule"] for one in after}
    # An autoscaler by cpu alone is a start; that it is no end is said.
    generated = {"PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler"}
    about = {one["rule"] for one in after if one["resource"]["kind"] in generated}
    assert about <= {"hpa-metrics"}
    budget = yaml.safe_load((folder / "app" / "api-pdb.yaml").read_text())
    assert budget["spec"]["selector"] == {"matchLabels": {"app": "api"}}
    assert budget["metadata"]["labels"] == {"app.kubernetes.io/name": "api"}


def test_a_second_run_generates_nothing(folder: Path) -> None:
    tidewaiter(folder, "fix", "--generate", ".")
    before = sorted(folder.rglob("*"))
    run = tidewaiter(folder, "fix", "--generate", ".")
    assert "generated" not in run.stdout
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("place", ["app", "."])
def test_a_kustomization_that_lists_the_manifest_takes_the_new_file_up(
    folder: Path, place: str
) -> None:
    listed = "api.yaml" if place == "app" else "app/api.yaml"
    kustomization = folder / place / "kustomization.yaml"
    text = f"# ours\nresources:\n# the service\n- {listed}   # here\nnamePrefix: a-\n"
    kustomization.write_text(text)
    run = tidewaiter(folder, "fix", "--generate", "--kind", "pdb", ".")
    assert run.returncode == 0
    new = listed.replace("api.yaml", "api-pdb.yaml")
    assert kustomization.read_text() == text.replace("# here\n", f"# here\n- {new}\n")


def test_one_that_does_not_list_it_is_left_alone(folder: Path) -> None:
    text = "resources: [other.yaml]\n"
    (folder / "app" / "kustomization.yaml").write_text(text)
    tidewaiter(folder, "fix", "--generate", "--kind", "pdb", ".")
    assert (folder / "app" / "kustomization.yaml").read_text() == text


def test_names_never_overwrite(folder: Path) -> None:
    (folder / "app" / "api-pdb.yaml").write_text("# notes\n")
    tidewaiter(folder, "fix", "--generate", "--rule", "pdb", ".")
    assert (folder / "app" / "api-pdb.yaml").read_text() == "# notes\n"
    assert (folder / "app" / "api-pdb-2.yaml").exists()
    assert not (folder / "app" / "api-hpa.yaml").exists()


def test_nothing_is_written_for_a_diff_or_a_check(folder: Path) -> None:
    diff = tidewaiter(folder, "fix", "--generate", "--diff", "--rule", "pdb", ".")
    assert diff.returncode == 1
    assert "--- /dev/null\n+++ b/app/api-pdb.yaml\n" in diff.stdout
    assert tidewaiter(folder, "fix", "--generate", "--check", "--rule", "pdb", ".").returncode == 1
    assert [path.name for path in (folder / "app").iterdir()] == ["api.yaml"]


def test_exempted_findings_and_single_replicas_ask_for_nothing(folder: Path) -> None:
    exempt = "  annotations: {tidewaiter.dev/ignore.pdb: batch}\nspec:"
    text = API.replace("spec:", exempt, 1).replace("replicas: 3", "replicas: 1")
    (folder / "app" / "api.yaml").write_text(text)
    tidewaiter(folder, "fix", "--generate", "--kind", "pdb", "--kind", "hpa", ".")
    assert [path.name for path in (folder / "app").iterdir()] == ["api.yaml"]


def test_a_single_file_does_not_say_what_is_missing(folder: Path) -> None:
    tidewaiter(folder, "fix", "--generate", "app/api.yaml")
    assert [path.name for path in (folder / "app").iterdir()] == ["api.yaml"]


def test_mistakes_in_the_call_are_said(folder: Path) -> None:
    assert tidewaiter(folder, "fix", "--kind", "pdb", ".").returncode == 2
    assert tidewaiter(folder, "fix", "--generate", "-").returncode == 2
