"""Pods and others that a controller made from a template that was judged."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from tests.webhook.reviews_of import BAD, GOOD, Object, decide, deployment, owned, pod, review_of
from tidewaiter.rules.kept_fields import kept

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

PLAIN: PlainPolicy = {
    "only": ["no-privileged", "image-digest", "no-host-namespaces", "no-naked-pod"]
}
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
DEPLOYMENT = deployment(BAD)
REPLICA_SET = owned({**deployment(BAD, name="api-5d8"), "kind": "ReplicaSet"}, DEPLOYMENT)
POD = owned(pod(BAD, labels={"app": "api", "pod-template-hash": "5d8"}), REPLICA_SET)
TOKEN = "kube-api-access-x7k2p"


@pytest.fixture(params=["whole", "kept"])
def inventory(request: pytest.FixtureRequest) -> list[Object]:
    """The owners as the API has them, and as an inventory that follows a cluster keeps them."""
    objects = [DEPLOYMENT, REPLICA_SET]
    if request.param == "whole":
        return objects
    return [found for each in objects if (found := kept(each)) is not None]


def verdict(value: Object, inventory: list[Object], username: str = CONTROLLER) -> str:
    return decide(PLAIN, review_of(value, username=username), *inventory).verdict


def test_a_pod_is_not_judged_again_for_what_its_template_has(inventory: list[Object]) -> None:
    assert verdict(POD, inventory) == "allowed"


def test_what_the_api_server_adds_is_no_change(inventory: list[Object]) -> None:
    value = copy.deepcopy(POD)
    sources: list[Object] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": []}},
        {"downwardAPI": {"items": []}},
    ]
    value["spec"]["volumes"] = [{"name": TOKEN, "projected": {"sources": sources}}]
    value["spec"]["tolerations"] = [{"key": "node.kubernetes.io/not-ready"}]
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    value["spec"]["containers"][0]["volumeMounts"] = [
        {"name": TOKEN, "mountPath": path, "readOnly": True}
    ]
    assert verdict(value, inventory) == "allowed"
    assert verdict(value, inventory, "system:serviceaccount:shop:operator") == "denied", (
        "a ReplicaSet's pods are made by its controller alone"
    )


def test_a_sidecar_is_judged(inventory: list[Object]) -> None:
    value = copy.deepcopy(POD)
    value["spec"]["containers"].append({**GOOD, "name": "proxy"})
    assert verdict(value, inventory) == "allowed"
    value["spec"]["containers"][1]["securityContext"] = {"privileged": True}
    decision = decide(PLAIN, review_of(value, username=CONTROLLER), *inventory)
    assert [(each.rule, each.container) for each in decision.answers] == [
        ("no-privileged", "proxy")
    ]


def test_a_changed_field_is_judged(inventory: list[Object]) -> None:
    value = copy.deepcopy(POD)
    value["spec"]["containers"][0]["image"] = "elsewhere/api:latest"
    value["spec"]["hostNetwork"] = True
    decision = decide(PLAIN, review_of(value, username=CONTROLLER), *inventory)
    assert {each.rule for each in decision.answers} == {"image-digest", "no-host-namespaces"}


@pytest.mark.parametrize("username", ["jane", "system:serviceaccount:shop:default"])
def test_a_forged_owner_gains_nothing(username: str, inventory: list[Object]) -> None:
    decision = decide(PLAIN, review_of(POD, username=username), *inventory)
    assert {each.rule for each in decision.answers} == {"no-privileged", "no-naked-pod"}


def test_another_uid_is_another_owner(inventory: list[Object]) -> None:
    stale = owned(pod(BAD), REPLICA_SET, uid="of-one-that-is-gone")
    assert verdict(stale, inventory) == "denied"


def test_an_owner_that_is_not_known_vouches_for_nothing() -> None:
    assert verdict(POD, []) == "denied"


def test_a_replica_set_is_judged_with_its_deployment(inventory: list[Object]) -> None:
    maker = "system:serviceaccount:kube-system:deployment-controller"
    assert verdict(REPLICA_SET, inventory[:1], maker) == "allowed"
    assert verdict(REPLICA_SET, inventory[:1], "jane") == "denied"


def test_a_custom_controller_is_believed_where_it_copies_the_template() -> None:
    clone_set = {**deployment(BAD), "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet"}
    operator = "system:serviceaccount:kruise:manager"
    copied = owned(pod(BAD, labels={"app": "api"}), clone_set)
    assert verdict(copied, [clone_set], operator) == "allowed"
    forged = copy.deepcopy(copied)
    forged["spec"]["containers"][0]["args"] = ["--shell"]
    assert verdict(forged, [clone_set], operator) == "denied"
    mounted = copy.deepcopy(copied)
    mounted["spec"]["volumes"] = [{"name": TOKEN, "configMap": {"name": "mine"}}]
    assert verdict(mounted, [clone_set], operator) == "denied"


def test_a_running_pod_may_be_labelled(inventory: list[Object]) -> None:
    new = copy.deepcopy(POD)
    new["metadata"]["labels"]["canary"] = "yes"
    assert decide(PLAIN, review_of(new, POD), *inventory).verdict == "allowed"
