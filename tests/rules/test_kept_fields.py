"""What is kept of a cluster's objects is enough for every rule, and holds no secret."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidewaiter.rules.engine
from tidewaiter.rules import engine
from tidewaiter.rules.inventory import Inventory, namespace_of
from tidewaiter.rules.kept_fields import (
    LEFT_OUT,
    READ_GROUPS,
    is_followed,
    kept,
    kinds_read_whole,
)
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy

ROOT = Path(__file__).parents[2]
CHECKS = ROOT / "tests" / "rules" / "checks"
SOURCES = Path(tidewaiter.rules.engine.__file__).parent
TODAY = "2026-01-01"
SECRET = "hunter2-S3cr3t-9f8e7d6c5b4a"


def sets() -> Iterator[Any]:
    """Return every set of manifests among the fixtures of a rule, and the example namespaces."""
    for folder in sorted(CHECKS.glob("*/*")):
        yield pytest.param(sorted(folder.iterdir()), id=f"{folder.parent.name}-{folder.name}")
    for folder in sorted((ROOT / "deploy" / "examples").iterdir()):
        if folder.is_dir():
            yield pytest.param([folder], id=folder.name)


def read(path: Path) -> list[Resource]:
    files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    found: dict[Any, Resource] = {}
    for file in files:
        for one in read_resources(file.read_bytes(), str(file), explicit=True).resources:
            # A cluster holds each object once. What made it is no matter here.
            metadata = {**(one.object.get("metadata") or {})}
            if isinstance(metadata, dict):
                metadata.pop("ownerReferences", None)
            resource = Resource({**one.object, "metadata": metadata})
            found.setdefault((one.kind_id, namespace_of(one), one.name), resource)
    return [found[key] for key in sorted(found)]


def findings(resource: Resource, policy: Policy, inventory: Inventory) -> list[tuple[str, ...]]:
    report = engine.judge([resource], policy, inventory, today=TODAY, rules=engine.CROSS)
    return [(each.rule, each.status, each.pointer, each.message) for each in report.findings]


@pytest.mark.parametrize("paths", list(sets()))
def test_no_rule_finds_anything_else_in_what_is_kept(paths: Iterable[Path]) -> None:
    policy = Policy({"profiles": ["all"]})
    for path in paths:
        resources = read(path)
        whole = Inventory(resources, complete=True)
        live = LiveInventory(complete=True)
        for each in resources:
            content = kept(each.object)
            assert content is not None
            live.put(Resource(content))
        for each in resources:
            live.lay_over(each.kind_id, each.namespace, each.name, each)
            assert findings(each, policy, live) == findings(each, policy, whole), (path, each)
            live.uncover()


def test_the_groups_that_rules_read_are_all_known() -> None:
    """The kinds that a rule names stand in its source as `Kind.group`, or the group as `.group`."""
    named = set()
    for file in SOURCES.rglob("*.py"):
        if file.parent.name in {"admission_policy", "policy", "schema"} or file.name in {
            "operators.py",
            "kept_fields.py",
            "_examples.py",
            "_index.py",
        }:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.fullmatch(r"(?:[A-Z]\w*|postgresql)?((?:\.[a-z0-9-]+){2,})", node.value)
                if found:
                    named.add(found[1][1:])
    ends = {"credentials.postgresql.acid.zalan.do", "svc.cluster.local"}
    unknown = {group for group in named - READ_GROUPS - ends if not group.endswith("k8s.io")}
    assert unknown == set()


def secretive(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": "x",
            "namespace": "shop",
            "managedFields": [{"manager": SECRET}],
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": SECRET,
                "db-password": SECRET,
                "note": f"postgres://app:{SECRET}@db/shop",
            },
        },
        "status": {"token": SECRET},
        **fields,
    }


POD = {
    "containers": [
        {
            "name": "api",
            "image": "api",
            "args": [f"--token={SECRET}"],
            "command": ["run", SECRET],
            "env": [{"name": "DB_PASSWORD", "value": SECRET}],
            "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "A", "value": SECRET}]}},
        }
    ],
    "initContainers": [{"name": "init", "env": [{"name": "TOKEN", "value": SECRET}]}],
}


@pytest.mark.parametrize(
    "obj",
    [
        secretive("v1", "Secret", data={"key": SECRET}, stringData={"other": SECRET}),
        secretive(
            "v1",
            "ConfigMap",
            data={
                "PASSWORD": SECRET,
                "url": f"postgres://app:{SECRET}@db:5432/shop?pool_max_conns=4",
                "dsn": f"host=db dbname=shop user=app password={SECRET}",
                "jdbc": f"jdbc:postgresql://db/shop?user=app&password={SECRET}",
                "application.yaml": f"db:\n  password: {SECRET}\n  maximum-pool-size: 4\n",
                "pool": f"maximum-pool-size: 4, password: {SECRET}",
                "flags": f"-Dpassword={SECRET}",
            },
            binaryData={"key": SECRET},
        ),
        secretive("apps/v1", "Deployment", spec={"template": {"spec": POD}}),
        secretive("apps/v1", "DaemonSet", spec={"template": {"spec": POD}}),
        secretive(
            "batch/v1", "CronJob", spec={"jobTemplate": {"spec": {"template": {"spec": POD}}}}
        ),
        secretive("v1", "Pod", spec=POD),
        secretive("example.com/v1", "Widget", spec={"password": SECRET, "note": SECRET}),
        secretive(
            "keda.sh/v1alpha1",
            "ScaledObject",
            spec={"triggers": [{"metadata": {"password": SECRET, "url": f"amqp://a:{SECRET}@mq"}}]},
        ),
    ],
    ids=lambda obj: obj["kind"],
)
def test_no_secret_is_kept(obj: dict[str, Any]) -> None:
    before = json.dumps(obj)
    content = kept(obj)
    assert content is not None
    assert SECRET not in json.dumps(content)
    assert json.dumps(obj) == before
    assert content["metadata"]["name"] == "x"


def owned(kind: str, by: str, api_version: str = "apps/v1", **fields: Any) -> dict[str, Any]:
    owner = {"apiVersion": api_version, "kind": by, "name": "x", "uid": "1", "controller": True}
    metadata = {"name": "x-1", "namespace": "shop", "uid": "2", "ownerReferences": [owner]}
    versions = {"Pod": "v1", "Job": "batch/v1"}
    pod = {"containers": [{"name": "api"}]}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    spec = pod if kind == "Pod" else {"template": template}
    return {
        "apiVersion": versions.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        **fields,
    }


def test_what_another_object_made_is_kept_for_its_owner_only() -> None:
    assert kept(owned("Pod", "ReplicaSet")) is None
    assert kept(owned("Pod", "Job", "batch/v1")) is None
    assert kept(owned("Pod", "Batch", "example.com/v1"), {"Batch.example.com": "/spec"}) is None
    for obj in (owned("ReplicaSet", "Deployment"), owned("Job", "CronJob", "batch/v1")):
        content = kept(obj)
        assert content is not None
        assert Resource(content).workload is None
        assert content["metadata"]["ownerReferences"] == obj["metadata"]["ownerReferences"]
        assert content["metadata"]["uid"] == "2"


def test_pods_of_an_operator_are_workloads_of_their_own_until_they_end() -> None:
    content = kept(owned("Pod", "Cluster", "postgresql.cnpg.io/v1"))
    assert content is not None
    assert Resource(content).workload is not None
    ended = kept(owned("Pod", "Cluster", "postgresql.cnpg.io/v1", status={"phase": "Succeeded"}))
    assert ended is not None
    assert Resource(ended).workload is None


def test_a_finished_job_makes_no_pods() -> None:
    job = owned("Job", "Widget", "example.com/v1")
    content = kept(job)
    assert content is not None
    assert Resource(content).workload is not None
    content = kept({**job, "status": {"completionTime": "2026-01-01T00:00:00Z"}})
    assert content is not None
    assert Resource(content).workload is None


def test_custom_workloads_of_the_policy_keep_their_pods() -> None:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": POD}
    batch = secretive("example.com/v1", "Batch", spec={"run": {"template": template}})
    pod_specs = {"Batch.example.com": "/spec/run/template/spec"}
    content = kept(batch, pod_specs)
    assert content is not None
    workload = Resource(content, pod_specs=pod_specs).workload
    assert workload is not None
    assert workload.pod_labels == {"app": "x"}
    assert [each.name for each in workload.containers] == ["init", "api"]


def test_definitions_keep_their_schemas_without_texts() -> None:
    schema = {
        "type": "object",
        "description": "a long text",
        "properties": {
            "description": {"type": "string", "description": "another"},
            "mode": {"enum": ["a", "b"], "default": {"description": "kept"}},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [{}],
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "versions": [version], "conversion": {}},
    }
    content = kept(definition)
    assert content is not None
    properties = {
        "description": {"type": "string"},
        "mode": {"enum": ["a", "b"], "default": {"description": "kept"}},
    }
    slim = {"type": "object", "properties": properties}
    assert content["spec"] == {
        "group": "example.com",
        "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": slim}}],
    }


def test_kinds_that_the_policy_reads_are_kept_whole() -> None:
    parameters = {"apiVersion": "v1", "kind": "ConfigMap"}
    policy_object = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "x"},
        "spec": {"paramKind": parameters},
    }
    row = {"object": policy_object, "file": "p.yaml", "document": 0, "prefix": ""}
    whole = kinds_read_whole(Policy({"admissionObjects": [row]}))
    assert whole == {"Namespace", "ConfigMap"}
    content = kept(secretive("v1", "ConfigMap", data={"long": "x\n" * 9}), whole=whole)
    assert content is not None
    assert content["data"] == {"long": "x\n" * 9}
    assert "managedFields" not in content["metadata"]


def test_busy_kinds_are_not_followed() -> None:
    for kind in ("Event", "Lease.coordination.k8s.io", "PodMetrics.metrics.k8s.io"):
        assert not is_followed(kind)
    assert is_followed("Deployment.apps")
    assert is_followed("Widget.example.com")
    assert "Secret" not in LEFT_OUT


KEYS = st.sampled_from(
    [
        "metadata",
        "spec",
        "template",
        "containers",
        "env",
        "data",
        "annotations",
        "labels",
        "ownerReferences",
        "controller",
        "versions",
        "schema",
        "status",
        "name",
        "x",
    ]
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=9), st.just("x" * 9000)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)
KINDS = st.sampled_from(
    [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "CronJob"),
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("keda.sh/v1", "ScaledObject"),
        ("example.com/v1", "Widget"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(KINDS, st.dictionaries(KEYS, VALUES, max_size=5))
def test_whatever_an_object_holds_it_is_kept_or_left_out(
    kind: tuple[str, str], content: dict[str, Any]
) -> None:
    obj = {"apiVersion": kind[0], "kind": kind[1], **content}
    before = json.dumps(obj)
    found = kept(obj)
    assert json.dumps(obj) == before
    if found is not None:
        LiveInventory().put(Resource(found))
        assert kept(found) is not None or kind[1] == "Pod"


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"kind": 3, "metadata": "x"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": []}},
        {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [3, {"ports": 7}]}},
        {"apiVersion": "v1", "kind": "Secret", "data": ["x"], "metadata": {"ownerReferences": [3]}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": 3}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": {"a": None}}},
    ],
)
def test_odd_shapes_are_kept_without_a_word(obj: dict[str, Any]) -> None:
    content = kept(obj)
    assert content is not None
    LiveInventory().put(Resource(content))
