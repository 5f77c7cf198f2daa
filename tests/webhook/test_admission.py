"""Reviews of admission requests, from the JSON of the API server to the JSON of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webhook.reviews_of import (
    BAD,
    GOOD,
    TODAY,
    UID,
    Object,
    budget,
    decide,
    deletion_of,
    deployment,
    pod,
    respond,
    review_of,
    reviewer,
)
from tidewaiter.rules import catalogue
from tidewaiter.webhook.admission import BadReview, answer, parse_review

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

ONE: PlainPolicy = {"only": ["no-privileged"]}
"""A policy of one rule."""


def effects(plain: PlainPolicy, review: Object, *objects: Object) -> dict[str, str]:
    """Return what comes of each rule's findings."""
    return {each.rule: each.effect for each in decide(plain, review, *objects).answers}


def test_a_denial_names_rule_place_and_remedy() -> None:
    response = respond(ONE, review_of(pod(BAD)))
    assert response["uid"] == UID
    assert response["allowed"] is False
    status = response["status"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    message = status["message"]
    assert "Pod shop/api is denied by policy default" in message
    assert "no-privileged" in message
    assert "/spec/containers/0/securityContext/privileged" in message
    remedy = catalogue.load("no-privileged").remediation.partition("\n")[0].rstrip(":")
    assert remedy in message
    (cause,) = status["details"]["causes"]
    assert cause["field"] == "spec.containers[0].securityContext.privileged"


def test_what_is_right_is_let_in_without_a_word() -> None:
    response = respond(ONE, review_of(pod(GOOD)))
    assert response["allowed"] is True
    assert "status" not in response
    assert "warnings" not in response


def test_every_violated_rule_is_in_the_message_however_many_there_are() -> None:
    containers = [{**BAD, "name": f"c{number}", "image": f"a{number}"} for number in range(40)]
    plain: PlainPolicy = {"profiles": ["all"], "name": "strict"}
    decision = decide(plain, review_of(deployment(*containers)))
    denied = {each.rule for each in decision.answers if each.effect == "deny"}
    assert len(denied) > 10
    assert all(rule in decision.message for rule in denied)
    assert len(decision.message) <= 4096
    assert sum(map(len, decision.warnings)) <= 4096
    assert all(len(each) <= 256 for each in decision.warnings)
    assert decision.audit_annotations["policy"] == "strict"


def test_what_matters_most_stands_first() -> None:
    message = decide({}, review_of(deployment({**BAD, "image": "a:latest"}))).message
    places = [
        message.index(f"- {rule}:") for rule in ("no-privileged", "image-digest", "liveness-probe")
    ]
    assert places == sorted(places)


def test_warnings_have_no_control_characters() -> None:
    plain: PlainPolicy = {"only": ["no-latest-tag"], "admission": {"mode": "warn"}}
    odd = {**GOOD, "image": "a\n\x00b\ud800:latest", "name": "x\ty"}
    decision = decide(plain, review_of(pod(odd)))
    assert decision.allowed
    assert decision.warnings
    assert all(each.isprintable() for each in decision.warnings)


@pytest.mark.parametrize(
    ("plain", "effect"),
    [
        ({}, "deny"),
        ({"admission": {"mode": "warn"}}, "warn"),
        ({"admission": {"mode": "audit"}}, "audit"),
        ({"rules": {"no-privileged": {"severity": "warning"}}}, "warn"),
        ({"rules": {"no-privileged": {"severity": "info"}}}, "audit"),
        ({"admission": {"mode": "audit"}, "rules": {"no-privileged": {"mode": "enforce"}}}, "deny"),
        ({"rules": {"no-privileged": {"mode": "warn"}}, "overrides": [{"match": {}}]}, "warn"),
        (
            {
                "rules": {"no-privileged": {"mode": "audit"}},
                "overrides": [{"match": {}, "mode": "enforce"}],
            },
            "deny",
        ),
        (
            {
                "overrides": [
                    {"match": {}, "mode": "warn", "rules": {"no-privileged": {"mode": "enforce"}}}
                ]
            },
            "deny",
        ),
        (
            {
                "overrides": [
                    {"match": {}, "rules": {"no-privileged": {"mode": "enforce"}}},
                    {"match": {"namespaces": ["shop"]}, "mode": "audit"},
                    {"match": {"namespaces": ["other"]}, "mode": "enforce"},
                ]
            },
            "audit",
        ),
    ],
)
def test_the_mode_that_speaks_last_of_the_object_wins(plain: PlainPolicy, effect: str) -> None:
    found = effects({**ONE, **plain}, review_of(pod(BAD)))
    assert found == {"no-privileged": effect}


@pytest.mark.parametrize(
    ("unknown", "severity", "effect"),
    [
        ("deny", "error", "deny"),
        ("deny", "warning", "warn"),
        ("warn", "error", "warn"),
        ("warn", "info", "audit"),
        ("allow", "error", "audit"),
    ],
)
def test_the_policy_says_what_comes_of_an_unknown_answer(
    unknown: str, severity: str, effect: str
) -> None:
    plain: PlainPolicy = {
        "only": ["pdb"],
        "rules": {"pdb": {"severity": severity}},
        "admission": {"unknown": unknown, "crossResource": "deny"},
    }
    decision = decide(plain, review_of(deployment(GOOD, replicas=3)), complete=False)
    assert [(each.status, each.effect) for each in decision.answers] == [("unknown", effect)]


def test_a_deployment_may_come_before_its_budget() -> None:
    arriving = review_of(deployment(GOOD, replicas=3))
    plain: PlainPolicy = {"only": ["pdb"]}
    assert effects(plain, arriving) == {"pdb": "warn"}
    assert effects({**plain, "admission": {"crossResource": "deny"}}, arriving) == {"pdb": "deny"}
    assert effects(plain, arriving, budget(maxUnavailable=1)) == {}


@pytest.mark.parametrize("subresource", ["status", "binding", "eviction", "exec", "token"])
def test_other_subresources_are_passed(subresource: str) -> None:
    decision = decide(ONE, review_of(pod(BAD), subResource=subresource))
    assert (decision.allowed, decision.verdict) == (True, "passed")


def test_connect_is_passed() -> None:
    options = {"apiVersion": "v1", "kind": "PodExecOptions", "metadata": {}}
    decision = decide(ONE, review_of(options, operation="CONNECT", subResource="exec"))
    assert (decision.allowed, decision.verdict) == (True, "passed")


def test_of_debugging_containers_only_the_new_ones_are_judged() -> None:
    plain: PlainPolicy = {"only": ["no-privileged", "image-digest"]}
    running = pod({**BAD, "image": "a:1"})
    first = {**BAD, "name": "first"}
    running["spec"]["ephemeralContainers"] = [first]
    changed = pod({**BAD, "image": "a:1"})
    changed["spec"]["ephemeralContainers"] = [first, {**GOOD, "name": "second"}]
    review = review_of(changed, running, subResource="ephemeralcontainers")
    assert decide(plain, review).answers == ()
    changed["spec"]["ephemeralContainers"][1] = {**BAD, "name": "second"}
    decision = decide(plain, review_of(changed, running, subResource="ephemeralcontainers"))
    assert [(each.rule, each.container) for each in decision.answers] == [
        ("no-privileged", "second")
    ]


def scale(replicas: int, was: int, **request: Any) -> Object:
    """Return the review of a PATCH of deployments/scale."""

    def form(number: int) -> Object:
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {"replicas": number},
            "status": {"replicas": was, "selector": "app=api"},
        }

    resource = {"group": "apps", "version": "v1", "resource": "deployments"}
    return review_of(form(replicas), form(was), resource=resource, subResource="scale", **request)


