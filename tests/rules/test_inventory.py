"""The inventory answers as a plain search over all objects would, and in the objects' order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.inventory import Inventory, namespace_of, pod_selector
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.manifest.selector import parse_selector

KEYS = st.sampled_from(["app", "tier", "zone"])
VALUES = st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=3)
NAMESPACES = st.sampled_from([None, "default", "shop"])
EXPRESSIONS = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        KEYS,
        st.sampled_from(["In", "NotIn"]),
        st.lists(VALUES, min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        KEYS,
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)
SELECTORS = st.builds(
    lambda labels, expressions: {"matchLabels": labels, "matchExpressions": expressions},
    LABELS,
    st.lists(EXPRESSIONS, max_size=2),
)


def _object(api_version: str, kind: str, namespace: str | None, spec: dict[str, Any]) -> Resource:
    metadata = {"name": "x", **({"namespace": namespace} if namespace else {})}
    return Resource({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})


def _deployment(namespace: str | None, labels: dict[str, str]) -> Resource:
    template = {"metadata": {"labels": labels}, "spec": {"containers": []}}
    return _object("apps/v1", "Deployment", namespace, {"template": template})


def _budget(namespace: str | None, selector: dict[str, Any]) -> Resource:
    return _object("policy/v1", "PodDisruptionBudget", namespace, {"selector": selector})


def _service(namespace: str | None, selector: dict[str, str]) -> Resource:
    return _object("v1", "Service", namespace, {"selector": selector})


def _named_apart(resources: list[Resource]) -> list[Resource]:
    return [
        Resource({**one.object, "metadata": {**one.object["metadata"], "name": f"x{number}"}})
        for number, one in enumerate(resources)
    ]


RESOURCES = st.lists(
    st.one_of(
        st.builds(_deployment, NAMESPACES, LABELS),
        st.builds(_budget, NAMESPACES, SELECTORS),
        st.builds(_service, NAMESPACES, LABELS),
    ),
    max_size=25,
).map(_named_apart)


@given(RESOURCES)
def test_selecting_finds_what_a_search_finds(resources: list[Resource]) -> None:
    inventory = Inventory(resources, complete=True)
    for resource in resources:
        workload = resource.workload
        if workload is None:
            continue
        for kind_id in ("PodDisruptionBudget.policy", "Service"):
            expected = [
                other
                for other in resources
                if other.kind_id == kind_id
                and namespace_of(other) == namespace_of(resource)
                and (selector := pod_selector(other)) is not None
                and selector.matches(workload.pod_labels)
            ]
            assert list(inventory.selecting(kind_id, workload)) == expected


@given(RESOURCES, SELECTORS)
def test_workloads_matching_finds_what_a_search_finds(
    resources: list[Resource], selector: dict[str, Any]
) -> None:
    inventory = Inventory(resources, complete=True)
    parsed = parse_selector(selector)
    for namespace in ("default", "shop"):
        expected = [
            resource.workload
            for resource in resources
            if resource.workload is not None
            and namespace_of(resource) == namespace
            and parsed.matches(resource.workload.pod_labels)
        ]
        assert list(inventory.workloads_matching(namespace, parsed)) == expected


def test_an_object_without_a_namespace_is_found_in_default() -> None:
    resource = _deployment(None, {"app": "a"})
    inventory = Inventory([resource], complete=False)
    assert inventory.get("Deployment.apps", "default", "x") is resource
    assert inventory.get("Deployment.apps", None, "x") is resource
    assert inventory.get("Deployment.apps", "shop", "x") is None
    assert inventory.find("Deployment.apps", "x") is resource


def test_empty_selectors_pick_as_their_kind_says() -> None:
    workload = _deployment("shop", {"app": "a"})
    policy = _object("networking.k8s.io/v1", "NetworkPolicy", "shop", {"podSelector": {}})
    budget = _budget("shop", {})
    old = _object("policy/v1beta1", "PodDisruptionBudget", "shop", {"selector": {}})
    service = _service("shop", {})
    inventory = Inventory([workload, policy, budget, old, service], complete=True)
    assert workload.workload is not None
    assert inventory.selecting("NetworkPolicy.networking.k8s.io", workload.workload) == [policy]
    assert inventory.selecting("PodDisruptionBudget.policy", workload.workload) == [budget]
    assert inventory.selecting("Service", workload.workload) == []


def test_exact_copies_answer_once_and_variants_each() -> None:
    first, copy = _deployment("shop", {"app": "a"}), _deployment("shop", {"app": "a"})
    variant = _deployment("shop", {"app": "a", "tier": "b"})
    inventory = Inventory([first, copy, variant, copy], complete=True)
    assert list(inventory.workloads("shop")) == [first.workload, variant.workload]
    assert list(inventory.of_kind("Deployment.apps", "shop")) == [first, copy, variant, copy]


def test_lookup_finds_by_what_objects_are_about() -> None:
    budgets = _named_apart([_budget("shop", {"a": 1}), _budget("other", {"a": 1})])
    inventory = Inventory(budgets, complete=True)

    def keys(resource: Resource) -> tuple[str, ...]:
        return tuple(resource.spec["selector"])

    kind = "PodDisruptionBudget.policy"
    assert inventory.lookup(kind, "shop", keys, "a") == [budgets[0]]
    assert inventory.lookup(kind, None, keys, "a") == budgets
    assert list(inventory.lookup(kind, "shop", keys, "b")) == []


def test_once_computes_an_answer_once() -> None:
    calls: list[str] = []

    def count(inventory: Inventory, namespace: str) -> int:
        calls.append(namespace)
        return len(inventory.workloads(namespace))

    inventory = Inventory([_deployment("shop", {})], complete=True)
    assert [inventory.once(count, "shop"), inventory.once(count, "shop")] == [1, 1]
    assert inventory.once(count, "other") == 0
    assert calls == ["shop", "other"]
