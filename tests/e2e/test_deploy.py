"""The manifests of deploy/ on a real API server: they apply, and give the webhook just the rights that it uses."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.deploy.manifests import Objects, of_chart, of_overlay, overlay_with
from tests.e2e.api_server import ApiServer, free_port, running_api_server
from tests.e2e.binaries import binaries
from tests.e2e.client import Client, Refused
from tests.e2e.conftest import built
from tests.e2e.report_definitions import REPORT_DEFINITIONS
from tests.webhook.running import running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "tidewaiter"
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
    content = json.loads(api_server.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token_of(api_server, name)}
    content["contexts"][0]["context"]["namespace"] = NAMESPACE
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


def token_of(api_server: ApiServer, account: str) -> str:
    """Return a token of a ServiceAccount of the webhook's namespace."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token: str = api_server.admin.request("POST", path, request)["status"]["token"]
    return token


def requests_of(log: Path, user: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in log.read_text().splitlines() if f'"{user}"' in line)
    return [line for line in lines if line["user"]["username"] == user]


Right = tuple[str, str, str, str]
"""Group, resource, verb, and the one name that it is for; empty where it is for all."""


def granted(objects: Objects, account: str) -> set[Right]:
    """Return each right that an account is given, but for custom resources, which are not installed here."""
    found = set()
    for (kind, _), binding in objects.items():
        role = binding.get("roleRef", {}).get("name", "")
        subjects = {each["name"] for each in binding.get("subjects", ())}
        if account not in subjects or role.endswith("-custom-resources"):
            continue
        for rule in objects[kind.removesuffix("Binding"), role]["rules"]:
            found |= {
                (group, resource, verb, name)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
                for name in rule.get("resourceNames", ("",))
            }
    return found


def used(log: Path, account: str) -> set[Right]:
    """Return each right that an account has made use of, by name and for all."""
    found = set()
    for each in requests_of(log, f"system:serviceaccount:{NAMESPACE}:{account}"):
        target, code = each.get("objectRef", {}), each["responseStatus"]["code"]
        if not target.get("resource") or code >= 400:
            continue
        part = f"/{target['subresource']}" if "subresource" in target else ""
        # Apply asks for the right to create where there is nothing yet.
        verbs = {each["verb"], "create"} if code == 201 else {each["verb"]}
        found |= {
            (target.get("apiGroup", ""), target["resource"] + part, verb, name)
            for verb in verbs
            for name in ("", target.get("name", ""))
        }
    return found


def refused(log: Path, account: str) -> list[tuple[str, str]]:
    """Return what an account asked for and may not do."""
    return [
        (each["verb"], each["requestURI"])
        for each in requests_of(log, f"system:serviceaccount:{NAMESPACE}:{account}")
        if each["responseStatus"]["code"] == 403
    ]


BAD_ROLE: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "everything"},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}
BAD_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"containers": [{"name": "web", "image": "nginx"}]},
}
BAD = (BAD_ROLE, BAD_POD)


class Installed(NamedTuple):
    """What an overlay with all components but monitoring gives, on an API server that writes down who asks for what."""

    api_server: ApiServer
    audit_log: Path
    objects: Objects

    def break_rules(self) -> None:
        """Make objects of which there is something to report."""
        for each in BAD:
            self.api_server.admin.apply(each)

    def mend(self) -> None:
        """Take them away, so that their reports go."""
        for each in BAD:
            self.api_server.admin.delete(each, gracePeriodSeconds="0")

    def arguments(self, kind: str, name: str) -> list[str]:
        """Return the arguments of a container, but for those that name the inside of a pod."""
        spec = self.objects[kind, name]["spec"]
        template = (
            spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
        )
        (container,) = template["spec"]["containers"]
        outside = ("--bind", "--policy=/", "--base", "--shards", "serve", "scan")
        return [each for each in container["args"] if not each.startswith(outside)]