def test_scaling_is_judged_by_what_it_does_to_the_workload_and_its_budget() -> None:
    plain: PlainPolicy = {"only": ["min-replicas", "pdb-allows-eviction", "no-privileged"]}
    there = deployment(BAD, replicas=3), budget(minAvailable=2)
    assert effects(plain, scale(1, 3), *there) == {
        "min-replicas": "warn",
        "pdb-allows-eviction": "warn",
    }
    assert effects(plain, scale(4, 3), *there) == {}
    denying: PlainPolicy = {**plain, "admission": {"crossResource": "deny"}}
    assert effects(denying, scale(2, 3), *there) == {"pdb-allows-eviction": "deny"}


def test_a_workload_that_is_not_known_is_scaled_by_what_the_request_says_of_it() -> None:
    plain: PlainPolicy = {"only": ["min-replicas", "pdb-allows-eviction"]}
    assert effects(plain, scale(1, 3)) == {"min-replicas": "warn"}
    assert effects(plain, scale(1, 1)) == {}


@pytest.mark.parametrize(
    ("deleted", "rule"),
    [
        (budget(maxUnavailable=1), "pdb"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}},
            "reference-exists",
        ),
    ],
)
def test_the_deletion_of_what_is_in_use_is_warned_of(deleted: Object, rule: str) -> None:
    deleted["metadata"]["namespace"] = "shop"
    environment = [{"configMapRef": {"name": "settings"}}]
    user = deployment({**GOOD, "envFrom": environment}, replicas=3)
    decision = decide({"only": [rule]}, deletion_of(deleted), user, deleted)
    assert decision.allowed
    assert [each.effect for each in decision.answers] == ["warn"]
    assert "Deployment" in decision.warnings[0]
    assert decide({"only": [rule]}, deletion_of(deleted), deleted).verdict == "allowed"


