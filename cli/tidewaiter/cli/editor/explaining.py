"""What an editor shows where the pointer rests: what a rule wants, why, and the remedy, as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidewaiter.cli.output.rule_text import remedy_parts
from tidewaiter.cli.output.shared import cleaned_lines
from tidewaiter.rules.catalogue import entries, load

if TYPE_CHECKING:
    from tidewaiter.cli.result import LintFinding

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_SIGNS = re.compile(r"([\\*_{}\[\]<>()#+!|~&-])")
_MENTIONS = ("tidewaiter: ignore", "tidewaiter.dev/ignore.")


def finding_text(finding: LintFinding) -> str:
    """Say what is wrong, and what its rule says."""
    head = f"**{finding.severity}** {_plain(finding.message)}"
    if finding.rule not in entries():
        own = f"**{finding.rule}**: a rule of the policy's own"
        return "\n\n".join([head, own, *_remedy(finding.remediation)])
    return f"{head}\n\n{rule_text(finding.rule, finding.remediation)}"


def rule_text(name: str, remediation: str = "") -> str:
    """Explain a rule of the catalogue, with a closer remedy where there is one."""
    rule = load(name)
    parts = [f"**{name}**: {_plain(rule.summary)}", _plain(rule.rationale)]
    parts += _remedy(remediation or rule.remediation)
    parts.append("\n".join(f"- <{reference}>" for reference in rule.references))
    return "\n\n".join(part for part in parts if part)


def href(name: str) -> str:
    """Return where more is to be read on a rule, "" where nothing is known."""
    references = load(name).references if name in entries() else ()
    return references[0] if references else ""


def rule_at(line: str, index: int, *, is_policy: bool) -> tuple[str, int, int] | None:
    """Return the rule that a line names at a character, with its begin and end.

    A manifest names rules in comments and annotations that ignore them; elsewhere a word is only a word.
    """
    starts = [at for at in map(line.find, _MENTIONS) if at >= 0]
    if not is_policy and not starts:
        return None
    begin = 0 if is_policy else min(starts)
    for found in _NAME.finditer(line, begin):
        # The key of an annotation ends with the rule, behind a dot.
        if found.start() <= index <= found.end() and found.group() in entries():
            return found.group(), found.start(), found.end()
    return None


def _remedy(remediation: str) -> list[str]:
    sentence, snippet = remedy_parts(remediation)
    parts = [f"Remedy: {_plain(sentence)}"] if sentence else []
    if snippet:
        parts.append(f"````yaml\n{cleaned_lines(snippet)}\n````")
    return parts


def _plain(text: str) -> str:
    """Return a text whose signs mean themselves but for backticks: a message quotes what stands in a manifest."""
    parts = cleaned_lines(text).split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = [f"{parts[-2]}'{parts[-1]}"]
    parts[::2] = [_SIGNS.sub(r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
