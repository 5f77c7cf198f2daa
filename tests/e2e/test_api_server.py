"""The real API server itself, and that `valid-schema` agrees with its strict decoding."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.binaries import KUBERNETES, version_of
from tests.e2e.client import Object, Refused
from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.policy.compiled import Policy

if TYPE_CHECKING:
    from tests.e2e.api_server import ApiServer


def deployment(namespace: str) -> Object:
    """Return a Deployment that the API server takes."""
    resources = {"requests": {"memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    probe = {"httpGet": {"port": 8080}}
    only = {"name": "api", "image": "api:1", "resources": resources, "livenessProbe": probe}
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [only]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "api"}}, "template": template},
    }


def container(manifest: Object) -> dict[str, Any]:
    """Return the Deployment's only container, to change it."""
    only: dict[str, Any]
    (only,) = manifest["spec"]["template"]["spec"]["containers"]
    return only


def schema_mistakes(manifest: Object) -> list[str]:
    """Return the places that `valid-schema` finds, for the server's version of Kubernetes."""
    policy = Policy({"only": ["valid-schema"], "kubernetesVersion": version_of(KUBERNETES)})
    resources = read_resources(yaml.safe_dump(manifest).encode(), "manifest.yaml").resources
    inventory = Inventory(resources, complete=True)
    report = evaluate(resources, policy, inventory, today="2026-11-23")
    assert not report.crashes
    return [finding.pointer for finding in report.findings]


def test_the_server_is_of_the_version_that_was_asked_for(api_server: ApiServer) -> None:
    assert api_server.admin.request("GET", "/version")["gitVersion"] == version_of(KUBERNETES)


def test_objects_are_stored_changed_and_deleted(api_server: ApiServer, namespace: str) -> None:
    client = api_server.admin
    settings: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": {"color": "blue"},
    }
    stored = client.create(settings)
    assert stored["metadata"]["uid"]
    stored["data"] = {"color": "green"}
    client.replace(stored)
    client.patch(settings, {"data": {"size": "small"}})
    assert client.read(settings)["data"] == {"color": "green", "size": "small"}
    client.apply(settings)
    assert client.read(settings)["data"] == {"color": "blue", "size": "small"}
    assert [each["metadata"]["name"] for each in client.list_objects(settings)] == ["settings"]
    client.delete(settings)
    with pytest.raises(Refused, match="404"):
        client.read(settings)


def test_a_dry_run_stores_nothing(api_server: ApiServer, namespace: str) -> None:
    manifest = deployment(namespace)
    accepted = api_server.admin.create(manifest, dryRun="All", fieldValidation="Strict")
    assert accepted["spec"]["replicas"] == manifest["spec"]["replicas"]
    assert api_server.admin.list_objects(manifest) == []
    assert schema_mistakes(manifest) == []


def test_the_server_and_valid_schema_refuse_an_unknown_field(
    api_server: ApiServer, namespace: str
) -> None:
    manifest = deployment(namespace)
    container(manifest)["livenessProb"] = copy.deepcopy(container(manifest)["livenessProbe"])
    with pytest.raises(
        Refused, match=r'unknown field "spec\.template\.spec\.containers'
    ) as refused:
        api_server.admin.create(manifest, dryRun="All", fieldValidation="Strict")
    assert refused.value.code == 400
    assert schema_mistakes(manifest) == ["/spec/template/spec/containers/0/livenessProb"]


def test_the_server_and_valid_schema_refuse_a_wrong_type(
    api_server: ApiServer, namespace: str
) -> None:
    manifest = deployment(namespace)
    manifest["spec"]["replicas"] = "six"
    with pytest.raises(Refused, match="cannot unmarshal string") as refused:
        api_server.admin.create(manifest, dryRun="All")
    assert refused.value.code == 400
    assert schema_mistakes(manifest) == ["/spec/replicas"]


def test_the_server_refuses_a_request_over_the_limit(api_server: ApiServer, namespace: str) -> None:
    manifest = deployment(namespace)
    container(manifest)["resources"]["requests"]["memory"] = "2Gi"
    with pytest.raises(Refused, match="must be less than or equal to memory limit") as refused:
        api_server.admin.create(manifest, dryRun="All")
    assert refused.value.code == 422


def test_another_user_may_do_nothing(api_server: ApiServer, namespace: str) -> None:
    with pytest.raises(Refused, match='User "jane" cannot create') as refused:
        api_server.user.create(deployment(namespace), dryRun="All")
    assert refused.value.code == 403