def test_a_namespace_that_goes_takes_all_with_it() -> None:
    going = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "deletionTimestamp": "2026-11-25T00:00:00Z"},
    }
    gone = budget(maxUnavailable=1)
    decision = decide(
        {"only": ["pdb"]}, deletion_of(gone), deployment(GOOD, replicas=3), gone, going
    )
    assert decision.verdict == "allowed"
    assert decide({}, deletion_of(going)).verdict == "passed"


def test_finalizers_come_off_whatever_the_object_breaks() -> None:
    held = pod(BAD, finalizers=["example.com/hold"], deletionTimestamp="2026-11-25T00:00:00Z")
    freed = pod(BAD, deletionTimestamp="2026-11-25T00:00:00Z")
    assert decide(ONE, review_of(freed, held)).verdict == "passed"
    alive = pod(BAD, finalizers=["example.com/hold"])
    assert decide(ONE, review_of(pod(BAD), alive)).verdict == "passed"
    other = pod({**BAD, "image": "registry.example/other:1.0"})
    assert decide(ONE, review_of(other, alive)).verdict == "denied"
    assert decide(ONE, review_of(pod(BAD), pod(GOOD))).verdict == "denied"


def test_the_namespace_is_that_of_the_request() -> None:
    value = pod(BAD)
    del value["metadata"]["namespace"]
    plain: PlainPolicy = {
        **ONE,
        "exemptions": [
            {"match": {"namespaces": ["shop"]}, "rules": ["no-privileged"], "reason": "old"}
        ],
    }
    decision = decide(plain, review_of(value, namespace="shop"))
    assert [(each.status, each.effect) for each in decision.answers] == [("exempted", "none")]
    assert decide(plain, review_of(value, namespace="other")).verdict == "denied"


def test_an_object_without_a_name_yet_goes_by_its_prefix() -> None:
    value = pod(BAD, generateName="api-")
    del value["metadata"]["name"]
    review = review_of(value)
    assert parse_review(review).subject.name == "api-*"
    assert "Pod shop/api-*" in decide(ONE, review).message


