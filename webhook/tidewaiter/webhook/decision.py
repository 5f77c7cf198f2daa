"""What the webhook decides on one request: plain data that every part of the server reads.

`admission` and `image_policy` make it; the answer to the API server, the audit log, the metrics and the
traces are made from it, after it stands. Nothing here holds a value of the object under review: names,
pointers and rules only, so that no secret can reach a log through it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TOLD = 200
"""Answers of one decision that are told one by one; what one object breaks more often is counted."""

Verdict = Literal["allowed", "warned", "denied", "exempted", "passed", "error"]
"""allowed: nothing to say; warned: let in with warnings; denied: kept out; exempted: the requester or the
namespace is exempt from review; passed: nothing here judges such a request (CONNECT, an unknown kind that no
rule is for); error: no verdict could be made, and `allowed` says what the policy asks for then."""


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """One finding as it may be logged and counted: without its message, which quotes values.

    `effect` is what came of it here: "deny", "warn" or "audit" (recorded only). `status` is that of a
    `Finding`: violation, unknown or exempted.
    """

    rule: str
    severity: str
    status: str
    effect: Literal["deny", "warn", "audit", "none"]
    pointer: str
    container: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewedObject:
    """Who asked for what: the parts of the request that identify it. Empty strings where it names none."""

    uid: str = ""
    username: str = ""
    groups: tuple[str, ...] = ()
    operation: str = ""
    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one AdmissionReview or ImageReview.

    `message` is what the client of the API server shows where the request is denied; `warnings` are within
    the API's limits; `audit_annotations` go into the API server's own audit log. `crashed_rules` names the
    rules that raised; the answer of each is `unknown`.
    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
    """

    subject: ReviewedObject
    allowed: bool
    verdict: Verdict
    message: str = ""
    code: int = 403
    """HTTP status of the Status object where the request is denied."""
    causes: tuple[Mapping[str, str], ...] = ()
    """Reason, message and field of each violation, for a client that reads more than the message."""
    warnings: tuple[str, ...] = ()
    audit_annotations: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[RuleAnswer, ...] = ()
    further: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """How many answers there are beyond those, by rule, status and effect."""
    crashed_rules: tuple[str, ...] = ()

    def tally(self) -> Mapping[tuple[str, str, str], int]:
        """Return how many answers there are by rule, status and effect."""
        found = _tally(self.answers)
        if self.further:
            found.update(self.further)
        return found


def shortened(decision: Decision) -> Decision:
    """Return a decision with no more answers than are told one by one, and the others counted."""
    told, others = decision.answers[:TOLD], decision.answers[TOLD:]
    if not others:
        return decision
    return replace(decision, answers=told, further=Counter(decision.further) + _tally(others))


def packed(decision: Decision) -> bytes:
    """Return a decision as one line of JSON, for `unpacked`."""
    further = [[*labels, times] for labels, times in decision.further.items()]
    return orjson.dumps([replace(decision, further={}), further])


def unpacked(line: bytes) -> Decision:
    """Return the decision that was `packed`."""
    value, further = orjson.loads(line)
    subject: dict[str, Any] = value.pop("subject")
    groups = tuple(subject.pop("groups"))
    answers = tuple(RuleAnswer(**each) for each in value.pop("answers"))
    value |= {name: tuple(value[name]) for name in ("causes", "warnings", "crashed_rules")}
    value["further"] = {(rule, status, effect): times for rule, status, effect, times in further}
    return Decision(ReviewedObject(**subject, groups=groups), answers=answers, **value)


def _tally(answers: Iterable[RuleAnswer]) -> Counter[tuple[str, str, str]]:
    return Counter((each.rule, each.status, each.effect) for each in answers)
