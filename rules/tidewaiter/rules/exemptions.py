"""Exemptions: which findings do not count, who said so, and which exemptions are of no use.

Three sources: the policy's `exemptions`; the annotation `tidewaiter.dev/ignore.<rule>: "<reason>"` on
the object or its pod template, with those of other linters that the policy's `compatibility` names; and, offline,
the comment `# tidewaiter: ignore[rule] reason`.
"""

from __future__ import annotations

from tidewaiter.rules.finding import EXEMPTED, UNKNOWN, Exemption, ExemptionUse, Finding, Span
from tidewaiter.rules.manifest.fields import escape, mapping, resolve, text
from tidewaiter.rules.names import nearest_name
from tidewaiter.rules.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tidewaiter.rules.loading.ignores import CommentIgnore
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.policy.match import Match

ANNOTATION_PREFIX = "tidewaiter.dev/ignore."
DANGLING = "no-dangling-exemption"


def exempt(
    findings: Sequence[Finding], resource: Resource, policy: Policy, today: str, *, inline: bool
) -> list[Finding]:
    """Return the findings on one object, those under an exemption marked as exempted.

    The policy's exemptions are asked first: they say more, and hold at every gate.
    """
    annotations = annotation_exemptions(resource, policy.compatibility) if inline else ()
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
        exemption = (
            _by_policy(finding, resource, applicable)
            or _by_annotation(finding, annotations)
            or _by_comment(finding, resource, comments)
        )
        if exemption is not None:
            finding = replace(finding, status=EXEMPTED, exemption=exemption)
        result.append(finding)
    return result


def annotation_exemptions(
    resource: Resource, compatibility: Sequence[str] = ()
) -> tuple[Exemption, ...]:
    """Return what the ignore annotations of an object and its pod template permit.

    `compatibility` names the other linters whose annotations count too.
    """
    found: list[Exemption] = []
    places = [""]
    if resource.workload is not None and resource.workload.template_pointer:
        places.append(resource.workload.template_pointer)
    for place in places:
        pointer = f"{place}/metadata/annotations"
        annotations = mapping(resolve(resource.object, pointer))
        if compatibility and annotations:
            from tidewaiter.rules.other_linters import foreign_exemptions

            found += foreign_exemptions(annotations, pointer, compatibility)
        for key, value in annotations.items():
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
    """Yield what became of each ignore annotation and comment of the given objects.

    The objects of one document must come together, for they share its comments.
    """
    by_place: dict[tuple[str, int, str], list[Finding]] = {}
    for finding in findings:
        if finding.resource is not None:
            by_place.setdefault(finding.resource.place, []).append(finding)
    commented: dict[tuple[str, int], list[Resource]] = {}
    for resource in resources:
        mine = by_place.get(resource.place, [])
        for exemption in annotation_exemptions(resource, policy.compatibility):
            answers = {
                name: _answer(name, mine, mine, resource, policy) for name in exemption.rules
            }
            # An annotation of another linter may stand for several rules: one with a finding is enough.
            if True in answers.values():
                answers = {name: answer for name, answer in answers.items() if answer}
            elif None in answers.values():
                answers = dict.fromkeys(answers)
            yield _use(exemption, resource, answers, policy.entries)
        if resource.ignores:
            commented.setdefault((resource.file, resource.document), []).append(resource)
    for together in commented.values():
        for comment in together[0].ignores:
            if comment.is_elsewhere:
                continue  # what it is of use for is known from all that is made of its file, not from one object
            yield _comment_use(comment, together, by_place, policy)


def policy_uses(
    used: frozenset[int], policy: Policy, today: str, *, complete: bool
) -> Iterator[ExemptionUse]:
    """Yield what became of the policy's exemptions, given the indexes of those that were used."""
    ran = policy.settings().rules
    for exemption, _ in policy.exemptions:
        answers: dict[str, bool | None] = {}
        for name in exemption.rules:
            answers[name] = None
            if exemption.index in used:
                answers[name] = True
            elif complete and name in ran:
                answers[name] = False
        yield replace(
            _use(exemption, None, answers, policy.entries),
            expired=is_expired(exemption, today),
            span=Span(exemption.line, 1, exemption.line, 1) if exemption.line else None,
        )


def _by_policy(
    finding: Finding, resource: Resource, applicable: Sequence[tuple[Exemption, Match]]
) -> Exemption | None:
    for exemption, match in applicable:
        if finding.rule in exemption.rules and match.matches_container(resource, finding.container):
            return exemption
    return None


def _by_annotation(finding: Finding, exemptions: Sequence[Exemption]) -> Exemption | None:
    return next((one for one in exemptions if finding.rule in one.rules), None)


def _by_comment(
    finding: Finding, resource: Resource, comments: Sequence[CommentIgnore]
) -> Exemption | None:
    for comment in comments:
        if finding.rule in comment.rules and _covers(comment, finding, resource):
            return _comment_exemption(comment)
    return None


def _covers(comment: CommentIgnore, finding: Finding, resource: Resource) -> bool:
    if finding.span is not None:
        return comment.covers_line(finding.span.line)
    return comment.covers(resource.prefix + finding.pointer)


def _comment_exemption(comment: CommentIgnore) -> Exemption:
    return Exemption("comment", tuple(comment.rules), comment.reason, line=comment.line)


def _comment_use(
    comment: CommentIgnore,
    resources: Sequence[Resource],
    by_place: Mapping[tuple[str, int, str], Sequence[Finding]],
    policy: Policy,
) -> ExemptionUse:
    """Say what became of a comment, given all objects of its document."""
    owner = resources[0]
    for resource in resources:
        if comment.positions.at(resource.prefix).line <= comment.last_line:
            owner = resource
    answers: dict[str, bool | None] = {}
    for name in comment.rules:
        given = []
        for resource in resources:
            mine = by_place.get(resource.place, ())
            covered = [finding for finding in mine if _covers(comment, finding, resource)]
            given.append(_answer(name, mine, covered, resource, policy))
        answers[name] = True if True in given else None if None in given else False
    return replace(
        _use(_comment_exemption(comment), owner, answers, policy.entries),
        malformed=comment.problem,
        span=Span(comment.line, comment.column, comment.line, comment.end_column),
    )


def _answer(
    name: str,
    findings: Sequence[Finding],
    covered: Sequence[Finding],
    resource: Resource,
    policy: Policy,
) -> bool | None:
    """Tell whether an exemption has findings of a rule to cover on an object; None: it may have."""
    if any(finding.rule == name for finding in covered):
        return True
    # What the rule about exemptions finds is concluded from these very answers.
    if name == DANGLING or name not in policy.settings(resource).rules:
        return None
    if any(finding.rule == name and finding.status == UNKNOWN for finding in findings):
        return None
    return False


def _use(
    exemption: Exemption,
    resource: Resource | None,
    answers: Mapping[str, bool | None],
    known: Collection[str],
) -> ExemptionUse:
    misspelt = tuple(
        (name, nearest_name(name, known)) for name in exemption.rules if name not in known
    )
    unused = tuple(name for name, answer in answers.items() if answer is False)
    used = False if unused else None if None in answers.values() or not answers else True
    return ExemptionUse(exemption, resource, used, unused, misspelt)
