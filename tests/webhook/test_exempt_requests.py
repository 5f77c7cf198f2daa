"""Who is not reviewed, so that a cluster can recover, and who cannot exempt himself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.webhook.reviews_of import BAD, decide, deletion_of, deployment, owned, pod, review_of

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

PLAIN: PlainPolicy = {"only": ["no-privileged"]}


def exempting(**stated: Any) -> PlainPolicy:
    return {**PLAIN, "admission": {"exempt": stated}}


def verdict(plain: PlainPolicy, namespace: str = "shop", **request: Any) -> str:
    return decide(plain, review_of(pod(BAD, namespace=namespace), **request)).verdict


@pytest.mark.parametrize("namespace", ["kube-system", "kube-node-lease", "tidewaiter"])
def test_the_clusters_own_namespaces_and_the_webhooks_are_exempt(namespace: str) -> None:
    assert verdict(PLAIN, namespace) == "exempted"
    assert verdict(exempting(builtIn=False), namespace) == "denied"


def test_components_are_exempt_but_for_what_they_make_from_templates() -> None:
    controller = "system:serviceaccount:kube-system:replicaset-controller"
    made = owned(pod(BAD), deployment(BAD))
    assert verdict(PLAIN, username=controller) == "exempted"
    assert decide(PLAIN, review_of(made, username=controller)).verdict == "denied"
    assert decide(PLAIN, review_of(made, made, username=controller)).verdict == "exempted"
    assert decide(PLAIN, deletion_of(made, username=controller)).verdict == "exempted"
    assert verdict(PLAIN, username="system:node:a", groups=["system:nodes"]) == "exempted"


@pytest.mark.parametrize(
    "request_of",
    [
        {"username": "admin", "groups": ["system:masters"]},
        {"username": "system:serviceaccount:kube-system:tiller"},
        {"username": "system:serviceaccount:shop:replicaset-controller"},
        {"username": "jane", "groups": ["system:serviceaccounts:kube-system"]},
        {"username": ""},
    ],
)
def test_nobody_else_is(request_of: dict[str, Any]) -> None:
    assert verdict(PLAIN, **request_of) == "denied"


@pytest.mark.parametrize(
    ("stated", "request_of"),
    [
        ({"usernames": ["ci-*"]}, {"username": "ci-deployer"}),
        ({"groups": ["sre"]}, {"username": "jane", "groups": ["dev", "sre"]}),
        ({"namespaces": ["sandbox-*"]}, {"namespace": "sandbox-1"}),
    ],
)
def test_the_policy_names_more(stated: dict[str, Any], request_of: dict[str, Any]) -> None:
    assert verdict(exempting(**stated), **request_of) == "exempted"
    assert verdict(exempting(**stated), username="ci", groups=["sr"]) == "denied"


def test_an_object_exempts_nobody() -> None:
    claims = {"namespace": "kube-system", "labels": {"tidewaiter.dev/exempt": "true"}}
    review = review_of(pod(BAD, **claims), namespace="shop")
    assert decide(PLAIN, review).verdict == "denied"
