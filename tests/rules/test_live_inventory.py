"""A live inventory answers every question as a fresh inventory of the same objects would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.rules import engine
from tidewaiter.rules.inventory import CannotBeRead, Inventory, namespace_of
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.manifest.selector import parse_selector
from tidewaiter.rules.policy.compiled import Policy

NAMESPACES = ("default", "shop", "bank")
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["a", "b"]), max_size=2)
EXPRESSIONS = st.lists(
    st.sampled_from(
        [
            {"key": "app", "operator": "In", "values": ["a", "b"]},
            {"key": "tier", "operator": "DoesNotExist"},
            {"key": "app", "operator": "NotIn", "values": ["a"]},
        ]
    ),
    max_size=1,
)
POD_SPECS = {"Batch.example.com": "/spec/template/spec"}
KINDS = {
    "Deployment.apps": ("apps/v1", "Deployment"),
    "Batch.example.com": ("example.com/v1", "Batch"),
    "Service": ("v1", "Service"),
    "PodDisruptionBudget.policy": ("policy/v1", "PodDisruptionBudget"),
    "Namespace": ("v1", "Namespace"),
    "Widget.example.com": ("example.com/v1", "Widget"),
}


def made(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> Resource:
    api_version, word = KINDS[kind]
    metadata = {"name": name, **({} if kind == "Namespace" else {"namespace": namespace})}
    return Resource(
        {"apiVersion": api_version, "kind": word, "metadata": metadata, "spec": spec},
        pod_specs=POD_SPECS,
    )


def spec_of(kind: str, labels: dict[str, str], expressions: list[Any]) -> dict[str, Any]:
    if kind in {"Deployment.apps", "Batch.example.com"}:
        return {"template": {"metadata": {"labels": labels}, "spec": {"containers": []}}}
    if kind == "Service":
        return {"selector": labels}
    if kind == "PodDisruptionBudget.policy":
        return {"selector": {"matchLabels": labels, "matchExpressions": expressions}}
    return {"labels": labels}


RESOURCES = st.builds(
    lambda kind, namespace, name, labels, expressions: made(
        kind, namespace, name, spec_of(kind, labels, expressions)
    ),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(NAMESPACES),
    st.sampled_from("xyz"),
    LABELS,
    EXPRESSIONS,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove", "replace", "lay over", "delete", "uncover"]),
        RESOURCES,
        st.lists(RESOURCES, max_size=3),
        st.booleans(),
    ),
    max_size=12,
)
SELECTORS = [
    parse_selector(value)
    for value in (
        {},
        {"matchLabels": {"app": "a"}},
        {"matchLabels": {"app": "a", "tier": "b"}},
        {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    )
]


def label_keys(resource: Resource) -> tuple[object, ...]:
    return tuple(resource.spec.get("labels") or resource.spec.get("selector") or ())


def of_app(inventory: Inventory, namespace: str) -> list[Any]:
    found = inventory.workloads_matching(namespace, SELECTORS[1])
    return [each.resource.object for each in found]


def summary(inventory: Inventory, namespace: str) -> list[Any]:
    return [inventory.once(of_app, namespace), list(inventory.kinds_in(namespace))]


def total(inventory: Inventory) -> list[Any]:
    return [
        list(inventory.kinds()),
        [len(inventory.of_kind(kind)) for kind in sorted(KINDS)],
        [inventory.once(summary, namespace) for namespace in NAMESPACES],
    ]


def secret_names(inventory: Inventory, namespace: str) -> list[str]:
    found = inventory.lookup("Widget.example.com", namespace, label_keys, "app")
    return [each.name for each in found]


def answers(inventory: Inventory) -> dict[str, Any]:
    """Return what an inventory says to every question."""
    found: dict[str, Any] = {
        "kinds": list(inventory.kinds()),
        "total": inventory.once(total),
        "complete": inventory.complete,
    }
    for kind in KINDS:
        found[kind] = [each.object for each in inventory.of_kind(kind)]
        for namespace in (None, *NAMESPACES):
            key = f"{kind} {namespace}"
            found[key] = [each.object for each in inventory.of_kind(kind, namespace)]
            found[f"{key} lookup"] = [
                each.object for each in inventory.lookup(kind, namespace, label_keys, "app")
            ]
            for name in "xyz":
                got = inventory.get(kind, namespace, name)
                found[f"{key} {name}"] = got and got.object
    for name in "xyz":
        one = inventory.find("Namespace", name)
        found[f"find {name}"] = one and one.object
    for namespace in NAMESPACES:
        found[f"kinds in {namespace}"] = list(inventory.kinds_in(namespace))
        found[f"names {namespace}"] = inventory.once(secret_names, namespace)
        found[f"summary {namespace}"] = inventory.once(summary, namespace)
        workloads = inventory.workloads(namespace)
        found[f"workloads {namespace}"] = [each.resource.object for each in workloads]
        for number, selector in enumerate(SELECTORS):
            found[f"matching {number} {namespace}"] = [
                each.resource.object for each in inventory.workloads_matching(namespace, selector)
            ]
        for each in workloads:
            for kind in ("Service", "PodDisruptionBudget.policy"):
                key = f"selecting {kind} {each.resource.kind_id} {namespace} {each.resource.name}"
                found[key] = [one.object for one in inventory.selecting(kind, each)]
    return found


def identity(resource: Resource) -> tuple[str, str, str]:
    return resource.kind_id, namespace_of(resource), resource.name


def fresh(objects: dict[tuple[str, str, str], Resource]) -> Inventory:
    return Inventory((objects[key] for key in sorted(objects)), complete=True)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_answer_is_that_of_a_fresh_inventory(steps: list[Any]) -> None:
    live = LiveInventory(complete=True, pod_specs=POD_SPECS)
    there: dict[tuple[str, str, str], Resource] = {}
    laid: tuple[tuple[str, str, str], Resource | None] | None = None
    for action, resource, others, asks in steps:
        key = identity(resource)
        if action == "put":
            live.put(resource)
            there[key] = resource
        elif action == "remove":
            live.remove(*key)
            there.pop(key, None)
        elif action == "replace":
            others = [each for each in others if each.kind_id == resource.kind_id]
            live.replace(resource.kind_id, others)
            there = {each: one for each, one in there.items() if each[0] != resource.kind_id}
            there.update((identity(each), each) for each in others)
        elif action == "uncover":
            live.uncover()
            laid = None
        if action in {"lay over", "delete"}:
            new = resource if action == "lay over" else None
            live.lay_over(*key, new)
            laid = key, new
        elif laid is not None:
            # A review lasts no longer than one event; the cluster's events come between reviews.
            live.uncover()
            laid = None
        if asks:
            seen = dict(there)
            if laid is not None:
                seen.pop(laid[0], None)
                if laid[1] is not None:
                    seen[laid[0]] = laid[1]
            assert answers(live) == answers(fresh(seen))
    live.uncover()
    assert answers(live) == answers(fresh(there))
    assert live.count == len(there)
    assert [each.object for each in live.everything()] == [
        there[key].object for key in sorted(there)
    ]


def test_an_answer_is_kept_until_what_it_asked_for_changes() -> None:
    live = LiveInventory(complete=True)
    asked: list[str] = []

    def count(inventory: Inventory, namespace: str) -> int:
        asked.append(namespace)
        return len(inventory.of_kind("Service", namespace))

    live.put(made("Service", "shop", "x", {"selector": {"app": "a"}}))
    assert [live.once(count, "shop"), live.once(count, "shop")] == [1, 1]
    live.put(made("Service", "bank", "x", {"selector": {"app": "a"}}))
    live.put(made("Deployment.apps", "shop", "x", spec_of("Deployment.apps", {}, [])))
    live.put(made("Service", "shop", "x", {"selector": {"app": "a"}}))
    assert live.once(count, "shop") == 1
    assert asked == ["shop"]
    live.put(made("Service", "shop", "y", {}))
    assert live.once(count, "shop") == 2
    assert asked == ["shop", "shop"]


def test_answers_do_not_pile_up() -> None:
    live = LiveInventory(complete=True)
    calls = []

    def say(inventory: Inventory, word: str) -> str:
        calls.append(word)
        return word

    for number in range(25_000):
        assert live.once(say, str(number)) == str(number)
    live.once(say, "24999")
    live.once(say, "0")
    assert calls.count("24999") == 1
    assert calls.count("0") == 2


def test_what_comes_from_files_and_from_a_cluster_stands_at_different_places() -> None:
    one = made("Service", "shop", "x", {})
    other = made("Service", "bank", "x", {})
    again = made("Service", "shop", "x", {"selector": {"app": "b"}})
    assert one.place == again.place
    assert one.place != other.place
    assert Resource(one.object, "a.yaml").place != one.place


def test_a_kind_that_cannot_be_read_is_no_absent_kind() -> None:
    live = LiveInventory(complete=True)
    live.cannot_read("Service", "the cluster refuses to list them")
    for ask in (
        lambda: live.get("Service", "shop", "x"),
        lambda: live.of_kind("Service"),
        lambda: live.lookup("Service", "shop", label_keys, "app"),
    ):
        with pytest.raises(
            CannotBeRead, match="Service objects are not known: the cluster refuses"
        ):
            ask()
    assert "Service" in live.kinds_in("shop")
    assert list(live.workloads("shop")) == []
    live.cannot_read("Deployment.apps", "the cluster refuses to list them")
    with pytest.raises(CannotBeRead, match="Deployment"):
        live.workloads("shop")
    live.can_read("Service")
    live.can_read("Deployment.apps")
    assert live.get("Service", "shop", "x") is None


def test_a_rule_that_asks_for_such_a_kind_answers_unknown() -> None:
    replicated = Resource(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "api"}},
                "template": {
                    "metadata": {"labels": {"app": "api"}},
                    "spec": {"containers": [{"name": "api", "image": "api"}]},
                },
            },
        }
    )
    live = LiveInventory(complete=True)
    policy = Policy({"only": ["pdb"]})
    report = engine.judge([replicated], policy, live, today="2026-01-01")
    assert [each.status for each in report.findings] == ["violation"]
    live.cannot_read("PodDisruptionBudget.policy", "the cluster refuses to list them")
    report = engine.judge([replicated], policy, live, today="2026-01-01")
    assert report.crashes == ()
    assert [(each.rule, each.status) for each in report.findings] == [("pdb", "unknown")]
    assert "PodDisruptionBudget.policy objects are not known" in report.findings[0].message


def test_other_kinds_may_become_workloads() -> None:
    batch = made("Batch.example.com", "shop", "x", spec_of("Batch.example.com", {"app": "a"}, []))
    live = LiveInventory([Resource(batch.object)], complete=True)
    assert len(live.workloads("shop")) == 0
    assert live.once(of_app, "shop") == []
    live.set_pod_specs(POD_SPECS)
    assert [each.resource.name for each in live.workloads("shop")] == ["x"]
    assert live.once(of_app, "shop") == [batch.object]
    live.set_pod_specs({})
    assert len(live.workloads("shop")) == 0


def test_the_owner_of_an_object_is_the_controller_with_the_uid() -> None:
    deployment = Resource(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "api", "namespace": "shop", "uid": "1"},
        }
    )
    reference = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "api",
        "uid": "1",
        "controller": True,
    }

    def owned(**changes: object) -> Resource:
        references = [{**reference, **changes}]
        metadata = {"name": "api-1", "namespace": "shop", "ownerReferences": references}
        return Resource({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata})

    live = LiveInventory([deployment], complete=True)
    owner = live.owner_of(owned())
    assert owner is not None
    assert owner.name == "api"
    assert live.owner_of(owned(uid="2")) is None
    assert live.owner_of(owned(controller=False)) is None
    assert live.owner_of(owned(name="web")) is None
    assert live.owner_of(deployment) is None
