"""The engine: what it is given stays as it is, a broken rule harms no other, and no shape breaks a rule."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.rules import catalogue
from tidewaiter.rules.engine import CROSS, LOCAL, evaluate, judge
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = "2026-11-23"
META = {"name": "api", "namespace": "payments", "labels": {"app": "api"}}
POD = {
    "serviceAccountName": "api",
    "automountServiceAccountToken": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "fsGroup": 1000,
        "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}],
        "seccompProfile": {"type": "RuntimeDefault"},
        "appArmorProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"type": "container_t"},
    },
    "initContainers": [
        {
            "name": "proxy",
            "image": "proxy:1",
            "restartPolicy": "Always",
            "ports": [{"containerPort": 9}],
        },
    ],
    "containers": [
        {
            "name": "api",
            "image": "example.com/api:1.2@sha256:" + "a" * 64,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/api"],
            "args": ["--port", "8080"],
            "env": [
                {"name": "A", "value": "b"},
                {"name": "P", "valueFrom": {"secretKeyRef": {"name": "api", "key": "p"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "api"}}],
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP", "hostPort": 8080}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            "securityContext": {
                "privileged": False,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                "procMount": "Default",
            },
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "timeoutSeconds": 2},
            "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 5},
            "startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 30},
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "data", "mountPath": "/d"},
            ],
        }
    ],
    "volumes": [
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "host", "hostPath": {"path": "/var/run/docker.sock"}},
        {"name": "all", "projected": {"sources": [{"secret": {"name": "api"}}]}},
    ],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "api"}}}
    ],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {}}}
            ]
        }
    },
    "imagePullSecrets": [{"name": "api"}],
    "terminationGracePeriodSeconds": 30,
}
TEMPLATE = {"metadata": {"labels": {"app": "api"}, "annotations": {"a": "b"}}, "spec": POD}
SELECTOR = {"matchLabels": {"app": "api"}}
PEER = {"podSelector": SELECTOR, "namespaceSelector": {"matchExpressions": []}}
ROLLING = {"maxUnavailable": "25%", "maxSurge": 1}
RBAC = "rbac.authorization.k8s.io"


def _object(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": META, **fields}


SEEDS: list[dict[str, Any]] = [
    _object(
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 3,
            "selector": SELECTOR,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": ROLLING},
            "template": TEMPLATE,
        },
    ),
    _object(
        "apps/v1",
        "StatefulSet",
        spec={
            "replicas": 2,
            "serviceName": "api",
            "selector": SELECTOR,
            "updateStrategy": {"type": "RollingUpdate"},
            "template": TEMPLATE,
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {"resources": {"requests": {"storage": "1Gi"}}},
                }
            ],
        },
    ),
    _object("apps/v1", "DaemonSet", spec={"selector": SELECTOR, "template": TEMPLATE}),
    _object("v1", "Pod", spec=POD),
    _object(
        "batch/v1",
        "CronJob",
        spec={"schedule": "@daily", "jobTemplate": {"spec": {"template": TEMPLATE}}},
    ),
    _object(
        "argoproj.io/v1alpha1",
        "Rollout",
        spec={"workloadRef": {"name": "api"}, "template": TEMPLATE},
    ),
    _object(
        "v1",
        "Service",
        spec={
            "type": "LoadBalancer",
            "selector": {"app": "api"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30000}],
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "externalIPs": ["1.2.3.4"],
        },
    ),
    _object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": SELECTOR,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [PEER], "ports": [{"port": "http", "endPort": 9000}]}],
            "egress": [
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]},
                {"to": [PEER]},
            ],
        },
    ),
    _object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
            "minReplicas": 2,
            "maxReplicas": 9,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
                },
                {
                    "type": "Pods",
                    "pods": {"metric": {"name": "rps"}, "target": {"averageValue": "100"}},
                },
            ],
            "behavior": {
                "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"value": 1}]}
            },
        },
    ),
    _object(
        "policy/v1",
        "PodDisruptionBudget",
        spec={
            "selector": SELECTOR,
            "maxUnavailable": "50%",
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    ),
    _object(
        "networking.k8s.io/v1",
        "Ingress",
        spec={
            "tls": [{"hosts": ["a.example.com"], "secretName": "api"}],
            "defaultBackend": {"service": {"name": "api", "port": {"number": 80}}},
            "rules": [
                {
                    "host": "a.example.com",
                    "http": {
                        "paths": [
                            {"backend": {"service": {"name": "api", "port": {"name": "http"}}}}
                        ]
                    },
                }
            ],
        },
    ),
    _object(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        spec={
            "listeners": [
                {"name": "web", "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "a"}]}}
            ]
        },
    ),
    _object(
        f"{RBAC}/v1",
        "Role",
        rules=[
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"]}
        ],
    ),
    _object(
        f"{RBAC}/v1",
        "ClusterRoleBinding",
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        subjects=[{"kind": "ServiceAccount", "name": "api", "namespace": "payments"}],
    ),
    _object("v1", "Secret", data={"a": "Yg=="}, stringData={"c": "d"}, type="Opaque"),
    _object("v1", "ConfigMap", data={"a": "b"}, binaryData={"c": "ZA=="}),
    _object(
        "v1", "ServiceAccount", automountServiceAccountToken=False, imagePullSecrets=[{"name": "a"}]
    ),
    _object("v1", "Namespace", spec={"finalizers": ["kubernetes"]}),
    _object("v1", "PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "1Gi"}}}),
    _object("v1", "ResourceQuota", spec={"hard": {"pods": "10"}}),
    _object("v1", "LimitRange", spec={"limits": [{"type": "Container", "default": {"cpu": "1"}}]}),
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.sampled_from(
        ["", "*", "a", "0", "-1", "25%", "101%", "http", "1Gi", "/", "0.0.0.0/0", "/items/0"]
    )
    | st.text(max_size=8)
)
KEYS = st.sampled_from(["name", "spec", "labels", "matchLabels", "metadata", "port", "", "a/b~c"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in pairs:
        if path or key not in {"apiVersion", "kind"}:
            yield from _paths(child, (*path, key))


PATHS = [list(_paths(seed)) for seed in SEEDS]


@st.composite
def broken_objects(draw: st.DrawFn) -> list[dict[str, Any]]:
    """All kinds of one namespace, with values of any type in random places of some of them."""
    objects = copy.deepcopy(SEEDS)
    for _ in range(draw(st.integers(1, 6))):
        which = draw(st.integers(0, len(SEEDS) - 1))
        path = draw(st.sampled_from(PATHS[which]))
        place: Any = objects[which]
        for key in path[:-1]:
            inside = isinstance(place, dict) or (
                isinstance(place, list) and isinstance(key, int) and key < len(place)
            )
            place = place.get(key) if isinstance(place, dict) else place[key] if inside else None
        if isinstance(place, dict) or (
            isinstance(place, list) and isinstance(path[-1], int) and path[-1] < len(place)
        ):
            place[path[-1]] = draw(JSON)
    return objects


ALL_RULES = Policy({"profiles": ["all"]})


def resources_of(objects: list[dict[str, Any]]) -> list[Resource]:
    return [Resource(obj, "all.yaml", index) for index, obj in enumerate(objects)]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(broken_objects(), st.booleans())
def test_no_shape_breaks_a_rule_and_nothing_is_written_to(
    objects: list[dict[str, Any]], complete: bool
) -> None:
    before = repr(objects)
    resources = resources_of(objects)
    report = evaluate(resources, ALL_RULES, Inventory(resources, complete=complete), today=TODAY)
    assert [f"{crash.rule} on {crash.resource}: {crash.error}" for crash in report.crashes] == []
    assert repr(objects) == before
    for finding in report.findings:
        assert finding.message
        assert finding.pointer == "" or finding.pointer.startswith("/")


def test_the_same_input_gives_the_same_report() -> None:
    reports = []
    for _ in range(2):
        resources = resources_of(copy.deepcopy(SEEDS))
        report = evaluate(
            resources,
            Policy({"profiles": ["all"]}),
            Inventory(resources, complete=True),
            today=TODAY,
        )
        reports.append(
            [(f.rule, f.pointer, f.message, f.status, repr(f.resource)) for f in report.findings]
        )
    assert reports[0] == reports[1]
    assert reports[0]


def test_local_and_cross_resource_rules_together_are_all_rules() -> None:
    resources = resources_of(SEEDS)
    inventory = Inventory(resources, complete=True)

    def found(rules: str) -> list[tuple[str, str, str]]:
        report = judge(resources, ALL_RULES, inventory, today=TODAY, rules=rules)
        return sorted((f.rule, f.pointer, f.message) for f in report.findings)

    assert sorted(found(LOCAL) + found(CROSS)) == found("all")


def _broken_no_naked_pod(resource: Resource, context: object) -> Iterator[Any]:
    raise RuntimeError("broken on purpose")
    yield


def test_a_rule_that_raises_is_a_crash_and_unknown_and_the_others_still_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue.load("no-naked-pod"), "check_function", _broken_no_naked_pod)
    text = json.dumps(
        _object(
            "v1",
            "Pod",
            spec={"containers": [{"name": "a", "securityContext": {"privileged": True}}]},
        )
    )
    resources = read_resources(text.encode(), "pod.json", explicit=True).resources
    policy = Policy({"only": ["no-naked-pod", "no-privileged"]})
    report = evaluate(resources, policy, Inventory(resources, complete=True), today=TODAY)
    (crash,) = report.crashes
    assert crash.rule == "no-naked-pod"
    assert crash.error == "RuntimeError: broken on purpose"
    assert crash.resource is resources[0]
    assert {(found.rule, found.status) for found in report.findings} == {
        ("no-naked-pod", "unknown"),
        ("no-privileged", "violation"),
    }


def test_a_policy_sets_severity_and_overrides_apply_to_their_objects() -> None:
    pods = [_object("v1", "Pod", spec={"containers": []}) for _ in range(2)]
    pods[1] = {**pods[1], "metadata": {"name": "web"}}
    resources = resources_of(pods)
    policy = Policy(
        {
            "only": ["no-naked-pod"],
            "rules": {"no-naked-pod": {"severity": "info"}},
            "overrides": [
                {"match": {"names": ["web"]}, "rules": {"no-naked-pod": {"severity": "error"}}}
            ],
        }
    )
    report = evaluate(resources, policy, Inventory(resources, complete=True), today=TODAY)
    assert {found.resource.name: found.severity for found in report.findings if found.resource} == {
        "api": "info",
        "web": "error",
    }


def test_a_policy_that_outlives_midnight_judges_by_the_new_day() -> None:
    policy, inventory = Policy(), Inventory((), complete=True)
    settings = policy.settings()
    before = policy.step(settings, "image-digest", inventory, "2026-11-25")
    after = policy.step(settings, "image-digest", inventory, "2026-11-26")
    assert (before.context.today, after.context.today) == ("2026-11-25", "2026-11-26")
