"""The manifests of deploy/ on a real API server: they apply, and give the webhook just the rights that it uses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.deploy.manifests import Objects, of_chart, of_overlay
from tests.e2e.api_server import ApiServer, free_port, running_api_server
from tests.e2e.binaries import binaries
from tests.e2e.client import Refused
from tests.e2e.conftest import built
from tests.e2e.report_definitions import REPORT_DEFINITIONS
from tests.webhook.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "tidewaiter"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:tidewaiter"
AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
POLICIES: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "general"},
        "spec": {},
    },
    {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "Policy",
        "metadata": {"name": "narrow", "namespace": "shop"},
        "spec": {},
    },
)
ORDER = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "PriorityClass")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, Path]]:
    """An API server of its own, which writes down who asks for what."""
    folder = tmp_path_factory.mktemp("audited")
    policy, log = folder / "audit-policy.yaml", folder / "audit.log"
    policy.write_text(AUDIT_POLICY)
    home = folder / "api-server"
    home.mkdir()
    flags = (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={log}",
        "--audit-log-batch-buffer-size=1",
    )
    with running_api_server(built(binaries), home, flags) as server:
        yield server, log


def apply(api_server: ApiServer, objects: Objects) -> None:
    ordered = sorted(
        objects.values(),
        key=lambda each: (
            each["kind"] == "ValidatingWebhookConfiguration",
            each["kind"] not in ORDER,
        ),
    )
    for each in ordered:
        api_server.admin.apply(each, fieldValidation="Strict")


def clear(api_server: ApiServer, objects: Objects) -> None:
    for each in objects.values():
        if each["kind"] != "Namespace":
            api_server.admin.delete(each)


@pytest.mark.parametrize("overlay", ["audit-only", "enforce", "high-availability"])
def test_every_overlay_applies_strictly(audited: tuple[ApiServer, Path], overlay: str) -> None:
    api_server, _ = audited
    objects = of_overlay(overlay)
    apply(api_server, objects)
    clear(api_server, objects)


def test_the_chart_applies_strictly(audited: tuple[ApiServer, Path]) -> None:
    api_server, _ = audited
    objects = of_chart("default-values.yaml")
    apply(api_server, objects)
    clear(api_server, objects)


def service_account_kubeconfig(
    api_server: ApiServer, folder: Path, name: str = "tidewaiter"
) -> Path:
    """Write a kubeconfig that speaks for a ServiceAccount, that of the webhook for one."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = api_server.admin.request("POST", path, request)["status"]["token"]
    content = json.loads(api_server.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    content["contexts"][0]["context"]["namespace"] = NAMESPACE
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


def requests_of(log: Path, user: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in log.read_text().splitlines() if f'"{user}"' in line)
    return [line for line in lines if line["user"]["username"] == user]


def granted(objects: Objects) -> set[tuple[str, str, str]]:
    """Return each right that the roles give, but for custom resources, which are not installed here."""
    found = set()
    for (kind, name), each in objects.items():
        if kind in {"ClusterRole", "Role"} and name != "tidewaiter-custom-resources":
            for rule in each["rules"]:
                found |= {
                    (group, resource, verb)
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for verb in rule["verbs"]
                }
    return found


def test_the_webhook_uses_all_of_its_rights_and_wants_no_others(
    audited: tuple[ApiServer, Path], tmp_path: Path
) -> None:
    api_server, log = audited
    admin = api_server.admin
    for definition in REPORT_DEFINITIONS:
        admin.apply(definition)
    objects = of_overlay("audit-only")
    # Nothing routes a Service here, so that the API server is given the address itself.
    configuration = objects[("ValidatingWebhookConfiguration", "tidewaiter")]
    (webhook,) = configuration["webhooks"]
    port = free_port()
    webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}/validate"}
    apply(api_server, objects)
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(objects[("ConfigMap", "tidewaiter-policy")]["data"]["tidewaiter.yaml"])
    arguments = [
        each
        for each in objects[("Deployment", "tidewaiter")]["spec"]["template"]["spec"]["containers"][
            0
        ]["args"]
        if not each.startswith(("--bind", "--policy", "serve"))
    ]
    command = [
        sys.executable,
        "-m",
        "tidewaiter.webhook",
        f"--bind=127.0.0.1:{port}",
        f"--policy={policy}",
        *arguments,
        "--own-name=127.0.0.1",
        f"--kubeconfig={service_account_kubeconfig(api_server, tmp_path)}",
        "--background-audit=3s",
        "--certificate-lifetime=30s",
        "--authority-lifetime=30s",
        "--drain-grace=0s",
    ]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "everything"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    }
    for each in (namespace, role, pod):
        admin.apply(each)
    until(lambda: applies(api_server, POLICIES))
    rights = granted(objects)
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=output)
    try:
        reports = {"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport"}
        where = {**reports, "metadata": {"namespace": "shop"}}

        def is_reported() -> bool:
            try:
                return admin.list_objects(where) != []
            except Refused:  # a definition that is new takes a moment to be served
                return False

        until(is_reported, timeout=60)
        # What was found is mended, so that its reports go.
        admin.delete(pod, gracePeriodSeconds="0")
        admin.delete(role)

        def used() -> set[tuple[str, str, str]]:
            found = set()
            for each in requests_of(log, ACCOUNT):
                target, code = each.get("objectRef", {}), each["responseStatus"]["code"]
                if target.get("resource") and code < 400:
                    part = f"/{target['subresource']}" if "subresource" in target else ""
                    right = target.get("apiGroup", ""), target["resource"] + part
                    found.add((*right, each["verb"]))
                    # Apply asks for the right to create where there is nothing yet.
                    if code == 201:
                        found.add((*right, "create"))
            return found

        end = time.monotonic() + 60
        while rights - used() and time.monotonic() < end:
            time.sleep(1)
        assert process.poll() is None, (tmp_path / "log").read_text()
        refused = [
            (each["verb"], each["requestURI"])
            for each in requests_of(log, ACCOUNT)
            if each["responseStatus"]["code"] == 403
        ]
        assert refused == []
        assert rights - used() == set()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        clear(api_server, objects)


def applies(api_server: ApiServer, objects: tuple[dict[str, Any], ...]) -> bool:
    """Apply objects whose definitions have just come; tell whether they are served yet."""
    try:
        for each in objects:
            api_server.admin.apply(each)
    except (Refused, KeyError):
        return False
    return True
