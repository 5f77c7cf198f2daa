"""The workflows: well-formed, every action pinned to a commit, and no right that a job does not need."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return found


def scripts(file: Path) -> list[str]:
    """What the workflow's steps run."""
    steps = [step for job in jobs(file).values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


def test_there_are_two_workflows() -> None:
    assert [file.name for file in WORKFLOWS] == ["ci.yml", "release.yml"]


@each_workflow
def test_a_workflow_has_the_form_that_github_reads(file: Path) -> None:
    schema = ["--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@each_workflow
def test_each_action_is_pinned_to_a_commit_with_its_version_beside_it(file: Path) -> None:
    lines = [line.strip() for line in file.read_text().splitlines() if "uses:" in line]
    assert lines
    assert not [line for line in lines if not PINNED.search(line)]


def test_an_action_has_the_same_commit_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for file in WORKFLOWS:
        for name, pin in re.findall(r"uses: (\S+)@(.*)", file.read_text()):
            pins.setdefault(name, set()).add(pin)
    assert not {name: found for name, found in pins.items() if len(found) > 1}


@each_workflow
def test_an_image_that_a_workflow_uses_is_pinned_by_digest(file: Path) -> None:
    images = re.findall(r"(?:image|generator)=(docker\.io/\S+)", file.read_text())
    assert images
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images)


@each_workflow
def test_a_workflow_has_no_rights_but_those_that_a_job_names(file: Path) -> None:
    text = file.read_text()
    assert yaml.safe_load(text)["permissions"] == {}
    assert "pull_request_target" not in text
    for job in jobs(file).values():
        assert job["timeout-minutes"] <= 90
        assert "permissions" in job
        assert "write" not in job["permissions"].values() or file.name == "release.yml"
        checkout = next(step for step in job["steps"] if "checkout@" in step.get("uses", ""))
        assert checkout["with"]["persist-credentials"] is False


@each_workflow
def test_a_script_is_sound_and_nothing_of_the_event_is_pasted_into_it(file: Path) -> None:
    for script in scripts(file):
        assert "${{" not in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@each_workflow
def test_packages_are_installed_by_hash_only(file: Path) -> None:
    for script in scripts(file):
        for line in script.splitlines():
            if "pip install" in line:
                assert "--require-hashes" in line or "--no-deps dist/*.whl" in line


def test_a_release_is_signed_attested_and_verified_before_it_has_a_tag() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    order = [
        "push-by-digest=true",
        "cosign sign --yes",
        "cosign attest --yes --type cyclonedx",
        "actions/attest-build-provenance@",
        "tidewaiter verify --policy",
        "set_digest.py",
        "imagetools create --tag",
        "helm push",
        "gh release create",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "--tag" not in text[: text.index("imagetools create")]


def test_the_policy_of_a_release_is_one(tmp_path: Path) -> None:
    text = (ROOT / "deploy/image/release-policy.yaml").read_text()
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(text.replace("OWNER", "example"))
    check = [sys.executable, "-m", "tidewaiter.cli.main", "policy", "check", str(policy)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for kind in ("keyless", "cyclonedx", "slsaprovenance1", "unmatched: deny"):
        assert kind in text
