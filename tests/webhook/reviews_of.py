"""Requests as the API server sends them, and what becomes of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.webhook.admission import Reviewer, answer, parse_review
from tidewaiter.webhook.decision import Decision

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

TODAY = "2026-11-25"
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
Object = dict[str, Any]

GOOD: Object = {
    "name": "api",
    "image": "registry.example.com/shop/api@sha256:" + "0" * 64,
    "securityContext": {"privileged": False},
}
BAD: Object = {**GOOD, "securityContext": {"privileged": True}}


def pod(*containers: Object, **metadata: Any) -> Object:
    """Return a Pod of namespace shop."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "api", "namespace": "shop", **metadata},
        "spec": {"containers": list(containers)},
    }


def deployment(*containers: Object, name: str = "api", **spec: Any) -> Object:
    """Return a Deployment of namespace shop."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def budget(name: str = "api", **spec: Any) -> Object:
    """Return a PodDisruptionBudget of namespace shop."""
    selector = {"matchLabels": {"app": "api"}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector, "unhealthyPodEvictionPolicy": "AlwaysAllow", **spec},
    }


def owned(value: Object, owner: Object, uid: str | None = None) -> Object:
    """Return an object that says it was made by another."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"] if uid is None else uid,
        "controller": True,
    }
    metadata = {**value["metadata"], "ownerReferences": [reference]}
    return {**value, "metadata": metadata}


def review_of(value: Object, old: Object | None = None, **request: Any) -> Object:
    """Return the AdmissionReview of a CREATE, or of an UPDATE where there is an old object."""
    group, _, version = value["apiVersion"].rpartition("/")
    user = {"username": request.pop("username", "jane"), "groups": request.pop("groups", [])}
    asked = {
        "uid": UID,
        "operation": "CREATE" if old is None else "UPDATE",
        "kind": {"group": group, "version": version, "kind": value["kind"]},
        "namespace": value["metadata"].get("namespace", ""),
        "name": value["metadata"].get("name", ""),
        "object": copy.deepcopy(value),
        "oldObject": copy.deepcopy(old),
        "userInfo": user,
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def deletion_of(value: Object, **request: Any) -> Object:
    """Return the AdmissionReview of a DELETE."""
    return review_of(
        value, **{"operation": "DELETE", "object": None, "oldObject": value, **request}
    )


def reviewer(plain: PlainPolicy, *objects: Object, complete: bool = True) -> Reviewer:
    """Return who judges by a policy, with objects in the inventory."""
    resources = [Resource(copy.deepcopy(each)) for each in objects]
    inventory = LiveInventory(resources, complete=complete)
    return Reviewer(Policy(plain), inventory, policy_hash="abc", own_namespace="tidewaiter")


def decide(plain: PlainPolicy, review: Object, *objects: Object, complete: bool = True) -> Decision:
    """Judge a review by a policy."""
    asked = parse_review(review)
    judge = reviewer(plain, *objects, complete=complete)
    return judge.review(asked, today=TODAY, out_of_time=lambda: False)


def respond(plain: PlainPolicy, review: Object, *objects: Object) -> Object:
    """Return the response to a review."""
    response: Object = answer(decide(plain, review, *objects))["response"]
    return response
