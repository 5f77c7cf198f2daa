"""The verdict on one ImageReview: may these images run in this namespace?

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#imagepolicywebhook
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidewaiter.rules import engine
from tidewaiter.rules.finding import VIOLATION
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.webhook.admission_request import review_part
from tidewaiter.webhook.decision import Decision, ReviewedObject, RuleAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.policy.compiled import Policy

API_VERSION = "imagepolicy.k8s.io/v1alpha1"
KIND = "ImageReview"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The images of a pod, its namespace, and its annotations of the form `*.image-policy.k8s.io/*`."""

    subject: ReviewedObject
    images: tuple[str, ...]
    annotations: dict[str, str]


def parse_image_review(payload: object) -> ImageRequest:
    """Return the request of an ImageReview. Raises BadReview."""
    spec = review_part(payload, API_VERSION, KIND, "spec")
    subject = ReviewedObject(
        api_version=API_VERSION, kind=KIND, namespace=text(spec.get("namespace"))
    )
    images = tuple(text(mapping(row).get("image")) for row in sequence(spec.get("containers")))
    return ImageRequest(subject, images, mapping(spec.get("annotations")))


class ImageReviewer:
    """Judges images by the image rules of one policy."""

    def __init__(self, policy: Policy, *, policy_hash: str) -> None:
        """Keep what verdicts depend on."""
        self.policy = policy
        self.policy_hash = policy_hash

    def review(
        self, request: ImageRequest, *, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        """Return the decision on a request."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": request.subject.namespace,
                "annotations": request.annotations,
            },
            "spec": {"containers": [{"image": image} for image in request.images]},
        }
        inventory = Inventory((), complete=False)
        report = engine.judge(
            [Resource(pod)],
            self.policy,
            inventory,
            today=today,
            inline=False,
            out_of_time=out_of_time,
        )
        found = [
            each
            for each in report.findings
            if each.status == VIOLATION
            and each.severity == "error"
            and self.policy.entries[each.rule].section == "images"
        ]
        return Decision(
            request.subject,
            allowed=not found,
            verdict="denied" if found else "allowed",
            message="; ".join(f"{each.rule}: {each.message}" for each in found),
            audit_annotations={"policy": self.policy_hash},
            answers=tuple(
                RuleAnswer(each.rule, each.severity, each.status, "deny", each.pointer)
                for each in found
            ),
        )


def image_failure(request: ImageRequest, reason: str, *, allowed: bool) -> Decision:
    """Return the decision where no verdict could be made."""
    return Decision(request.subject, allowed=allowed, verdict="error", message=reason, code=500)


def image_answer(decision: Decision) -> dict[str, Any]:
    """Return the ImageReview that answers the API server."""
    status: dict[str, Any] = {"allowed": decision.allowed}
    if decision.message:
        status["reason"] = decision.message
    if decision.audit_annotations:
        status["auditAnnotations"] = dict(decision.audit_annotations)
    return {"apiVersion": API_VERSION, "kind": KIND, "status": status}
