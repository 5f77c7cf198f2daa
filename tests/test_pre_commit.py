"""The hooks of `.pre-commit-hooks.yaml`, installed and run by pre-commit itself in a repository of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.image_registry import PASSWORD, PROGRAM, USER, Registry, running_registry

ROOT = Path(__file__).parents[1]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop}
spec:
  containers:
    - name: api   # the only one
      image: IMAGE
"""
FIXABLE = POD.replace("IMAGE", "registry.example.com/api:1")
FIXED = "      securityContext:\n        allowPrivilegeEscalation: false\n"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout"),
]


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what this checkout holds, as pre-commit would clone it."""
    folder = tmp_path_factory.mktemp("hooks")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    _commit(folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if PROGRAM is None:
        pytest.skip("needs Debian's docker-registry")
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def _commit(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "-q", "-m", "all"], cwd=folder, check=True)


def run_hook(
    folder: Path, hooks: Path, cache: Path, hook: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run one hook on a repository, as `pre-commit run --all-files` does."""
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=hooks, capture_output=True, text=True, check=True
    ).stdout.strip()
    entry = {"id": hook, "args": list(arguments)}
    configuration = {"repos": [{"repo": str(hooks), "rev": revision, "hooks": [entry]}]}
    (folder / ".pre-commit-config.yaml").write_text(json.dumps(configuration))
    _commit(folder)
    environment = {**os.environ, "PRE_COMMIT_HOME": str(cache), "HOME": str(folder)}
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        environment.pop(name, None)
    run = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files", "--verbose"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Could not find a version that satisfies" in run.stdout + run.stderr:
        pytest.skip("the hooks' dependencies cannot be installed from here")
    return run


def test_the_lint_hook_fails_on_findings(hooks: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD.replace("IMAGE", "registry.example.com/api:1"))
    run = run_hook(tmp_path, hooks, cache, "tidewaiter", "--only", "no-privilege-escalation")
    assert run.returncode == 1, run.stdout
    assert "container api may gain privileges" in run.stdout


def test_a_commit_with_findings_is_blocked_and_says_why(
    hooks: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "pod.yaml").write_text(FIXABLE + FIXED)
    only = ("--only", "no-privilege-escalation")
    assert run_hook(tmp_path, hooks, cache, "tidewaiter", *only).returncode == 0
    environment = {**os.environ, "PRE_COMMIT_HOME": str(cache), "HOME": str(tmp_path)}
    install = [sys.executable, "-m", "pre_commit", "install"]
    subprocess.run(install, cwd=tmp_path, env=environment, check=True, capture_output=True)

    def commit(content: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pod.yaml").write_text(content)
        command = [*GIT, "commit", "-q", "-a", "-m", "more"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    blocked = commit(FIXABLE)
    assert blocked.returncode == 1
    told = blocked.stdout + blocked.stderr
    for part in ("tidewaiter lint", "Failed", "- exit code: 1", "pod.yaml", "may gain privileges"):
        assert part in told
    log = ["git", "log", "--oneline"]
    count = subprocess.run(log, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "more" not in count
    assert commit(f"# in order\n{FIXABLE}{FIXED}").returncode == 0


def test_the_fix_hook_mends_the_file_and_fails_once(
    hooks: Path, cache: Path, tmp_path: Path
) -> None:
    pod = POD.replace("IMAGE", "registry.example.com/api:1")
    (tmp_path / "pod.yaml").write_text(pod)
    rule = ("--rule", "no-privilege-escalation")
    run = run_hook(tmp_path, hooks, cache, "tidewaiter-fix", *rule)
    assert run.returncode == 1, run.stdout
    assert "files were modified by this hook" in run.stdout
    assert (tmp_path / "pod.yaml").read_text() == pod + FIXED
    (tmp_path / "note").touch()  # something to commit
    assert run_hook(tmp_path, hooks, cache, "tidewaiter-fix", *rule).returncode == 0


def test_the_pin_check_hook_fails_when_a_pinned_tag_has_moved(
    hooks: Path, cache: Path, tmp_path: Path, registry: Registry
) -> None:
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / ".docker").mkdir()
    configuration = {"auths": {registry.host: {"auth": login}}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(configuration))
    digest = registry.push("api", "1", "old")
    (tmp_path / "pod.yaml").write_text(POD.replace("IMAGE", f"{registry.host}/api:1@{digest}"))
    run = run_hook(tmp_path, hooks, cache, "tidewaiter-pin-check")
    assert run.returncode == 0, run.stdout
    moved = registry.push("api", "1", "new")
    (tmp_path / "note").touch()  # something to commit
    run = run_hook(tmp_path, hooks, cache, "tidewaiter-pin-check")
    assert run.returncode == 1, run.stdout
    assert f"the tag now leads to {moved}" in run.stdout