def test_a_deprecated_version_is_that_of_the_client() -> None:
    sent = {"group": "batch", "version": "v1beta1", "kind": "CronJob"}
    value = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}}
    plain: PlainPolicy = {"only": ["no-deprecated-api"]}
    assert effects(plain, review_of(value, requestKind=sent)) == {"no-deprecated-api": "deny"}
    assert effects(plain, review_of(value)) == {}


def test_annotations_exempt_only_where_the_policy_says_so() -> None:
    value = pod(BAD, annotations={"tidewaiter.dev/ignore.no-privileged": "needs it"})
    assert decide(ONE, review_of(value)).verdict == "denied"
    plain: PlainPolicy = {**ONE, "admission": {"annotationExemptions": True}}
    assert decide(plain, review_of(value)).verdict == "allowed"


def test_custom_resources_are_judged_by_the_rules_on_everything() -> None:
    plain: PlainPolicy = {
        "customRules": [{"name": "has-team", "expression": "has(object.metadata.labels)"}],
        "only": ["has-team"],
    }
    value = {"apiVersion": "example.com/v1", "kind": "Game", "metadata": {"name": "go"}}
    assert effects(plain, review_of(value)) == {"has-team": "deny"}


def test_a_rule_that_raises_is_named_and_the_others_count(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = catalogue.load("no-host-path")

    def check(*_: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(broken, "check_function", check)
    plain: PlainPolicy = {"only": ["no-host-path", "no-privileged"]}
    decision = decide(plain, review_of(pod(BAD)))
    assert decision.crashed_rules == ("no-host-path",)
    assert {each.rule: each.effect for each in decision.answers} == {
        "no-host-path": "warn",
        "no-privileged": "deny",
    }
    assert "s3cret" not in repr(decision)
    strict: PlainPolicy = {"only": ["no-host-path"], "admission": {"unknown": "deny"}}
    assert decide(strict, review_of(pod(GOOD))).verdict == "denied"


@pytest.mark.parametrize(
    ("setting", "allowed", "verdict"),
    [("deny", False, "error"), ("warn", True, "warned"), ("allow", True, "allowed")],
)
def test_out_of_time_the_policy_decides(setting: str, allowed: bool, verdict: str) -> None:
    plain: PlainPolicy = {
        "only": ["no-privileged"],
        "admission": {"onTimeout": setting, "unknown": "allow", "ratchet": True},
    }
    judge = reviewer(plain)
    request = parse_review(review_of(pod(GOOD), pod(GOOD)))
    decision = judge.review(request, today=TODAY, out_of_time=lambda: True)
    assert (decision.allowed, decision.verdict) == (allowed, verdict)
    assert judge.undecided(request, "no time").allowed is allowed
    if not allowed:
        assert answer(decision)["response"]["status"]["code"] == 504


def test_what_was_found_before_the_time_was_up_still_denies() -> None:
    asked = iter([False, True, True])
    judge = reviewer({"only": ["no-privileged", "image-digest"]})
    request = parse_review(review_of(pod({**BAD, "image": "a"})))
    decision = judge.review(request, today=TODAY, out_of_time=lambda: next(asked, True))
    assert decision.verdict == "denied"
    assert {each.status for each in decision.answers} == {"violation", "unknown"}


def test_the_verdict_and_the_rules_are_in_the_audit_log_of_the_api_server() -> None:
    annotations = respond(ONE, review_of(pod(BAD)))["auditAnnotations"]
    assert annotations == {
        "policy": "default",
        "policy-hash": "abc",
        "verdict": "denied",
        "denied": "no-privileged",
    }


def test_secrets_are_let_in_unless_the_policy_states_a_mode_for_their_rule() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a"},
        "data": {"a": "YQ=="},
    }
    plain: PlainPolicy = {"only": ["no-secret-manifest"]}
    assert effects(plain, review_of(secret)) == {"no-secret-manifest": "audit"}
    stated: PlainPolicy = {**plain, "rules": {"no-secret-manifest": {"mode": "enforce"}}}
    assert effects(stated, review_of(secret)) == {"no-secret-manifest": "deny"}


def test_no_value_of_the_object_is_in_what_is_logged() -> None:
    secret = "hunter2-ZmFrZQ-correct-horse"
    environment = [{"name": "DB_PASSWORD", "value": secret}]
    applied = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"password": "{secret}"}}'}
    value = pod({**BAD, "env": environment, "args": [f"--token={secret}"]}, annotations=applied)
    kept = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}}
    plain: PlainPolicy = {
        "profiles": ["all"],
        "rules": {"no-secret-manifest": {"mode": "enforce"}},
    }
    for each in (value, {**kept, "data": {"password": secret}, "stringData": {"p": secret}}):
        decision = decide(plain, review_of(each))
        assert not decision.allowed
        assert secret not in repr(decision.answers)
        assert secret not in repr(decision.audit_annotations)
        assert secret not in repr(answer(decision))


