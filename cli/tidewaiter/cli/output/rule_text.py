"""What the reports say of a rule itself: that of the catalogue, or the little that is known of a policy's own."""

from __future__ import annotations

from tidewaiter.rules.catalogue import entries, load
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidewaiter.cli.result import LintFinding


@record
class RuleText:
    """A rule in words; see `Rule` for the fields. `section` is "custom" for a rule of the policy's own."""

    name: str
    severity: str
    section: str
    summary: str
    rationale: str
    remediation: str
    references: tuple[str, ...]
    tags: tuple[str, ...]


def rules_of(
    findings: Iterable[LintFinding], summaries: Iterable[tuple[str, str]] = ()
) -> dict[str, RuleText]:
    """Return the rules that findings name, in the order of their names; `summaries` are those of the policy's own."""
    stated = dict(summaries)
    first: dict[str, LintFinding] = {}
    for finding in findings:
        first.setdefault(finding.rule, finding)
    return {name: _rule_text(first[name], stated) for name in sorted(first)}


def _rule_text(finding: LintFinding, summaries: Mapping[str, str]) -> RuleText:
    if finding.rule not in entries():
        return RuleText(
            finding.rule,
            finding.severity,
            "custom",
            summaries.get(finding.rule, "a rule of the policy's own"),
            "",
            finding.remediation,
            (),
            (),
        )
    rule = load(finding.rule)
    return RuleText(
        rule.name,
        rule.severity,
        rule.section,
        rule.summary,
        rule.rationale,
        rule.remediation,
        rule.references,
        rule.tags,
    )


def remedy_parts(remediation: str) -> tuple[str, str]:
    """Split a remedy into its sentence and the YAML that can be pasted, "" where there is none."""
    sentence, _, snippet = remediation.partition("\n")
    return sentence, snippet.rstrip()
