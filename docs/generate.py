"""Write a page for every rule, and their index, into docs/rules from the rules' own metadata; and SECURITY.md's page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tidewaiter.rules.catalogue import load_all
from tidewaiter.rules.examples import example
from tidewaiter.rules.rule import PROFILES, SECTIONS, WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.rule import Rule

FOLDER = Path(__file__).parent / "rules"
SECURITY = Path(__file__).parents[1] / "SECURITY.md"


def main() -> None:
    """Replace the folder of generated pages."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    rules = load_all()
    for rule in rules:
        (FOLDER / f"{rule.name}.md").write_text(page(rule), encoding="utf-8")
    (FOLDER / "index.md").write_text(index(rules), encoding="utf-8")
    security = SECURITY.read_text(encoding="utf-8").replace("](docs/", "](")
    FOLDER.with_name("security.md").write_text(security, encoding="utf-8")


def page(rule: Rule) -> str:
    """Return a rule's page as Markdown. Raises ValueError for a rule without an example."""
    return "\n".join([*_head(rule), *_body(rule), ""])


def index(rules: Sequence[Rule]) -> str:
    """Return the page that lists all rules by section."""
    lines = ["# Rules", ""]
    for section in SECTIONS:
        rows = [rule for rule in rules if rule.section == section]
        if rows:
            lines += [f"## {section.capitalize()}", "", "| rule | severity | what must hold |"]
            lines += ["|---|---|---|"]
            lines += [
                f"| [{rule.name}]({rule.name}.md) | {rule.severity} | {_cell(rule.summary)} |"
                for rule in rows
            ]
            lines.append("")
    return "\n".join(lines)


def _head(rule: Rule) -> Iterator[str]:
    profiles = ", ".join(f"`{profile}`" for profile in PROFILES if rule.is_in(profile))
    if rule.needs_images:
        profiles = "none; on where the policy has [`images`](../signatures.md)"
    applies = ", ".join(
        "workloads" if kind == WORKLOAD else f"`{kind}`" for kind in rule.applies_to
    )
    yield from (
        f"# {rule.name}",
        "",
        f"**{_prose(_sentence(rule.summary))}**",
        "",
        "| | |",
        "|---|---|",
    )
    yield f"| Section | {rule.section} |"
    yield f"| Severity | {rule.severity} |"
    yield f"| Profiles | {profiles} |"
    yield f"| Applies to | {applies} |"
    if rule.since:
        yield f"| Since | Kubernetes {rule.since[0]}.{rule.since[1]} |"
    if rule.needs_inventory:
        yield "| Other objects | [asks about them](../inventory.md) |"
    if rule.tags:
        yield f"| Tags | {', '.join(rule.tags)} |"


def _body(rule: Rule) -> Iterator[str]:
    shown = example(rule.name)
    if shown is None:
        message = f"{rule.name}: no example.yaml among its fixtures"
        raise ValueError(message)
    remedy, _, snippet = rule.remediation.partition("\n")
    yield from ("", "## Why", "", _prose(rule.rationale), "", "## Remedy", "", _prose(remedy))
    if snippet:
        yield from _code(snippet)
    yield from ("", "## Examples", "", "Bad:", *_code(shown.bad), "", "Good:", *_code(shown.good))
    if rule.parameters:
        yield from (
            "",
            "## Parameters",
            "",
            "| name | type | default | meaning |",
            "|---|---|---|---|",
        )
        for parameter in rule.parameters:
            kind = ", ".join(parameter.choices) if parameter.choices else parameter.kind
            default = json.dumps(parameter.default)
            yield f"| `{parameter.name}` | {kind} | `{default}` | {_cell(parameter.description)} |"
    yield from (
        "",
        "## Leave it out",
        "",
        "For one object, with a reason that the report keeps:",
        "",
    )
    yield from _code(f'metadata:\n  annotations:\n    tidewaiter.dev/ignore.{rule.name}: "why"')
    yield from ("", "## References", "")
    yield from (f"- <{reference}>" for reference in rule.references)


def _code(text: str) -> list[str]:
    # Four backticks: an example may hold three.
    return ["", "````yaml", text.rstrip(), "````"]


def _prose(text: str) -> str:
    """Return plain text as Markdown: signs mean themselves, but for those between backticks."""
    parts = text.split("`")
    parts[::2] = [part.translate(_SIGNS) for part in parts[::2]]
    return "`".join(parts)


_SIGNS = str.maketrans({"\\": "\\\\", "*": "\\*", "[": "\\[", "#": "\\#", "<": "&lt;"})


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


if __name__ == "__main__":
    main()
