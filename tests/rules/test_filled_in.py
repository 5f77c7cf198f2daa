"""Objects of a cluster are judged as their author wrote them, as far as that can be told."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tidewaiter.rules.engine import judge
from tidewaiter.rules.filled_in import stored
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.as_written import LAST_APPLIED, as_written
from tidewaiter.rules.policy.compiled import Policy

Object = dict[str, Any]
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
OWNED_ROLLING: Object = {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}}
AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "api", "namespace": "shop"},
    "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}},
}


def manifest(**spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "api"}}, "template": template, **spec},
    }


def in_cluster(written: Object, *managers: Object, applied: bool = False) -> Object:
    """Return a manifest as the API server has it."""
    value = copy.deepcopy(written)
    for key, default in (("strategy", ROLLING), ("replicas", 1), ("revisionHistoryLimit", 10)):
        value["spec"].setdefault(key, default)
    if managers:
        value["metadata"]["managedFields"] = list(managers)
    if applied:
        value["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(written)}
    return value


def manager(operation: str, spec: Object, **more: Any) -> Object:
    return {"manager": "x", "operation": operation, "fieldsV1": {"f:spec": spec}, **more}


CREATED = manager("Update", {"f:strategy": OWNED_ROLLING, "f:replicas": {}})
APPLIED = manager("Apply", {"f:template": {}})
APPLIED_WHOLE = manager("Apply", {"f:strategy": OWNED_ROLLING, "f:replicas": {}})


def statuses(value: Object, rule: str, *others: Object) -> list[str]:
    resource = stored(value)
    inventory = Inventory([resource, *map(stored, others)], complete=True)
    found = judge([resource], Policy({"only": [rule]}), inventory, today="2026-11-25").findings
    assert all(each.resource is resource for each in found)
    return [each.status for each in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (in_cluster(manifest(), applied=True), ["violation"]),
        (in_cluster(manifest(strategy=ROLLING), applied=True), []),
        (in_cluster(manifest(), APPLIED), ["violation"]),
        (in_cluster(manifest(strategy=ROLLING), APPLIED_WHOLE), []),
        (in_cluster(manifest(), CREATED), ["unknown"]),
        (in_cluster(manifest(), CREATED, APPLIED_WHOLE), []),
        (in_cluster(manifest()), []),
        (manifest(), ["violation"]),
    ],
    ids=[
        "applied without",
        "applied with",
        "applied by the server without",
        "applied by the server with",
        "created",
        "created, then applied",
        "no record",
        "a manifest",
    ],
)
def test_whether_the_strategy_was_written(value: Object, expected: list[str]) -> None:
    assert statuses(value, "update-strategy") == expected


def test_the_replicas_of_an_autoscaler_are_not_the_authors() -> None:
    scaler = manager("Update", {"f:replicas": {}}, subresource="scale")
    scaled = in_cluster(manifest(replicas=5), APPLIED, scaler)
    assert "replicas" not in as_written(scaled)["spec"]
    assert statuses(scaled, "hpa-target", AUTOSCALER) == []
    by_hand = in_cluster(manifest(replicas=5), APPLIED_WHOLE)
    assert statuses(by_hand, "hpa-target", AUTOSCALER) == ["violation"]
    assert statuses(in_cluster(manifest(), CREATED), "hpa-target", AUTOSCALER) == ["unknown"]


def test_what_kubectl_keeps_is_no_part_of_the_object() -> None:
    value = in_cluster(manifest(), APPLIED, applied=True)
    before = copy.deepcopy(value)
    assert as_written(value)["metadata"] == {"name": "api", "namespace": "shop"}
    assert value == before, "the object itself stays as it is"


@pytest.mark.parametrize("annotation", ["", "{", "[]", "[" * 5000, "null", 7])
@pytest.mark.parametrize(
    "fields", [None, 3, [1], [{"fieldsV1": []}], [{"fieldsV1": {"f:spec": 1}}]]
)
def test_records_of_any_shape_are_read(annotation: object, fields: object) -> None:
    value = in_cluster(manifest())
    value["metadata"] |= {"annotations": {LAST_APPLIED: annotation}, "managedFields": fields}
    assert as_written(value)["kind"] == "Deployment"
