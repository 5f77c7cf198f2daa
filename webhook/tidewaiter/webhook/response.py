"""The words of an answer, within the limits of the API: message, warnings, causes and audit annotations.

The API server passes on 256 characters of a warning and 4096 of all together, and drops one with a control
character. A denial is shown whole by kubectl, and cut in an event, so what matters most stands first.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.finding import SEVERITIES, UNKNOWN
from tidewaiter.rules.manifest.credential import masked
from tidewaiter.rules.rule import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidewaiter.rules.finding import Finding
    from tidewaiter.webhook.decision import Decision, RuleAnswer

LONGEST_WARNING = 256
LONGEST_WARNINGS = 4096
LONGEST_MESSAGE = 4096
_LONGEST_ENTRY = 600
_LONGEST_ANNOTATION = 1024
_MOST_CAUSES = 50
_MOST_PLACES = 3

_REASONS = {403: "Forbidden", 422: "Invalid", 500: "InternalError", 504: "Timeout"}
"""https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/"""


def denial(findings: Sequence[Finding], heading: str) -> str:
    """Return what a denied client is shown: each violated rule with its places and its remedy.

    Where there is not enough room for all, remedies go first, from the end; then messages; the names of rules last.
    """
    groups = _grouped(findings)
    number = f"{len(groups)} {'rule' if len(groups) == 1 else 'rules'}"
    lines = [f"{heading}, as it breaks {number}:"]
    full = [_entry(group, remedy=True) for group in groups]
    short = [_entry(group, remedy=False) for group in groups]
    bare = [f"- {group[0].rule} at {_place(group[0])}" for group in groups]
    names = [f"- {group[0].rule}" for group in groups]
    room = LONGEST_MESSAGE - len(lines[0]) - 40
    chosen = [*names]
    if _size(chosen) > room:
        while chosen and _size(chosen) > room:
            chosen.pop()
        lines += [*chosen, f"and {len(names) - len(chosen)} more"]
        return "\n".join(lines)
    for better in (bare, short, full):
        for index, line in enumerate(better):
            grown = _size(chosen) - len(chosen[index]) + len(line)
            if grown <= room:
                chosen[index] = line
    return "\n".join([*lines, *chosen])


def warnings(findings: Sequence[Finding], notes: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the warnings: one for each rule, the gravest first, and how many there was no room for."""
    texts = [cleaned(note) for note in notes]
    texts += [_warning(group) for group in _grouped(findings)]
    size, kept = 0, []
    for index, line in enumerate(texts):
        line = _cut(line, LONGEST_WARNING)
        rest = f"tidewaiter has {len(texts) - index} more warnings"
        if size + len(line) > LONGEST_WARNINGS - len(rest):
            kept.append(rest)
            break
        size += len(line)
        kept.append(line)
    return tuple(kept)


def causes(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Return the causes of a Status: rule, message and field of each finding."""
    return [
        {
            "reason": finding.rule,
            "message": _cut(_said(finding.message), _LONGEST_ENTRY),
            "field": field_of(finding.pointer),
        }
        for finding in findings[:_MOST_CAUSES]
    ]


def audit_annotations_of(
    verdict: str, policy: str, policy_hash: str, answers: Sequence[RuleAnswer], note: str = ""
) -> dict[str, str]:
    """Return the audit annotations: the policy and its hash, the verdict, the rules by what came of them.

    The API server puts the webhook's name before each key. Rules only, so no value can get into its log.
    """
    found = {"policy": policy, "policy-hash": policy_hash, "verdict": verdict}
    for key, effect in (("denied", "deny"), ("warned", "warn"), ("audited", "audit")):
        found[key] = ",".join(dict.fromkeys(each.rule for each in answers if each.effect == effect))
    for status in ("unknown", "exempted"):
        found[status] = ",".join(
            dict.fromkeys(each.rule for each in answers if each.status == status)
        )
    found["reason"] = note
    return {key: _cut(cleaned(value), _LONGEST_ANNOTATION) for key, value in found.items() if value}


def response_of(decision: Decision) -> dict[str, Any]:
    """Return the response of an AdmissionReview."""
    response: dict[str, Any] = {"uid": decision.subject.uid, "allowed": decision.allowed}
    if not decision.allowed:
        response["status"] = _status(decision)
    if decision.warnings:
        response["warnings"] = list(decision.warnings)
    if decision.audit_annotations:
        response["auditAnnotations"] = dict(decision.audit_annotations)
    return response


def cleaned(text: str) -> str:
    """Return a text on one line, without control characters and halves of surrogate pairs."""
    if text.isprintable():
        return text
    return " ".join(
        "".join(each if each.isprintable() or each == " " else " " for each in text).split()
    )


@lru_cache(maxsize=256)
def _said(message: str) -> str:
    """Return a finding's message as clients hear it: the same few are said again and again."""
    return cleaned(masked(message))


def field_of(pointer: str) -> str:
    """Return a pointer as the API names fields: `spec.template.spec.containers[0].image`."""
    field = ""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if name.isascii() and name.isdigit():
            field += f"[{name}]"
        elif name.replace("-", "").replace("_", "").isalnum():
            field += f".{name}" if field else name
        else:
            field += f"[{name}]"
    return cleaned(field)


def _status(decision: Decision) -> dict[str, Any]:
    status: dict[str, Any] = {
        "metadata": {},
        "status": "Failure",
        "code": decision.code,
        "reason": _REASONS.get(decision.code, "Forbidden"),
        "message": decision.message,
    }
    subject = decision.subject
    details: dict[str, Any] = {
        "name": subject.name,
        "group": subject.api_version.rpartition("/")[0],
        "kind": subject.kind,
    }
    if decision.causes:
        details["causes"] = [dict(cause) for cause in decision.causes]
    status["details"] = {key: value for key, value in details.items() if value}
    return status


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return the findings by rule, those that matter most first."""
    ordered = sorted(findings, key=_rank)
    groups: dict[str, list[Finding]] = {}
    for finding in ordered:
        groups.setdefault(finding.rule, []).append(finding)
    return list(groups.values())


def _rank(finding: Finding) -> tuple[int, bool, int]:
    """Order by severity, violations before what is not known, then as the catalogue does: security first."""
    entry = entries().get(finding.rule)
    section = SECTIONS.index(entry.section) if entry is not None else 0
    return SEVERITIES.index(finding.severity), finding.status == UNKNOWN, section


def _entry(group: Sequence[Finding], *, remedy: bool) -> str:
    first = group[0]
    places = [_place(each) for each in group[:_MOST_PLACES]]
    more = f" and {len(group) - _MOST_PLACES} more" if len(group) > _MOST_PLACES else ""
    entry = f"- {first.rule}: {_said(first.message)} (at {', '.join(places)}{more})"
    if remedy and (line := _remedy(first)):
        entry += f". {line}"
    return _cut(entry, _LONGEST_ENTRY)


def _warning(group: Sequence[Finding]) -> str:
    first = group[0]
    more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    start = f"{first.rule}{more}: "
    place = f" at {first.pointer}" if first.pointer else ""
    text = _said(first.message)
    return start + _cut(text, max(LONGEST_WARNING - len(start) - len(place), 40)) + place


def _place(finding: Finding) -> str:
    return cleaned(finding.pointer) or "the object"


def _remedy(finding: Finding) -> str:
    """Return the first sentence of a remedy, without the YAML below it."""
    line = cleaned(finding.remediation.partition("\n")[0]).strip()
    return f"{line[:-1]}." if line.endswith(":") else line


def _size(lines: Sequence[str]) -> int:
    return sum(map(len, lines)) + len(lines)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
