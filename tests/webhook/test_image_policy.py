"""Reviews of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.webhook.admission import BadReview
from tidewaiter.webhook.decision import Decision
from tidewaiter.webhook.image_policy import ImageReviewer, image_answer, parse_image_review

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

PINNED = "registry.example.com/shop/api@sha256:" + "0" * 64


def review(*images: str, **spec: Any) -> dict[str, Any]:
    stated = {"containers": [{"image": each} for each in images], "namespace": "shop", **spec}
    return {"apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview", "spec": stated}


def decide(plain: PlainPolicy, payload: dict[str, Any], *, late: bool = False) -> Decision:
    reviewer = ImageReviewer(Policy(plain), policy_hash="abc", own_namespace="tidewaiter")
    request = parse_image_review(payload)
    return reviewer.review(request, today="2026-11-25", out_of_time=lambda: late)


def test_an_image_without_a_digest_is_denied_with_the_reason() -> None:
    answer = image_answer(decide({}, review(PINNED, "shop/api:1")))
    assert answer["apiVersion"] == "imagepolicy.k8s.io/v1alpha1"
    assert answer["status"]["allowed"] is False
    assert "image-digest" in answer["status"]["reason"]
    assert "/spec/containers/1/image" in answer["status"]["reason"]
    assert answer["status"]["auditAnnotations"]["denied"] == "image-digest"


def test_pinned_images_are_allowed() -> None:
    answer = image_answer(decide({"profiles": ["all"]}, review(PINNED)))
    assert answer["status"]["allowed"] is True
    assert "reason" not in answer["status"]


@pytest.mark.parametrize(
    ("plain", "verdict"),
    [
        ({"admission": {"mode": "warn"}}, "warned"),
        ({"admission": {"mode": "audit"}}, "allowed"),
        ({"overrides": [{"match": {"namespaces": ["shop"]}, "mode": "audit"}]}, "allowed"),
        ({"overrides": [{"match": {"namespaces": ["other"]}, "mode": "audit"}]}, "denied"),
        ({"admission": {"exempt": {"namespaces": ["sh*"]}}}, "exempted"),
        (
            {
                "exemptions": [
                    {
                        "match": {"namespaces": ["shop"], "images": ["shop/*"]},
                        "rules": ["image-digest"],
                        "reason": "old",
                    }
                ]
            },
            "allowed",
        ),
    ],
)
def test_modes_and_exemptions_hold_by_namespace(plain: PlainPolicy, verdict: str) -> None:
    assert decide(plain, review("shop/api:1")).verdict == verdict


def test_the_clusters_own_namespaces_are_exempt() -> None:
    assert decide({}, review("a", namespace="kube-system")).verdict == "exempted"
    assert decide({}, review("a", namespace="tidewaiter")).verdict == "exempted"


def test_annotations_exempt_only_where_the_policy_says_so() -> None:
    key = "tidewaiter.image-policy.k8s.io/ignore.image-digest"
    payload = review("shop/api:1", annotations={key: "incident 12"})
    assert decide({}, payload).verdict == "denied"
    plain: PlainPolicy = {"admission": {"annotationExemptions": True}}
    assert decide(plain, payload).verdict == "allowed"


def test_out_of_time_it_is_denied() -> None:
    decision = decide({}, review(PINNED), late=True)
    assert (decision.allowed, decision.verdict) == (False, "error")


@pytest.mark.parametrize(
    "change", [{"containers": None}, {"containers": [{}]}, {"containers": ["a"]}]
)
def test_a_review_without_images_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadReview):
        parse_image_review(review(PINNED, **change))


@given(st.text(max_size=40))
def test_any_text_for_an_image_gets_an_answer(image: str) -> None:
    if not image:
        return
    decision = decide({"profiles": ["all"]}, review(image))
    assert not decision.crashed_rules
    assert image_answer(decision)["kind"] == "ImageReview"