@pytest.fixture(scope="module")
def installed(
    audited: tuple[ApiServer, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    api_server, log = audited
    for definition in REPORT_DEFINITIONS:
        api_server.admin.apply(definition)
    objects = overlay_with(tmp_path_factory.mktemp("overlay"), "ui", "fleet-scan")
    # Nothing routes a Service here, so that the API server is given the address itself.
    (webhook,) = objects["ValidatingWebhookConfiguration", "tidewaiter"]["webhooks"]
    webhook["clientConfig"] = {"url": f"https://127.0.0.1:{free_port()}/validate"}
    apply(api_server, objects)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    api_server.admin.apply(namespace)
    until(lambda: applies(api_server, POLICIES))
    until(lambda: has_reports(api_server) is not None)
    yield Installed(api_server, log, objects)
    clear(api_server, objects)


def has_reports(api_server: ApiServer) -> bool | None:
    """Say whether there are reports; None where their definition is not served yet."""
    reports = {"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport"}
    try:
        return bool(api_server.admin.list_objects({**reports, "metadata": {"namespace": "shop"}}))
    except Refused:
        return None


@pytest.fixture
def policy(installed: Installed, tmp_path: Path) -> Path:
    file = tmp_path / "tidewaiter.yaml"
    file.write_text(installed.objects["ConfigMap", "tidewaiter-policy"]["data"]["tidewaiter.yaml"])
    return file


def test_the_scan_uses_all_of_its_rights_and_wants_no_others(
    installed: Installed, policy: Path, tmp_path: Path
) -> None:
    account = "tidewaiter-scan"
    kubeconfig = service_account_kubeconfig(installed.api_server, tmp_path, account)
    arguments = [
        *installed.arguments("CronJob", account),
        "--shards=2",
        f"--base={policy}",
        f"--kubeconfig={kubeconfig}",
    ]

    def scan() -> None:
        parts = [
            subprocess.Popen(
                [sys.executable, "-m", "tidewaiter.cli.main", "scan", *arguments],
                env={**os.environ, "JOB_COMPLETION_INDEX": str(index)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(2)
        ]
        for each in parts:
            _, told = each.communicate(timeout=120)
            assert each.returncode == 0, told

    installed.break_rules()
    scan()
    assert has_reports(installed.api_server)
    installed.mend()
    scan()
    log = installed.audit_log
    assert refused(log, account) == []
    assert granted(installed.objects, account) - used(log, account) == set()


def test_the_webhook_uses_all_of_its_rights_and_wants_no_others(
    installed: Installed, policy: Path, tmp_path: Path
) -> None:
    api_server, log, objects = installed
    (webhook,) = objects["ValidatingWebhookConfiguration", "tidewaiter"]["webhooks"]
    port = urlsplit(webhook["clientConfig"]["url"]).port
    command = [
        sys.executable,
        "-m",
        "tidewaiter.webhook",
        f"--bind=127.0.0.1:{port}",
        f"--policy={policy}",
        *installed.arguments("Deployment", "tidewaiter"),
        "--own-name=127.0.0.1",
        f"--kubeconfig={service_account_kubeconfig(api_server, tmp_path)}",
        "--background-audit=3s",
        "--certificate-lifetime=30s",
        "--authority-lifetime=30s",
        "--drain-grace=0s",
    ]
    installed.break_rules()
    rights = granted(objects, "tidewaiter")
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=output)
    try:
        until(lambda: has_reports(api_server), timeout=60)
        look_at_page(f"https://127.0.0.1:{port}/ui", api_server.token)
        installed.mend()
        end = time.monotonic() + 60
        while rights - used(log, "tidewaiter") and time.monotonic() < end:
            time.sleep(1)
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert refused(log, "tidewaiter") == []
        assert rights - used(log, "tidewaiter") == set()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


PULLS = """
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: pulls}
spec:
  images: [{match: ["localhost:1/**"], authorities: {static: deny}, attestations: [{type: vuln}]}]
  imageSettings: {podPullSecrets: true}
"""


def test_the_component_for_pull_secrets_gives_the_rights_that_reviews_use(
    installed: Installed, tmp_path: Path
) -> None:
    api_server, log, objects = installed
    whole = overlay_with(tmp_path, "ui", "fleet-scan", "pull-secrets")
    added = {key: each for key, each in whole.items() if key not in objects}
    assert {kind for kind, _ in added} == {"ClusterRole", "ClusterRoleBinding"}
    shop: dict[str, Any] = {
        "apiVersion": "v1",
        "metadata": {"name": "web", "namespace": "shop"},
    }
    account = {**shop, "kind": "ServiceAccount", "imagePullSecrets": [{"name": "web"}]}
    login = {**shop, "kind": "Secret", "type": "kubernetes.io/dockerconfigjson"}
    login["stringData"] = {".dockerconfigjson": '{"auths": {}}'}
    container = {"name": "web", "image": "localhost:1/web:1"}
    pod = {**shop, "kind": "Pod"}
    pod["spec"] = {"serviceAccountName": "web", "containers": [container]}
    policy = tmp_path / "pulls.yaml"
    policy.write_text(PULLS)
    kubeconfig = service_account_kubeconfig(api_server, tmp_path)
    options = ("--policy", str(policy), "--inventory", "none", "--kubeconfig", str(kubeconfig))
    for each in (account, login, *added.values()):
        api_server.admin.apply(each)
    client = Client(api_server.url, token_of(api_server, "tidewaiter"), api_server.ca_file)
    try:
        path = "/api/v1/namespaces/shop/secrets"
        until(lambda: may(client, f"{path}/web"))
        with running(tmp_path, *options) as webhook:
            message = webhook.review(pod)["status"]["message"]
        assert "cannot be used" not in message
        rights = granted(added, "tidewaiter")
        assert len(rights) == 2
        assert rights - used(log, "tidewaiter") == set()
        assert not may(client, path), "what is not named is not read"
    finally:
        for each in (login, account, *added.values()):
            api_server.admin.delete(each)
        until(lambda: not may(client, "/api/v1/namespaces/shop/serviceaccounts/web"))


def may(client: Client, path: str) -> bool:
    try:
        client.request("GET", path)
    except Refused as error:
        return "forbidden" not in str(error)
    return True


def look_at_page(url: str, token: str) -> None:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        assert answer.status == 200


def binding(role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "up"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role,
        },
        "subjects": [{"kind": "ServiceAccount", "name": "tidewaiter", "namespace": NAMESPACE}],
    }


RBAC = "/apis/rbac.authorization.k8s.io/v1"
HOOKS = "/apis/admissionregistration.k8s.io/v1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
EMPTY: dict[str, Any] = {"metadata": {"name": "up"}}


@pytest.mark.parametrize("account", ["tidewaiter", "tidewaiter-scan"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        # Secrets: none but its own, and that by its name only.
        ("GET", "/api/v1/secrets", None),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets", None),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/other", None),
        ("GET", "/api/v1/namespaces/shop/secrets/tidewaiter-tls", None),
        ("POST", "/api/v1/namespaces/shop/secrets", EMPTY),
        ("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/tidewaiter-tls", None),
        # Workloads and what is in them.
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", BAD_POD),
        ("POST", "/api/v1/namespaces/shop/pods", BAD_POD),
        ("DELETE", "/api/v1/namespaces/shop/pods/web", None),
        ("POST", "/api/v1/namespaces/shop/pods/web/exec?command=id", EMPTY),
        ("GET", "/api/v1/namespaces/shop/pods/web/log", None),
        ("POST", "/apis/apps/v1/namespaces/shop/deployments", EMPTY),
        ("DELETE", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/tidewaiter", None),
        ("PUT", f"/api/v1/namespaces/{NAMESPACE}/configmaps/tidewaiter-policy", EMPTY),
        ("GET", "/api/v1/nodes/one/proxy/", None),
        # More rights, or somebody else's.
        ("POST", f"{RBAC}/clusterroles", BAD_ROLE),
        ("POST", f"{RBAC}/clusterrolebindings", binding("cluster-admin")),
        ("POST", f"{RBAC}/clusterrolebindings", binding("tidewaiter")),
        ("DELETE", f"{RBAC}/clusterrolebindings/tidewaiter", None),
        ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token", EMPTY),
        ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", EMPTY),
        # What asks webhooks, but for the update of the one that leads here.
        ("POST", f"{HOOKS}/validatingwebhookconfigurations", EMPTY),
        ("DELETE", f"{HOOKS}/validatingwebhookconfigurations/tidewaiter", None),
        ("PUT", f"{HOOKS}/validatingwebhookconfigurations/other", EMPTY),
        ("PUT", f"{HOOKS}/mutatingwebhookconfigurations/tidewaiter", EMPTY),
        # Leases of others, and policies by which it judges.
        ("PUT", f"{LEASES}/{NAMESPACE}/leases/other", EMPTY),
        ("POST", f"{LEASES}/kube-system/leases", EMPTY),
        ("PUT", f"{LEASES}/kube-system/leases/kube-scheduler", EMPTY),
        ("DELETE", f"{LEASES}/{NAMESPACE}/leases/tidewaiter-certificates", None),
        ("POST", "/apis/tidewaiter.dev/v1/clusterpolicies", POLICIES[0]),
        ("DELETE", "/apis/tidewaiter.dev/v1/clusterpolicies/general", None),
        ("PUT", "/apis/tidewaiter.dev/v1/namespaces/shop/policies/narrow", POLICIES[1]),
    ],
)
def test_what_it_has_no_business_with_is_refused(
    installed: Installed, account: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    api_server = installed.api_server
    client = Client(api_server.url, token_of(api_server, account), api_server.ca_file)
    with pytest.raises(Refused, match="forbidden"):
        client.request(method, path, body)


def applies(api_server: ApiServer, objects: tuple[dict[str, Any], ...]) -> bool:
    """Apply objects whose definitions have just come; tell whether they are served yet."""
    try:
        for each in objects:
            api_server.admin.apply(each)
    except (Refused, KeyError):
        return False
    return True
