"""Requests for policies that are objects: one that has a mistake, or that would loosen what holds, is refused.

Nothing else is asked of them, whatever the policy in force says of other objects: a policy that denies too much can
always be taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.policy.objects import KINDS, LOOSENS, shown, verdict_on
from tidewaiter.webhook.decision import Decision
from tidewaiter.webhook.response import LONGEST_MESSAGE, audit_annotations_of, cleaned, field_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.rules.policy.objects import Object, Verdict
    from tidewaiter.webhook.admission_request import AdmissionRequest

_MOST_CAUSES = 50


class PolicyRequests:
    """Judges them by the policy file and the objects that are in force."""

    def __init__(
        self,
        file: PlainPolicy,
        objects: Sequence[Object],
        problem_of_images: Callable[[PlainPolicy], str] | None = None,
    ) -> None:
        """Keep what verdicts depend on."""
        self._file = file
        self._objects = objects
        self._problem_of_images = problem_of_images

    def decision(self, request: AdmissionRequest, policy: str, policy_hash: str) -> Decision | None:
        """Return the decision on a request for a policy, None for any other."""
        subject, value = request.subject, request.object
        if kind_id(subject.api_version, subject.kind) not in KINDS or value is None:
            return None
        if subject.subresource or subject.operation not in {"CREATE", "UPDATE"}:
            return None
        old = request.old
        if old is not None and old.get("spec") == value.get("spec"):
            return self._allowed(request, policy, policy_hash)
        metadata = value.get("metadata")
        name = subject.name or (metadata.get("name") if isinstance(metadata, dict) else "")
        named = {**(metadata if isinstance(metadata, dict) else {}), "name": name or "generated"}
        if subject.namespace:
            named["namespace"] = subject.namespace
        value = {
            **value,
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "metadata": named,
        }
        verdict = verdict_on(value, self._file, self._objects, self._problem_of_images)
        if verdict.is_accepted:
            return self._allowed(request, policy, policy_hash)
        return self._refused(request, verdict, policy, policy_hash)

    def _allowed(self, request: AdmissionRequest, policy: str, policy_hash: str) -> Decision:
        notes = audit_annotations_of("allowed", policy, policy_hash, ())
        return Decision(request.subject, allowed=True, verdict="allowed", audit_annotations=notes)

    def _refused(
        self, request: AdmissionRequest, verdict: Verdict, policy: str, policy_hash: str
    ) -> Decision:
        subject = request.subject
        place = (kind_id(subject.api_version, subject.kind), subject.namespace, subject.name)
        why = "would loosen what holds" if verdict.reason == LOOSENS else "has mistakes"
        lines = [f"{shown(place)} {why}:"]
        lines += [f"- {pointer or '/'}: {cleaned(said)}" for pointer, said in verdict.mistakes]
        message = "\n".join(lines)
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE - 1]}…"
        return Decision(
            subject,
            allowed=False,
            verdict="denied",
            message=message,
            code=422,
            causes=tuple(
                {"reason": verdict.reason, "message": cleaned(said), "field": field_of(pointer)}
                for pointer, said in verdict.mistakes[:_MOST_CAUSES]
            ),
            audit_annotations=audit_annotations_of("denied", policy, policy_hash, (), why),
        )
