"""The verdict on one ImageReview: may these images run in this namespace?

The API server sends the images of a pod, its namespace, and of its annotations those with a key of the form
`*.image-policy.k8s.io/*`; neither the pod's name nor who asks. Rules that read more than an image's name are not
asked. Where the policy lets annotations exempt, `tidewaiter.image-policy.k8s.io/ignore.<rule>: "<reason>"` does.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#imagepolicywebhook
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidewaiter.rules import engine
from tidewaiter.rules.exemptions import ANNOTATION_PREFIX
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.fields import mapping, text
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.webhook.admission_request import BadReview, check_types, review_part
from tidewaiter.webhook.decision import Decision, ReviewedObject, RuleAnswer
from tidewaiter.webhook.effect import effect_of, settings_of
from tidewaiter.webhook.exempt_requests import ExemptRequests
from tidewaiter.webhook.response import audit_annotations_of, denial

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.webhook.decision import Verdict

API_VERSION = "imagepolicy.k8s.io/v1alpha1"
KIND = "ImageReview"
SECTION = "images"
_ASK_MORE = frozenset({"image-pull-policy"})
"""Rules on images that read another field of the container."""
_IGNORE = "tidewaiter.image-policy.k8s.io/ignore."


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The images of a pod, its namespace, and its annotations of the form `*.image-policy.k8s.io/*`."""

    subject: ReviewedObject
    images: tuple[str, ...]
    annotations: dict[str, str]


def parse_image_review(payload: object) -> ImageRequest:
    """Return the request of an ImageReview. Raises BadReview."""
    spec = review_part(payload, API_VERSION, KIND, "spec")
    containers = spec.get("containers")
    if not isinstance(containers, list):
        raise BadReview("the spec has no list of containers")
    images = tuple(text(mapping(row).get("image")) for row in containers)
    if not all(images):
        raise BadReview("a container of the spec has no image")
    check_types(spec, {"namespace": str, "annotations": dict}, "spec")
    annotations = mapping(spec.get("annotations"))
    if not all(isinstance(value, str) for value in annotations.values()):
        raise BadReview("an annotation of the spec is no string")
    subject = ReviewedObject(
        operation="CREATE",
        api_version=API_VERSION,
        kind=KIND,
        namespace=text(spec.get("namespace")),
    )
    return ImageRequest(subject, images, annotations)


class ImageReviewer:
    """Judges images by the image rules of one policy."""

    def __init__(self, policy: Policy, *, policy_hash: str, own_namespace: str = "") -> None:
        """Keep what verdicts depend on; `own_namespace` is that of the webhook, whose pods are exempt."""
        self.policy = policy
        self.policy_hash = policy_hash
        self._admission = settings_of(policy.plain)
        self._exempt = ExemptRequests(policy.plain, own_namespace)
        self._inventory = Inventory((), complete=False)
        self._names = frozenset(
            name
            for name, entry in policy.entries.items()
            if entry.section == SECTION and name not in _ASK_MORE
        )

    def review(
        self, request: ImageRequest, *, today: str, out_of_time: Callable[[], bool]
    ) -> Decision:
        """Return the decision on a request. `out_of_time` is asked between rules."""
        subject = request.subject
        if reason := self._exempt.namespace_reason(subject.namespace):
            return self._decision(subject, "exempted", note=reason)
        pod = Resource(_pod(request))
        report = engine.judge(
            [pod],
            self.policy,
            self._inventory,
            today=today,
            inline=self._admission.annotation_exemptions,
            names=self._names,
            out_of_time=out_of_time,
        )
        settings = self.policy.settings(pod)
        weighed = [
            (each, effect_of(each, self.policy, settings, self._admission, report.unreached))
            for each in report.findings
        ]
        denied = [finding for finding, effect in weighed if effect == "deny"]
        answers = tuple(
            RuleAnswer(each.rule, each.severity, each.status, effect, each.pointer, each.container)
            for each, effect in weighed
        )
        crashed = tuple(dict.fromkeys(crash.rule for crash in report.crashes))
        verdict: Verdict = "allowed"
        if denied:
            late = all(finding.rule in report.unreached for finding in denied)
            verdict = "error" if late else "denied"
        elif any(effect == "warn" for _, effect in weighed):
            verdict = "warned"
        where = f" in namespace {subject.namespace}" if subject.namespace else ""
        name = self.policy.plain.get("name") or "default"
        message = denial(denied, f"an image{where} is denied by policy {name}") if denied else ""
        return self._decision(subject, verdict, message, answers, crashed)

    def undecided(self, request: ImageRequest, reason: str) -> Decision:
        """Return the decision where no verdict can be made; the policy's `onTimeout` says which."""
        if why := self._exempt.namespace_reason(request.subject.namespace):
            return self._decision(request.subject, "exempted", note=why)
        mode = self.policy.plain.get("admission", {}).get("mode", "enforce")
        allowed = mode != "enforce" or self._admission.on_timeout != "deny"
        return image_failure(request, reason, allowed=allowed)

    def _decision(
        self,
        subject: ReviewedObject,
        verdict: Verdict,
        message: str = "",
        answers: tuple[RuleAnswer, ...] = (),
        crashed: tuple[str, ...] = (),
        note: str = "",
    ) -> Decision:
        name = self.policy.plain.get("name") or "default"
        return Decision(
            subject,
            allowed=verdict not in {"denied", "error"},
            verdict=verdict,
            message=message,
            audit_annotations=audit_annotations_of(verdict, name, self.policy_hash, answers, note),
            answers=answers,
            crashed_rules=crashed,
        )


def image_failure(request: ImageRequest, reason: str, *, allowed: bool) -> Decision:
    """Return the decision where no verdict could be made; `reason` is a sentence for people."""
    return Decision(request.subject, allowed=allowed, verdict="error", message=reason, code=500)


def image_answer(decision: Decision) -> dict[str, Any]:
    """Return the ImageReview that answers the API server."""
    status: dict[str, Any] = {"allowed": decision.allowed}
    if not decision.allowed:
        status["reason"] = decision.message
    if decision.audit_annotations:
        status["auditAnnotations"] = dict(decision.audit_annotations)
    return {"apiVersion": API_VERSION, "kind": KIND, "status": status}


def _pod(request: ImageRequest) -> dict[str, Any]:
    """Return the pod that a request speaks of, with the annotations that exempt as they stand on objects."""
    annotations = {
        f"{ANNOTATION_PREFIX}{key[len(_IGNORE) :]}": value
        for key, value in request.annotations.items()
        if key.startswith(_IGNORE)
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": request.subject.namespace,
            "annotations": {**request.annotations, **annotations},
        },
        "spec": {"containers": [{"image": image} for image in request.images]},
    }