@pytest.mark.parametrize(
    "change",
    [
        {"uid": None},
        {"operation": "PATCH"},
        {"kind": None},
        {"object": None},
        {"object": [1]},
        {"oldObject": "x"},
    ],
)
def test_a_request_that_lacks_a_part_is_refused(change: Object) -> None:
    with pytest.raises(BadReview) as refused:
        parse_review(review_of(pod(GOOD), **change))
    assert refused.value.status == 400


@pytest.mark.parametrize("payload", [None, [], {}, {"kind": "AdmissionReview"}, "x", 1])
def test_what_is_no_review_is_refused(payload: object) -> None:
    with pytest.raises(BadReview):
        parse_review(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["metadata", "spec", "containers", "template", "name", "ownerReferences", "replicas", "labels"]
)
OBJECTS = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(OBJECTS)
@settings(deadline=None, max_examples=100)
def test_any_json_is_a_review_or_a_bad_one(payload: object) -> None:
    with pytest.raises(BadReview):
        parse_review(payload)


@given(
    st.sampled_from(["Pod", "Deployment", "CronJob", "Secret", "Scale", "Namespace"]),
    st.dictionaries(KEYS, OBJECTS, max_size=4),
    st.none() | st.dictionaries(KEYS, OBJECTS, max_size=4),
    st.sampled_from(["", "ephemeralcontainers", "scale", "status"]),
    st.sampled_from(["CREATE", "UPDATE", "DELETE"]),
)
@settings(deadline=None, max_examples=150)
def test_any_object_gets_an_answer(
    kind: str, value: Object, old: Object | None, subresource: str, operation: str
) -> None:
    request = {
        "uid": UID,
        "operation": operation,
        "kind": {"group": "apps" if kind == "Deployment" else "", "version": "v1", "kind": kind},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "object": value,
        "oldObject": old,
        "subResource": subresource,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    plain: PlainPolicy = {"profiles": ["all"], "admission": {"ratchet": True}}
    decision = decide(plain, review)
    assert not decision.crashed_rules
    assert answer(decision)["response"]["uid"] == UID


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("request.operation == 'UPDATE'", True),
        ("request.userInfo.username == 'jane' && 'dev' in request.userInfo.groups", True),
        ("object.spec.containers[0].image == oldObject.spec.containers[0].image", False),
        ("!request.dryRun", True),
        ("object.metadata.uid == 'u' && object.spec.restartPolicy == 'Always'", True),
    ],
)
def test_rules_of_ones_own_see_the_whole_request(expression: str, *, allowed: bool) -> None:
    plain: PlainPolicy = {
        "customRules": [{"name": "own", "expression": expression}],
        "only": ["own"],
    }
    review = review_of(pod({**GOOD, "image": "b"}, uid="u"), pod(GOOD), groups=["dev"])
    decision = decide(plain, review)
    assert decision.allowed is allowed
    assert all(each.status == "violation" for each in decision.answers)
