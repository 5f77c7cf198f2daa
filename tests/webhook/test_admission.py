"""Reviews of admission requests, from the JSON of the API server to the JSON of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.webhook.admission import BadReview, Reviewer, answer, parse_review

TODAY = "2026-11-25"


def review_of(value: dict[str, Any], **request: Any) -> dict[str, Any]:
    """Return an AdmissionReview that creates an object."""
    group, _, version = value["apiVersion"].rpartition("/")
    asked = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "operation": "CREATE",
        "kind": {"group": group, "version": version, "kind": value["kind"]},
        "namespace": "shop",
        "object": value,
        "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def test_a_privileged_pod_is_denied() -> None:
    spec = {"containers": [{"name": "a", "image": "a:1", "securityContext": {"privileged": True}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    reviewer = Reviewer(Policy(), LiveInventory(complete=True), policy_hash="abc")
    decision = reviewer.review(parse_review(review_of(pod)), today=TODAY, out_of_time=lambda: False)
    response = answer(decision)["response"]
    assert response["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert not response["allowed"]
    assert "no-privileged" in response["status"]["message"]


@pytest.mark.parametrize("payload", [None, [], {}, {"kind": "AdmissionReview"}])
def test_what_is_no_review_is_refused(payload: object) -> None:
    with pytest.raises(BadReview):
        parse_review(payload)
