"""Every rule against its own fixtures: which lines it finds, at both severities of truth.

A fixture is a YAML file, or a folder of them that are linted as one set. A comment on its first line
may set things: `# settings: {"kubernetesVersion": "1.24", "profile": "pss-baseline", "parameters": {},
"complete": true}`; with `images` (the policy's section) and `answers`, what was found out of each image:
`{"IMAGE": {"signature": ["why not"], "attestation": []}}`. In a fail fixture `# violation` stands on each line where a finding must be (twice
where two are), and in any fixture `# unknown` where the rule must say that it cannot know.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.rules import catalogue
from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.image_answers import ImageAnswer, ImageProblem
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy

ROOT = Path(__file__).parent
TODAY = "2026-11-23"
Lines = Counter[tuple[str, int, str]]


PARTS = ("signature", "attestation")


def _problems(messages: list[str]) -> tuple[ImageProblem, ...]:
    """Read problems; one that begins with a question mark is not known."""
    return tuple(
        ImageProblem(message.lstrip("?"), unknown=message.startswith("?")) for message in messages
    )


def _fixtures() -> list[Any]:
    cases = []
    for verdict in ("pass", "fail"):
        for path in sorted(ROOT.glob(f"*/{verdict}/*")):
            name = path.parent.parent.name
            cases.append(pytest.param(name, verdict, path, id=f"{name}-{verdict}-{path.stem}"))
    return cases


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.yaml")) if path.is_dir() else [path]


def _settings(path: Path) -> dict[str, Any]:
    for file in _files(path):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        if first.startswith("# settings:"):
            settings: dict[str, Any] = json.loads(first.removeprefix("# settings:"))
            return settings
    return {}


def expected_lines(path: Path) -> Lines:
    """Return the (file, line, status) that the comments of a fixture ask for."""
    lines: Lines = Counter()
    for file in _files(path):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            comment = line.partition(" # ")[2]
            for status in ("violation", "unknown"):
                lines[file.name, number, status] += comment.split().count(status)
    return +lines


def fixture_policy(rule: str, path: Path) -> Policy:
    """Return the policy that a fixture is judged by: its rule alone, with what its first line sets."""
    settings = _settings(path)
    policy = Policy(
        {
            "profiles": [settings.get("profile", "recommended")],
            "kubernetesVersion": settings.get("kubernetesVersion", "1.37"),
            "only": [rule, *settings.get("with", [])],
            "rules": {rule: {"parameters": settings.get("parameters", {})}},
            "exemptions": settings.get("exemptions", []),
            "images": settings.get("images", []),
        }
    )
    if policy.images is not None:
        policy.images.answers = {
            image: ImageAnswer("", *(_problems(answer.get(part, [])) for part in PARTS))
            for image, answer in settings.get("answers", {}).items()
        }
    return policy


def is_complete(path: Path) -> bool:
    """Tell whether a fixture stands for everything there is."""
    complete: bool = _settings(path).get("complete", True)
    return complete


def fixture_resources(path: Path) -> list[Resource]:
    """Return the objects of a fixture."""
    resources: list[Resource] = []
    for file in _files(path):
        loaded = read_resources(file.read_bytes(), str(file), explicit=True)
        assert not loaded.errors, loaded.errors
        assert loaded.resources, f"{file} holds no resource"
        resources += loaded.resources
    return resources


def found_lines(rule: str, path: Path) -> Lines:
    """Lint a fixture with one rule and return the (file, line, status) of its findings."""
    policy, resources = fixture_policy(rule, path), fixture_resources(path)
    locators = {str(file): Locator(file.read_bytes()) for file in _files(path)}
    inventory = Inventory(resources, complete=is_complete(path))
    report = evaluate(resources, policy, inventory, today=TODAY)
    assert not report.crashes, report.crashes
    lines: Lines = Counter()
    for finding in report.findings:
        if finding.rule != rule or finding.status == "exempted":
            continue
        assert finding.message, finding
        assert finding.remediation, finding
        if finding.resource is None:
            assert finding.span is not None
            lines[finding.file, finding.span.line, finding.status] += 1
            continue
        if finding.span is not None:
            lines[Path(finding.resource.file).name, finding.span.line, finding.status] += 1
            continue
        positions = locators[finding.resource.file].document(finding.resource.document)
        span = positions.at(finding.resource.prefix + finding.pointer)
        lines[Path(finding.resource.file).name, span.line, finding.status] += 1
    return lines


@pytest.mark.parametrize(("rule", "verdict", "path"), _fixtures())
def test_rule_finds_exactly_the_marked_lines(rule: str, verdict: str, path: Path) -> None:
    expected = expected_lines(path)
    marked = any(status == "violation" for _, _, status in expected)
    assert marked == (verdict == "fail"), "mark the violations of a fail fixture, and only those"
    assert found_lines(rule, path) == expected


def test_rules_and_fixture_folders_are_the_same_set() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert folders == set(catalogue.entries())


@pytest.mark.parametrize("name", catalogue.entries())
def test_rule_is_complete(name: str) -> None:
    rule = catalogue.load(name)
    entry = catalogue.entries()[name]
    assert entry.module.rpartition(".")[2].replace("_", "-") == name
    assert entry.module.split(".")[-2] == rule.section
    assert rule.check_function is not None
    for verdict in ("pass", "fail"):
        assert list((ROOT / name / verdict).glob("*")), f"{name} has no {verdict} fixture"
    for text in (rule.summary, rule.rationale, rule.remediation):
        assert text.strip()
    assert rule.references
    assert all(link.startswith("https://") for link in rule.references)
    assert rule.applies_to
