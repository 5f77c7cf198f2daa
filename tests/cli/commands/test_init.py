"""`tidewaiter init`: what it writes fits the repository, spoils nothing, and is written once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidewaiter.cli.first_contact.origin import Origin
from tidewaiter.cli.first_contact.pipeline import github_workflow, with_gitlab_job
from tidewaiter.cli.first_contact.pre_commit import CannotAdd, entry, has_entry, with_entry
from tidewaiter.cli.main import main
from tidewaiter.rules.policy.file import load_policy

ROOT = Path(__file__).parents[3]
CLEAN = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {color: blue}
"""
AGENT = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: kube-system}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent, securityContext: {privileged: true}}]}
"""
APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, namespace: argocd}
spec:
  project: default
  destination: {server: "https://shop.example.com", namespace: shop}
  source: {repoURL: "https://git.example.com/shop", path: deploy, targetRevision: v1}
"""
OURS = Origin()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    subprocess.run(["git", "init", "-q", "."], check=True)
    return work


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def spec(path: str = "tidewaiter.yaml") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["spec"]
    return found


def test_a_repository_gets_a_policy_a_hook_and_a_job(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "deploy/examples/payments-broken", "deploy")
    Path(".github").mkdir()
    assert main(["init"]) == 0
    out = capsys.readouterr().out
    for path in ("tidewaiter.yaml", ".pre-commit-config.yaml", ".github/workflows/tidewaiter.yaml"):
        assert f"wrote    {path}\n" in out
        assert Path(path).exists()
    assert load_policy("tidewaiter.yaml", use_cache=False)["profiles"] == ["recommended"]
    assert "The 10 to fix first" in out
    places = [line for line in out.splitlines() if line[2:4].endswith(".")]
    assert len(places) == 10


