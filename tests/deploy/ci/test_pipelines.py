"""The files for pipelines, as far as they go without the servers: their schemas, and their scripts run on a repository."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidewaiter.cli.main import main

ROOT = Path(__file__).parents[3]
CI = ROOT / "deploy" / "ci"
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
GOOD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {A: b}
"""
BAD = """\
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop}
spec:
  containers: [{name: api, image: "registry.example.com/api:1", securityContext: {privileged: true}}]
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a manifest in order, and one with mistakes that no folder but `bad` has."""
    folder = tmp_path / "repository"
    for name, text in {"good/a.yaml": GOOD, "bad dir/pod.yaml": BAD, "bad/pod.yaml": BAD}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "-q", "-m", "all"], cwd=folder, check=True)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH in which tidewaiter is installed already, and pip notes what it is asked for."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "tidewaiter").symlink_to(Path(sys.executable).with_name("tidewaiter"))
    _program(folder / "pip", f'echo "$*" >>{tmp_path}/pip.log')
    return folder


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _run(
    script: str, folder: Path, programs: Path, shell: tuple[str, ...], **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(programs),
        "XDG_CACHE_HOME": str(programs), **variables,
    }  # fmt: skip
    return subprocess.run(
        [*shell, script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _conforms(schema: str, *files: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    run = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


class Action:
    """The composite action with inputs, as a runner carries its steps out."""

    def __init__(self, repository: Path, programs: Path, **inputs: str) -> None:
        self.action = _yaml(ROOT / "action.yml")
        self.repository = repository
        self.programs = programs
        self.temp = programs.parent / "runner"
        self.temp.mkdir(exist_ok=True)
        self.inputs = {
            name: str(declared.get("default", ""))
            for name, declared in self.action["inputs"].items()
        } | {name.replace("_", "-"): value for name, value in inputs.items()}
        self.output = self.temp / "output"
        self.summary = self.temp / "summary"

    def step(self, name: str) -> subprocess.CompletedProcess[str]:
        (step,) = (one for one in self.action["runs"]["steps"] if one["name"] == name)
        assert step["shell"] == "bash"
        given = {key: self._value(text) for key, text in step["env"].items()}
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
        return _run(
            step["run"], self.repository, self.programs, shell,
            RUNNER_TEMP=str(self.temp), GITHUB_OUTPUT=str(self.output),
            GITHUB_STEP_SUMMARY=str(self.summary), GITHUB_SHA="0" * 40,
            GITHUB_REF="refs/heads/main", GITHUB_REPOSITORY="shop/manifests", **given,
        )  # fmt: skip

    def installed(self) -> Action:
        """Have tidewaiter where the first step would put it."""
        programs = self.temp / "tidewaiter" / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        (programs / "tidewaiter").symlink_to(Path(sys.executable).with_name("tidewaiter"))
        return self

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())

    def _value(self, text: str) -> str:
        def replaced(found: re.Match[str]) -> str:
            scope, _, name = found[1].partition(".")
            if scope == "inputs":
                return self.inputs[name]
            assert found[1] == "github.action_path"
            return str(ROOT)

        return re.sub(r"\$\{\{ ([a-z_.-]+) \}\}", replaced, text)


def test_the_action_is_what_the_schema_of_actions_asks_for() -> None:
    _conforms("vendor.github-actions", ROOT / "action.yml")
    steps = _yaml(ROOT / "action.yml")["runs"]["steps"]
    assert not any("uses" in step for step in steps)
    # What an input holds is never part of a script.
    assert not any("${{" in step["run"] for step in steps)


def test_the_action_fails_on_findings_and_says_how_many(repository: Path, programs: Path) -> None:
    action = Action(repository, programs, paths="good bad", sarif_file="out.sarif").installed()
    run = action.step("Check manifests")
    assert run.returncode == 1
    assert "::error file=bad/pod.yaml,line=5" in run.stdout
    outputs = action.outputs()
    assert outputs["exit-code"] == "1"
    assert int(outputs["errors"]) > 0
    assert "no-privileged" in action.summary.read_text()
    assert json.loads((repository / "out.sarif").read_text())["version"] == "2.1.0"


def test_the_action_succeeds_where_nothing_is_found(repository: Path, programs: Path) -> None:
    action = Action(repository, programs, paths="good").installed()
    run = action.step("Check manifests")
    assert (run.returncode, run.stderr) == (0, "")
    assert action.outputs() == {"exit-code": "0", "errors": "0", "warnings": "0", "infos": "0"}


def test_the_action_passes_each_input_on(repository: Path, programs: Path) -> None:
    (repository / "policy file.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\n"
        "spec: {profile: pss-baseline, rules: {no-privileged: {enabled: false}}}\n"
    )
    inputs = {"paths": "bad", "format": "text"}
    policy = Action(repository, programs, policy="policy file.yaml", **inputs).installed()
    assert policy.step("Check manifests").returncode == 0
    level = Action(repository, programs, fail_on="never", **inputs)
    assert level.step("Check manifests").returncode == 0
    since = Action(repository, programs, changed_since="HEAD", **inputs)
    assert since.step("Check manifests").returncode == 0
    wrong = Action(repository, programs, fail_on="$(touch pwned)", **inputs)
    assert wrong.step("Check manifests").returncode == 2
    assert not (repository / "pwned").exists()


def test_the_action_sends_its_report_to_code_scanning(repository: Path, programs: Path) -> None:
    _program(programs / "gh", f'echo "$*" >{programs}/gh.log; cat >{programs}/gh.json')
    action = Action(repository, programs, paths="bad", sarif_file="out.sarif").installed()
    action.step("Check manifests")
    sent = action.step("Send the report to code scanning")
    assert sent.returncode == 0, sent.stderr
    assert "repos/shop/manifests/code-scanning/sarifs" in (programs / "gh.log").read_text()
    fields = json.loads((programs / "gh.json").read_text())
    assert fields["ref"] == "refs/heads/main"
    report = gzip.decompress(base64.b64decode(fields["sarif"]))
    assert report == (repository / "out.sarif").read_bytes()


def test_the_action_installs_what_it_came_with(repository: Path, programs: Path) -> None:
    (programs / "pip").unlink()
    action = Action(repository, programs, paths="good")
    run = action.step("Install tidewaiter")
    if "No matching distribution" in run.stderr or "Could not find a version" in run.stderr:
        pytest.skip("packages cannot be installed from here")
    assert run.returncode == 0, run.stderr
    assert action.step("Check manifests").returncode == 0


def test_the_example_of_a_workflow_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    example = text.split("## GitHub Actions")[1].split("```yaml\n")[1].split("```")[0]
    example = example.replace("OWNER", "platform").replace("COMMIT", "0" * 40)
    (tmp_path / "workflow.yaml").write_text(f"on: push\n{example}")
    _conforms("vendor.github-workflows", tmp_path / "workflow.yaml")
    (step,) = (
        each
        for each in yaml.safe_load(example)["jobs"]["manifests"]["steps"]
        if "tidewaiter" in each["uses"]
    )
    assert set(step["with"]) <= set(_yaml(ROOT / "action.yml")["inputs"])


def _component(**inputs: str) -> dict[str, Any]:
    """The job of the GitLab component with inputs, as GitLab puts them in."""
    header, body = (CI / "gitlab" / "lint.yml").read_text(encoding="utf-8").split("\n---\n")
    declared = yaml.safe_load(header)["spec"]["inputs"]
    values = {name: one["default"] for name, one in declared.items()} | inputs

    def replaced(found: re.Match[str]) -> str:
        value = values[found[1]]
        return json.dumps(value) if isinstance(value, bool) else str(value)

    job: dict[str, Any] = yaml.safe_load(re.sub(r"\$\[\[ inputs\.([a-z-]+) \]\]", replaced, body))
    return job


def test_the_gitlab_component_is_what_gitlab_reads(tmp_path: Path) -> None:
    header, _ = (CI / "gitlab" / "lint.yml").read_text(encoding="utf-8").split("\n---\n")
    (tmp_path / "header.yml").write_text(header)
    (tmp_path / "job.yml").write_text(json.dumps(_component()))
    _conforms("vendor.gitlab-ci", tmp_path / "header.yml", tmp_path / "job.yml")


def test_the_gitlab_component_reports_findings(repository: Path, programs: Path) -> None:
    job = _component(paths="bad good")["tidewaiter"]
    variables = {name: str(value) for name, value in job["variables"].items()}
    script = "\n".join(job["script"])
    shell = ("sh", "-ec")
    run = _run(script, repository, programs, shell, **variables)
    assert run.returncode == 1, run.stderr
    issues = json.loads((repository / "gl-code-quality-report.json").read_text())
    assert {issue["location"]["path"] for issue in issues} == {"bad/pod.yaml"}
    assert (repository / "tidewaiter.xml").exists()
    assert (programs.parent / "pip.log").read_text() == "install --quiet tidewaiter\n"
    variables["TIDEWAITER_CHANGED_ONLY"] = "true"
    run = _run(
        script, repository, programs, shell, CI_MERGE_REQUEST_DIFF_BASE_SHA="HEAD", **variables
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_tekton_task_runs_its_step(repository: Path, programs: Path) -> None:
    task = _yaml(CI / "tekton" / "task.yaml")
    (step,) = task["spec"]["steps"]
    declared = {param["name"] for param in task["spec"]["params"]}
    used = set(re.findall(r"\$\(params\.([a-z]+)", json.dumps(step)))
    assert used == declared
    # Parameters come as arguments and variables: as text in the script they could be commands.
    assert "$(params" not in step["script"]
    script = step["script"].replace("/tmp/tidewaiter/bin/", "").replace("python3 -m venv", ": ")
    _program(programs / "step", script.removeprefix("#!/bin/sh\n"))
    call = 'step --fail-on error -- bad "bad dir"'
    run = _run(call, repository, programs, ("sh", "-c"), PACKAGE="tidewaiter")
    assert run.returncode == 1
    assert "no-privileged" in run.stdout
    assert "bad dir/pod.yaml" in run.stdout


def test_the_jenkinsfile_runs_its_step(repository: Path, programs: Path) -> None:
    text = (CI / "jenkins" / "Jenkinsfile").read_text(encoding="utf-8")
    assert text.count("{") == text.count("}")
    # In a Groovy text of three quotes a backslash stands for the sign behind it.
    script = text.split("sh '''")[1].split("'''")[0].replace("\\\n", "\n")
    assert "\\" not in script
    script = re.sub(r"\n *--report", " --report", script)
    (repository / ".tidewaiter" / "bin").mkdir(parents=True)
    for name in ("pip", "tidewaiter"):
        (repository / ".tidewaiter" / "bin" / name).symlink_to(programs / name)
    script = script.replace("python3 -m venv", ": ")
    run = _run(script, repository, programs, ("sh", "-xec"), PATHS="bad", PACKAGE="tidewaiter")
    assert run.returncode == 1
    for name in re.findall(r"(?:junit|archiveArtifacts) '([^']+)'", text):
        assert (repository / name).exists()


@pytest.mark.parametrize(("folder", "code"), [("good", 0), ("bad", 1)])
def test_the_argo_cd_plugin_gives_manifests_and_fails_on_findings(
    repository: Path, programs: Path, folder: str, code: int
) -> None:
    plugin = yaml.safe_load(_yaml(CI / "argocd" / "plugin.yaml")["data"]["plugin.yaml"])
    generate = plugin["spec"]["generate"]
    (script,) = generate["args"]
    shell = tuple(generate["command"])
    run = _run(script, repository / folder, programs, shell)
    assert run.returncode == code, run.stderr
    assert [one["kind"] for one in yaml.safe_load_all(run.stdout) if one] == [
        "Pod" if code else "ConfigMap"
    ]
    assert ("no-privileged" in run.stderr) is bool(code)


def test_the_argo_cd_plugin_builds_a_kustomization(repository: Path, programs: Path) -> None:
    kubectl = Path(sys.executable).with_name("kubectl")
    (programs / "kubectl").symlink_to(kubectl)
    (repository / "good" / "kustomization.yaml").write_text("resources: [a.yaml]\nnamePrefix: x-\n")
    plugin = yaml.safe_load(_yaml(CI / "argocd" / "plugin.yaml")["data"]["plugin.yaml"])
    generate = plugin["spec"]["generate"]
    shell = tuple(generate["command"])
    run = _run(generate["args"][0], repository / "good", programs, shell)
    assert run.returncode == 0, run.stderr
    assert yaml.safe_load(run.stdout)["metadata"]["name"] == "x-settings"


def test_our_own_objects_for_pipelines_have_no_findings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    files = ["deploy/ci/tekton/task.yaml", "deploy/ci/argocd/plugin.yaml"]
    assert main(["lint", "--profile", "production", "--no-cache", *files]) == 0
    capsys.readouterr()


def _restricted(pod: dict[str, Any], folder: Path) -> int:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
    (folder / "pod.json").write_text(json.dumps(manifest))
    return main(["lint", "--profile", "pss-restricted", "--no-cache", str(folder / "pod.json")])


def test_our_containers_fulfil_the_restricted_standard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patch = _yaml(CI / "argocd" / "repo-server.yaml")["spec"]["template"]["spec"]
    (step,) = _yaml(CI / "tekton" / "task.yaml")["spec"]["steps"]
    container = {name: step[name] for name in ("name", "image", "securityContext")}
    assert _restricted(patch, tmp_path) == 0
    assert _restricted({"containers": [container]}, tmp_path) == 0
    del container["securityContext"]
    assert _restricted({"containers": [container]}, tmp_path) == 1
    capsys.readouterr()


def test_every_file_for_pipelines_is_short() -> None:
    for path in sorted(each for each in CI.rglob("*") if each.is_file()):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path
    assert shutil.which("bash")
