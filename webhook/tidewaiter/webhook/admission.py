"""The verdict on one admission request: pure, without input, output or clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules import engine
from tidewaiter.rules.finding import EXEMPTED, UNKNOWN
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.webhook.admission_request import AdmissionRequest, BadReview, parse_review
from tidewaiter.webhook.decision import Decision, RuleAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.policy.compiled import Policy

__all__ = ["AdmissionRequest", "BadReview", "Reviewer", "answer", "failure", "parse_review"]


class Reviewer:
    """Judges requests by one policy and one inventory."""

    def __init__(self, policy: Policy, inventory: Inventory, *, policy_hash: str) -> None:
        """Keep what verdicts depend on; `policy_hash` goes into audit annotations."""
        self.policy = policy
        self.inventory = inventory
        self.policy_hash = policy_hash

    def review(
        self, request: AdmissionRequest, *, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        """Return the decision on a request. `out_of_time` is asked between rules."""
        subject = request.subject
        if request.object is None or subject.subresource:
            return Decision(subject, allowed=True, verdict="passed")
        resource = Resource(request.object, pod_specs=self.policy.pod_specs)
        live = self.inventory if isinstance(self.inventory, LiveInventory) else None
        if live is not None:
            live.lay_over(resource.kind_id, namespace_of(resource), resource.name, resource)
        try:
            report = engine.judge(
                [resource],
                self.policy,
                self.inventory,
                today=today,
                inline=False,
                out_of_time=out_of_time,
            )
        finally:
            if live is not None:
                live.uncover()
        answers = tuple(map(_answer, report.findings))
        denied = [each for each in report.findings if _answer(each).effect == "deny"]
        warned = [each for each in report.findings if _answer(each).effect == "warn"]
        return Decision(
            subject,
            allowed=not denied,
            verdict="denied" if denied else "warned" if warned else "allowed",
            message="\n".join(f"{each.rule}: {each.message}" for each in denied),
            warnings=tuple(f"{each.rule}: {each.message}" for each in warned),
            audit_annotations={"policy": self.policy_hash},
            answers=answers,
            crashed_rules=tuple(dict.fromkeys(crash.rule for crash in report.crashes)),
        )


def failure(request: AdmissionRequest, reason: str, *, allowed: bool) -> Decision:
    """Return the decision where no verdict could be made; `reason` is a sentence for people."""
    return Decision(request.subject, allowed=allowed, verdict="error", message=reason, code=500)


def answer(decision: Decision) -> dict[str, Any]:
    """Return the AdmissionReview that answers the API server."""
    response: dict[str, Any] = {"uid": decision.subject.uid, "allowed": decision.allowed}
    if not decision.allowed:
        response["status"] = {"code": decision.code, "message": decision.message}
    if decision.warnings:
        response["warnings"] = list(decision.warnings)
    if decision.audit_annotations:
        response["auditAnnotations"] = dict(decision.audit_annotations)
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _answer(finding: Finding) -> RuleAnswer:
    effect = {"error": "deny", "warning": "warn"}.get(finding.severity, "audit")
    if finding.status == UNKNOWN:
        effect = "warn"
    if finding.status == EXEMPTED:
        effect = "none"
    return RuleAnswer(
        finding.rule,
        finding.severity,
        finding.status,
        effect,  # type: ignore[arg-type]
        finding.pointer,
        finding.container,
    )
