"""The documentation: every rule's page renders, and the rule of the tutorial works as it is printed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from docs.generate import index, page
from tidewaiter.rules.catalogue import entries, load, load_all
from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.rule import Context, Rule

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list(entries()))
def test_every_rule_has_a_page(name: str) -> None:
    rule = load(name)
    text = page(rule)
    assert text.startswith(f"# {name}\n")
    for heading in ("## Why", "## Remedy", "## Examples", "## References"):
        assert f"\n{heading}\n" in text
    assert text.count("````") % 2 == 0
    for reference in rule.references:
        assert f"- <{reference}>" in text
    for parameter in rule.parameters:
        assert f"| `{parameter.name}` |" in text


def test_the_index_lists_every_rule_once() -> None:
    text = index(load_all())
    for name in entries():
        assert text.count(f"| [{name}]({name}.md) |") == 1


def test_the_navigation_names_pages_that_are_there() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = [file for entry in nav for file in entry.values()]
    missing = [file for file in pages if not (ROOT / "docs" / file).exists()]
    made_by_generator = {"rules/index.md", "security.md"}
    assert set(missing) <= made_by_generator


def test_the_rule_of_the_tutorial_finds_the_lines_that_it_marks() -> None:
    text = (ROOT / "docs" / "writing-a-rule.md").read_text(encoding="utf-8")
    bad, good, *_ = _blocks(text, "yaml")
    module = ModuleType("tutorial")
    exec(_blocks(text, "python")[0], module.__dict__)
    marked = [n for n, line in enumerate(bad.splitlines(), 1) if line.endswith("# violation")]
    assert marked
    assert _lines(module.RULE, bad) == marked
    assert _lines(module.RULE, good) == []


def _blocks(text: str, language: str) -> list[str]:
    parts = text.split(f"```{language}\n")[1:]
    return [part.partition("```")[0] for part in parts]


def _lines(rule: Any, manifest: str) -> list[int]:
    data = manifest.encode()
    resources = read_resources(data, "example.yaml", explicit=True).resources
    context = Context((1, 34), "restricted", {}, Inventory(resources, complete=True), "2026-11-23")
    violations: list[Violation] = list(rule.check_function(resources[0].workload, context))
    return [Locator(data).document(0).at(violation.pointer).line for violation in violations]


def test_signs_of_markdown_in_a_rule_mean_themselves() -> None:
    rule = load("no-privileged")
    marked = Rule(
        name="no-privileged",
        section="security",
        severity="error",
        summary="no `*` and no * | for <team>",
        rationale="A [link] is text.",
        remediation="Write `a_b <c>`.",
        references=rule.references,
        applies_to=rule.applies_to,
    )
    assert "**No `*` and no \\* | for &lt;team>.**" in page(marked)
    assert "A \\[link] is text." in page(marked)
    assert "Write `a_b <c>`." in page(marked)
    assert "| no `*` and no \\* \\| for &lt;team> |" in index([marked])
