"""No value of an object gets into a log, a metric or a trace; of a Secret, not even into an answer."""

from __future__ import annotations

import base64
import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.webhook.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow

SECRET = "hunter2-S3cr3t-AKIAIOSFODNN7EXAMPLE"
ENCODED = base64.b64encode(SECRET.encode()).decode()

CONTAINER = {
    "name": "app",
    "image": "registry.example/app:1.0",
    "command": ["sh", "-c", "run"],
    "args": ["--password=x"],
    "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "URL", "value": "postgres://u:p@h/d"}],
    "envFrom": [{"secretRef": {"name": "x"}}],
    "ports": [{"name": "http", "containerPort": 80, "hostPort": 80}],
    "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "securityContext": {
        "privileged": True,
        "capabilities": {"add": ["NET_ADMIN"]},
        "seccompProfile": {"type": "Unconfined"},
    },
    "livenessProbe": {
        "httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "a", "value": "b"}]},
        "periodSeconds": 1,
    },
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
}
POD_SPEC = {
    "containers": [CONTAINER],
    "volumes": [{"name": "v", "hostPath": {"path": "/x"}}],
    "serviceAccountName": "default",
    "nodeSelector": {"a": "b"},
    "schedulerName": "x",
    "restartPolicy": "Always",
}
OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Pod", "spec": POD_SPEC},
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "x"}},
            "strategy": {"type": "x"},
            "template": {
                "metadata": {"labels": {"app": "x"}, "annotations": {"a": "b"}},
                "spec": POD_SPEC,
            },
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "data": {"password": "x", "token": "eA=="},
        "stringData": {"password": "x"},
    },
    {"apiVersion": "v1", "kind": "ConfigMap", "data": {"password": "x", "DB_URL": "x"}},
    {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {
            "type": "NodePort",
            "selector": {"a": "b"},
            "ports": [{"port": 80, "targetPort": "x"}],
        },
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "spec": {
            "rules": [{"host": "*.example.com"}],
            "tls": [{"hosts": ["a"], "secretName": "x"}],
        },
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    },
    {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "spec": {"source": {"repoURL": "x", "targetRevision": "HEAD"}},
    },
    {"apiVersion": "example.com/v1", "kind": "Game", "spec": {"password": "x"}},
]
HIDING = {"Secret", "ConfigMap", "Game"}
"""Kinds whose values stand in no answer either, labels apart; of others an answer quotes what is wrong."""


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    folder = tmp_path_factory.mktemp("secrets")
    policy = folder / "tidewaiter.yaml"
    policy.write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: all}\nspec: {profile: all}\n"
    )
    with running(folder, "--log-level", "debug") as server:
        yield server


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: value["kind"])
@pytest.mark.parametrize("secret", [SECRET, ENCODED])
def test_a_secret_in_any_field_gets_nowhere(
    listening: Webhook, value: dict[str, Any], secret: str
) -> None:
    metadata = {"name": "web", "namespace": "shop", "labels": {"a": "b"}, "annotations": {"a": "b"}}
    answers = ""
    count = 0
    for part, changed in _with_secret({**value, "metadata": metadata}, secret):
        response = listening.review(changed)
        answers += str(response) if part != "metadata" else ""
        count += 1
    assert count >= 3
    if value["kind"] in HIDING:
        assert secret not in answers
    assert secret not in listening.log
    assert secret not in (listening.folder / "stdout").read_text()
    for path in ("/metrics", "/readyz?verbose"):
        assert secret not in listening.request("GET", path).text


def test_credentials_stand_in_no_answer(listening: Webhook) -> None:
    container = {
        **CONTAINER,
        "env": [
            {"name": "DB_PASSWORD", "value": SECRET},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": SECRET},
            {"name": "DATABASE_URL", "value": f"postgres://admin:{SECRET}@db/app"},
        ],
        "args": [f"--password={SECRET}"],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {**POD_SPEC, "containers": [container]},
    }
    response = listening.review(pod)
    assert "no-literal-secret" in str(response)
    assert SECRET not in str(response)


@pytest.mark.parametrize(
    "body",
    [
        b'{"password": "%b"' % SECRET.encode(),
        b'{"apiVersion": "%b", "kind": "AdmissionReview"}' % SECRET.encode(),
        b'"%b"' % SECRET.encode(),
        SECRET.encode(),
    ],
)
def test_a_body_that_is_no_review_is_not_quoted(listening: Webhook, body: bytes) -> None:
    for path in ("/validate", "/image-policy"):
        answer = listening.post(path, body)
        assert answer.status == 400
        assert SECRET not in answer.text
    assert SECRET not in listening.log


def _with_secret(value: Any, secret: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield copies of an object, each with the secret in place of one of its values, and the part that it is in."""
    for path in _strings(value):
        if path[0] in {"apiVersion", "kind"} or path == ("metadata", "name"):
            continue
        if path == ("metadata", "namespace"):
            continue
        changed = copy.deepcopy(value)
        inner = changed
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = secret
        yield path[0], changed


def _strings(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, (*path, index))
    else:
        yield path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/spec/containers/0/command", f"run --password={SECRET}"),
        ("/spec/containers/0/livenessProbe/httpGet/httpHeaders", f"Authorization: {SECRET}"),
        ("/spec/volumes/0/hostPath/path", f"https://bob:{SECRET}@files.example/"),
        ("/spec/containers/0/securityContext/seccompProfile/type", f"token={SECRET}"),
        ("/metadata/annotations/nginx.ingress.kubernetes.io~1server-snippet", f"set $a {SECRET};"),
        ("/spec/source/repoURL", f"https://bob:{SECRET}@git.example/shop.git"),
    ],
)
def test_a_credential_in_a_field_that_is_quoted_is_masked(
    listening: Webhook, path: str, value: str
) -> None:
    found = 0
    for original in OBJECTS:
        changed = copy.deepcopy(original)
        changed["metadata"] = {"name": "web", "namespace": "shop", "annotations": {}}
        *steps, last = (step.replace("~1", "/") for step in path.split("/")[1:])
        place: Any = changed
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place.get(step, {})
        if steps and place is not None and (last in place or steps[-1] == "annotations"):
            place[last] = value
            found += 1
            response = listening.review(changed)
            assert response.get("warnings") or response.get("status")
            assert SECRET not in str(response)
    assert found
