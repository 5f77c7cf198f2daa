"""With `admission.ratchet` an update may keep what its object breaks already, and nothing worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.webhook.reviews_of import BAD, GOOD, Object, decide, deployment, pod, review_of

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

PLAIN: PlainPolicy = {
    "only": ["no-privileged", "image-digest", "no-host-path", "readiness-probe"],
    "admission": {"ratchet": True},
}


STRICT: PlainPolicy = {"only": ["no-privileged"]}


def verdict(new: Object, old: Object, plain: PlainPolicy = PLAIN) -> str:
    return decide(plain, review_of(new, old)).verdict


def volume(path: str) -> Object:
    return {"name": "data", "hostPath": {"path": path}}


def test_what_was_there_is_warned_of() -> None:
    new = deployment(BAD)
    new["metadata"]["labels"] = {"team": "shop"}
    decision = decide(PLAIN, review_of(new, deployment(BAD)))
    assert (decision.allowed, decision.verdict) == (True, "warned")
    assert "2 violations that the object had before" in decision.warnings[0]
    assert {each.effect for each in decision.answers} == {"warn"}


def test_without_the_setting_it_is_denied() -> None:
    new = deployment(BAD)
    new["metadata"]["labels"] = {"team": "shop"}
    assert verdict(new, deployment(BAD), STRICT) == "denied"


def test_a_running_pod_may_be_labelled_whatever_it_breaks() -> None:
    """As a database labels its leader at a failover; what runs in a pod cannot be mended there."""
    labelled = pod(BAD, labels={"role": "primary"})
    assert verdict(labelled, pod(BAD), STRICT) == "warned"
    tolerating = pod(BAD)
    tolerating["spec"]["tolerations"] = [{"operator": "Exists"}]
    assert verdict(tolerating, pod(BAD), STRICT) == "warned"


def test_another_image_and_a_label_that_is_wrong_only_now_are_no_such_updates() -> None:
    old = pod({**BAD, "image": "a:1"})
    assert verdict(pod({**BAD, "image": "a:2"}), old, STRICT) == "denied"
    plain: PlainPolicy = {
        "only": ["required-labels"],
        "rules": {
            "required-labels": {"severity": "error", "parameters": {"labels": ["app"]}},
        },
    }
    assert verdict(pod(GOOD), pod(GOOD, labels={"app": "shop"}), plain) == "denied"


def test_a_new_object_has_nothing_to_keep() -> None:
    assert decide(PLAIN, review_of(pod(BAD))).verdict == "denied"


def test_another_violation_is_denied() -> None:
    assert verdict(pod(BAD, {**BAD, "name": "more"}), pod(BAD)) == "denied"
    assert verdict(pod({**BAD, "image": "a:1"}), pod(BAD)) == "denied"


def test_the_place_in_a_list_does_not_matter_and_the_name_does() -> None:
    other = {**GOOD, "name": "other"}
    assert verdict(pod(other, BAD), pod(BAD, other)) == "warned"
    assert verdict(pod({**BAD, "name": "renamed"}), pod(BAD)) == "denied"


def test_each_violation_answers_for_one() -> None:
    assert verdict(pod(BAD, BAD), pod(BAD)) == "denied"


def test_a_changed_value_is_a_new_violation() -> None:
    old, new = pod(GOOD), pod(GOOD)
    old["spec"]["volumes"], new["spec"]["volumes"] = [volume("/var/log")], [volume("/")]
    assert verdict(new, old) == "denied"
    assert verdict(old, old) == "warned"


def test_a_release_of_the_same_image_is_no_worse() -> None:
    old = pod({**GOOD, "image": "shop/api:1"})
    assert verdict(pod({**GOOD, "image": "shop/api:2"}), old) == "warned"
    assert verdict(pod({**GOOD, "image": "evil/api:2"}), old) == "denied"


def test_what_lies_beside_a_missing_field_may_change() -> None:
    changed = {**GOOD, "args": ["--verbose"]}
    assert verdict(deployment(changed), deployment(GOOD)) == "warned"
