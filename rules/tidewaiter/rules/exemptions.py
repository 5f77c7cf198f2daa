"""Exemptions: which findings do not count, who said so, and which exemptions are of no use.

Three sources: the policy's `exemptions`; the annotation `tidewaiter.dev/ignore.<rule>: "<reason>"` on
the object or its pod template; and, offline, the comment `# tidewaiter: ignore[rule] reason`.
"""

from __future__ import annotations

from tidewaiter.rules.finding import EXEMPTED, UNKNOWN, Exemption, Finding, Span
from tidewaiter.rules.manifest.fields import escape, mapping, resolve, text
from tidewaiter.rules.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidewaiter.rules.loading.ignores import CommentIgnore
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy

ANNOTATION_PREFIX = "tidewaiter.dev/ignore."


@record
class ExemptionUse:
    """An exemption and what became of it: the subject of the rule `no-dangling-exemption`.

    `used` is None where it cannot be known from here: a rule it names did not run or answered
    unknown, or the run saw only a part of what the policy is for. `misspelt` pairs each name that is
    no rule with the nearest one ("" where none is near).
    """

    exemption: Exemption
    resource: Resource | None
    used: bool | None
    misspelt: tuple[tuple[str, str], ...] = ()
    expired: bool = False
    malformed: str = ""
    span: Span | None = None


def exempt(
    findings: Sequence[Finding], resource: Resource, policy: Policy, today: str, *, inline: bool
) -> list[Finding]:
    """Return the findings on one object, those under an exemption marked as exempted."""
    annotations = annotation_exemptions(resource) if inline else ()
    applicable = [
        (exemption, match)
        for exemption, match in policy.exemptions
        if not is_expired(exemption, today) and match.matches(resource)
    ]
    comments = resource.ignores if inline else ()
    if not annotations and not applicable and not comments:
        return list(findings)
    result = []
    for finding in findings:
        exemption = _by_annotation(finding, annotations) or _by_comment(finding, comments)
        if exemption is None:
            exemption = next(
                (
                    exemption
                    for exemption, match in applicable
                    if finding.rule in exemption.rules
                    and match.matches_container(resource, finding.container)
                ),
                None,
            )
        if exemption is not None:
            finding = replace(finding, status=EXEMPTED, exemption=exemption)
        result.append(finding)
    return result


def annotation_exemptions(resource: Resource) -> tuple[Exemption, ...]:
    """Return what the ignore annotations of an object and its pod template permit."""
    found: list[Exemption] = []
    places = [""]
    if resource.workload is not None and resource.workload.template_pointer:
        places.append(resource.workload.template_pointer)
    for place in places:
        pointer = f"{place}/metadata/annotations"
        for key, value in mapping(resolve(resource.object, pointer)).items():
            if isinstance(key, str) and key.startswith(ANNOTATION_PREFIX):
                rule = key[len(ANNOTATION_PREFIX) :]
                reason = text(value).strip()
                found.append(
                    Exemption("annotation", (rule,), reason, pointer=f"{pointer}/{escape(key)}")
                )
    return tuple(found)


def is_expired(exemption: Exemption, today: str) -> bool:
    """Tell whether an exemption's last day is over; dates are YYYY-MM-DD and compare as text."""
    return exemption.expires is not None and exemption.expires < today


def inline_uses(
    resources: Iterable[Resource], findings: Iterable[Finding], policy: Policy
) -> Iterator[ExemptionUse]:
    """Yield what became of each ignore annotation and comment of the given objects."""
    by_resource: dict[int, list[Finding]] = {}
    for finding in findings:
        by_resource.setdefault(id(finding.resource), []).append(finding)
    for resource in resources:
        mine = by_resource.get(id(resource), [])
        for exemption in annotation_exemptions(resource):
            yield _use(exemption, resource, mine, policy)
        for comment in resource.ignores:
            yield replace(
                _use(_comment_exemption(comment), resource, mine, policy),
                malformed=comment.problem,
                span=Span(comment.line, comment.column, comment.line, comment.end_column),
            )


def policy_uses(
    used: frozenset[int], policy: Policy, today: str, *, complete: bool
) -> Iterator[ExemptionUse]:
    """Yield what became of the policy's exemptions, given the indexes of those that were used."""
    for exemption, _ in policy.exemptions:
        span = Span(exemption.line, 1, exemption.line, 1) if exemption.line else None
        yield ExemptionUse(
            exemption,
            None,
            used=True if exemption.index in used else (False if complete else None),
            expired=is_expired(exemption, today),
            span=span,
        )


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Return the name most like a misspelt one, or "" where none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.6)), "")


def _by_annotation(finding: Finding, exemptions: Sequence[Exemption]) -> Exemption | None:
    return next((one for one in exemptions if finding.rule in one.rules), None)


def _by_comment(finding: Finding, comments: Sequence[CommentIgnore]) -> Exemption | None:
    for comment in comments:
        if finding.rule in comment.rules and comment.covers(finding.pointer):
            return _comment_exemption(comment)
    return None


def _comment_exemption(comment: CommentIgnore) -> Exemption:
    return Exemption("comment", tuple(comment.rules), comment.reason, line=comment.line)


def _use(
    exemption: Exemption, resource: Resource, findings: Sequence[Finding], policy: Policy
) -> ExemptionUse:
    from tidewaiter.rules import catalogue

    known = catalogue.entries()
    misspelt = tuple(
        (name, nearest_name(name, known)) for name in exemption.rules if name not in known
    )
    return ExemptionUse(exemption, resource, _was_used(exemption, resource, findings, policy), misspelt)


def _was_used(
    exemption: Exemption, resource: Resource, findings: Sequence[Finding], policy: Policy
) -> bool | None:
    ran = policy.settings(resource).rules
    answers = []
    for name in exemption.rules:
        mine = [finding for finding in findings if finding.rule == name]
        if any(
            finding.exemption is not None and _is_same(finding.exemption, exemption)
            for finding in mine
        ):
            answers.append(True)
        elif name not in ran or any(finding.status == UNKNOWN for finding in mine):
            answers.append(None)
        else:
            answers.append(False)
    if False in answers:
        return False
    return None if None in answers or not answers else True


def _is_same(one: Exemption, other: Exemption) -> bool:
    """Compare by source and place; two annotations that permit one thing both count as used."""
    if one.source != other.source:
        return False
    return one.source == "annotation" or one.line == other.line
