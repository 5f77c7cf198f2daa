"""The files around the code that other programs or people rely on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tidewaiter.cli.main import make_parser
from tidewaiter.rules.loading.resources import read_resources

ROOT = Path(__file__).parents[1]


def test_each_pre_commit_hook_calls_a_command_that_exists() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks] == [
        "tidewaiter",
        "tidewaiter-fix",
        "tidewaiter-pin-check",
    ]
    for hook in hooks:
        assert {"id", "name", "entry", "language"} <= set(hook)
        program, *words = hook["entry"].split()
        assert program == "tidewaiter"
        assert make_parser(words[0]).parse_args([*words, "deploy/"]).paths == ["deploy/"]


def test_the_pipeline_script_can_be_run_and_is_sound() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_examples_are_manifests_with_marked_mistakes() -> None:
    files = sorted((ROOT / "deploy" / "examples").rglob("*.yaml"))
    assert files
    kinds = set()
    for file in files:
        content = read_resources(file.read_bytes(), str(file), explicit=True)
        assert not content.errors
        kinds |= {resource.kind for resource in content.resources}
    assert {
        "CronJob",
        "Rollout",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
    } <= kinds
    assert any("# WRONG" in file.read_text(encoding="utf-8") for file in files)


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/index.md", "docs/inventory.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_of_the_documentation_can_be_called(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands:
        words = command.partition("#")[0].rpartition("| ")[2].split()
        if words[0] == "tidewaiter" and words[1] != "--version":
            make_parser(words[1]).parse_args(words[1:])
        elif words[0] == "make":
            assert f"\n{words[1]}:" in targets


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/command-line.md", "docs/policy.md"])
def test_the_links_between_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for part in path.read_text(encoding="utf-8").split("](")[1:]:
        target = part.partition(")")[0].partition("#")[0]
        if target and "://" not in target and not target.startswith("rules/"):
            assert (path.parent / target).exists(), target


def test_the_list_of_options_is_the_parsers() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    usage = make_parser("lint").parse_args(["lint"])
    for name in set(vars(usage)) - {"command", "paths", "run", "version"}:
        assert f"`--{name.replace('_', '-')}" in text, name