def test_the_findings_to_fix_first_are_those_of_a_lint_run_by_the_policy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "deploy/examples/payments-broken", "deploy")
    Path("agent.yaml").write_text(AGENT)
    main(["init"])
    out = capsys.readouterr().out
    main(["lint", "--format", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    rules = {each["rule"] for each in found}
    assert f"{len(found)} findings of {len(rules)} rules." in out


def test_a_second_run_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("agent.yaml").write_text(AGENT)
    Path(".gitlab-ci.yml").write_text("build: {script: [make]}\n")
    assert main(["init"]) == 0
    before = contents(folder)
    assert main(["init"]) == 0
    assert contents(folder) == before
    assert "wrote" not in capsys.readouterr().out.partition("kept")[2]
    assert main(["init", "--force"]) == 0
    assert contents(folder) == before


def test_a_dry_run_writes_nothing_and_shows_all(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("agent.yaml").write_text(AGENT.replace("kube-system", "shop"))
    before = contents(folder)
    assert main(["init", "--dry-run", "--ci", "github"]) == 0
    assert contents(folder) == before
    out = capsys.readouterr().out
    assert "would write tidewaiter.yaml\n" in out
    assert "+  profile: recommended\n" in out
    assert "+      - run: tidewaiter lint . --format github\n" in out


def test_a_policy_that_is_there_is_kept_and_decides(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: mine}\nspec: {profile: pss-baseline}\n"
    Path("tidewaiter.yaml").write_text(policy)
    Path("agent.yaml").write_text(AGENT.replace("kube-system", "shop"))
    assert main(["init", "--ci", "none", "--no-pre-commit"]) == 0
    assert Path("tidewaiter.yaml").read_text() == policy
    out = capsys.readouterr().out
    assert "1. error  no-privileged: 1 object" in out
    assert "image-digest" not in out
    assert main(["init", "--force", "--ci", "none", "--no-pre-commit"]) == 0
    assert spec()["profile"] == "recommended"


def test_namespaces_of_the_cluster_itself_are_asked_for_less(folder: Path) -> None:
    Path("agent.yaml").write_text(AGENT)
    Path("settings.yaml").write_text(CLEAN)
    main(["init"])
    assert spec()["overrides"] == [
        {"match": {"namespaces": ["kube-system"]}, "profile": "pss-baseline"}
    ]
    assert "exemptions" not in spec()


def test_what_argo_cd_delivers_to_is_named(folder: Path) -> None:
    Path("app.yaml").write_text(APPLICATION)
    main(["init"])
    text = Path("tidewaiter.yaml").read_text()
    assert "# - clusters that they deliver to: https://shop.example.com\n" in text
    assert "# - 1 Application of Argo CD\n" in text


@pytest.mark.parametrize(
    ("file", "content", "version"),
    [
        ("kind.yaml", "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{role: control-plane, image: 'kindest/node:v1.33.2'}]\n", "1.33"),
        ("cluster.yaml", "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, version: '1.31'}\n", "1.31"),
        ("capi.yaml", "apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nmetadata: {name: a}\nspec: {topology: {version: v1.32.4}}\n", "1.32"),
        ("main.tf", 'module "eks" {\n  cluster_version = "1.30"\n}\n', "1.30"),
        ("main.tf", 'resource "azurerm_kubernetes_cluster" "a" {\n  kubernetes_version  = "1.34.1"\n}\n', "1.34"),
    ],
)  # fmt: skip
def test_the_version_is_that_which_a_file_names(
    folder: Path, file: str, content: str, version: str
) -> None:
    Path(file).write_text(content)
    assert main(["init"]) == 0
    assert spec()["kubernetesVersion"] == version
    assert f"# - {version} in {file}\n" in Path("tidewaiter.yaml").read_text()


def test_of_several_versions_the_oldest_is_taken_and_a_strange_one_none(folder: Path) -> None:
    Path("a.tf").write_text('cluster_version = "1.9"\n')
    Path("b.tf").write_text('cluster_version = "1.30"\nkubernetes_version = "1.99"\n')
    assert main(["init"]) == 0
    assert spec()["kubernetesVersion"] == "1.9"
    assert load_policy("tidewaiter.yaml", use_cache=False)


def test_a_repository_in_good_order_gets_the_strictest_profile(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("settings.yaml").write_text(CLEAN)
    assert main(["init"]) == 0
    assert spec()["profile"] == "production"
    assert "Nothing to fix: no finding." in capsys.readouterr().out


def test_a_folder_below_the_root_is_what_hook_and_job_lint(folder: Path) -> None:
    Path("deploy here").mkdir()
    Path("deploy here/settings.yaml").write_text(CLEAN)
    assert main(["init", "deploy here", "--ci", "github"]) == 0
    hook = yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"][0]["hooks"][0]
    assert hook["args"] == ["deploy here"]
    assert "tidewaiter lint 'deploy here' " in Path(".github/workflows/tidewaiter.yaml").read_text()
    assert Path("tidewaiter.yaml").exists()


def test_input_that_cannot_be_read_is_told_and_the_rest_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.yaml").write_text("apiVersion: v1\nkind: [\n")
    Path("settings.yaml").write_text(CLEAN)
    assert main(["init"]) == 2
    assert "broken.yaml" in capsys.readouterr().err
    assert Path("tidewaiter.yaml").exists()


def test_a_path_that_is_no_folder_is_a_mistake(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "nowhere"]) == 2
    assert capsys.readouterr().err == "tidewaiter: nowhere: does not exist\n"
    assert contents(folder) == {}
    assert os.getcwd() == str(folder)


CONFIGURATION = """\
# hooks of ours
default_language_version: {python: python3}
repos:
- repo: https://git.example.com/hooks   # theirs
  rev: "v4.6.0"
  hooks:
    - id: trailing-whitespace
      args: [ '--markdown' ]
# the end
"""


@pytest.mark.parametrize(
    "content",
    [
        CONFIGURATION,
        CONFIGURATION.replace("# the end\n", "\nfail_fast: true\n"),
        CONFIGURATION.replace("# the end\n", "")[:-1],
        CONFIGURATION.replace("\n", "\r\n"),
        CONFIGURATION.replace("\n  ", "\n      ").replace("\n- ", "\n    - "),
        "repos: []\n",
        "repos: []  # none yet\nfail_fast: true\n",
        "",
        "# nothing yet\n",
    ],
)
def test_an_entry_is_added_without_touching_the_rest(content: str) -> None:
    added = entry(OURS, ".", ())
    after = with_entry(content.encode(), added).decode()
    before, now = yaml.safe_load(content) or {}, yaml.safe_load(after)
    assert now["repos"][:-1] == before.get("repos", [])
    assert now["repos"][-1] == yaml.safe_load(added)[0]
    assert has_entry(after.encode())
    kept = [line for line in after.splitlines() if line in content.splitlines()]
    gone = [line for line in content.splitlines() if line not in kept]
    assert all(line.startswith("repos: []") for line in gone)
    assert ("\r\n" in content) == ("\r\n" in after)
    assert after.count("\r\n") in {0, after.count("\n")}


@pytest.mark.parametrize(
    "content", ["repos: [{repo: local, hooks: []}]\n", "repos: {", "- a\n", "a: 1\n"]
)
def test_a_file_that_cannot_be_added_to_is_left_alone_and_the_entry_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    Path(".pre-commit-config.yaml").write_text(content)
    assert main(["init"]) == 2
    assert Path(".pre-commit-config.yaml").read_text() == content
    assert "- id: tidewaiter" in capsys.readouterr().err


@given(st.text(max_size=60))
@example("~")
@settings(max_examples=100, deadline=None)
def test_no_configuration_is_spoilt(content: str) -> None:
    before = content.encode()
    try:
        after = with_entry(before, entry(OURS, ".", ()))
    except CannotAdd:
        return
    assert len(yaml.safe_load(after)["repos"]) >= 1


@pytest.mark.parametrize(
    ("stages", "stage"),
    [("", "test"), ("stages: [lint, test]\n", "test"), ("stages: [lint, ship]\n", "lint")],
)
def test_the_job_of_gitlab_stands_in_a_stage_that_is_there(stages: str, stage: str) -> None:
    before = f"{stages}build:\n  script: [make]\n  rules: !reference [.all, rules]\n"
    after = with_gitlab_job(before.encode(), OURS, ".", ()).decode()
    assert after.startswith(before)
    job = yaml.safe_load(after.partition("!reference [.all, rules]\n")[2])["tidewaiter"]
    assert job["stage"] == stage
    assert job["script"][1].startswith("tidewaiter lint . --report gitlab=")


def test_hook_and_job_install_what_this_was_installed_from() -> None:
    source = Origin(url="https://git.example.com/tidewaiter", commit="0123abc")
    (hook,) = yaml.safe_load(entry(source, ".", ("helm",)))
    assert hook["repo"] == source.url
    assert hook["rev"] == "0123abc"
    assert hook["hooks"] == [{"id": "tidewaiter", "additional_dependencies": [".[helm]"]}]
    steps = yaml.safe_load(github_workflow(source, ".", ("helm",)))["jobs"]["lint"]["steps"]
    assert steps[2]["run"] == (
        "pip install 'tidewaiter[helm] @ git+https://git.example.com/tidewaiter@0123abc'"
    )


@pytest.mark.slow
def test_the_entry_runs_in_pre_commit(folder: Path) -> None:
    Path("agent.yaml").write_text(AGENT.replace("kube-system", "shop"))
    assert main(["init"]) == 0
    subprocess.run(["git", "add", "-A"], check=True)
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["pre-commit", "run", "--all-files"],
        env={**os.environ, "PATH": path, "PRE_COMMIT_HOME": str(folder.parent / "pre-commit")},
        capture_output=True,
        text=True,
        check=False,
    )
    if "language: system" in Path(".pre-commit-config.yaml").read_text():
        assert run.returncode == 1
        assert "no-privileged" in run.stdout
