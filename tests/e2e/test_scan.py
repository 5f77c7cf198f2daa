"""`tidewaiter scan` on a real API server: what is found, what is not said twice, and reports in the cluster."""

from __future__ import annotations

import base64
import gzip
import json
import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.e2e.client import Refused
from tests.e2e.report_definitions import OPEN_REPORTS, POLICY_REPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.api_server import ApiServer

Object = dict[str, Any]

CONTAINER = {"name": "api", "image": "registry.example/api:1.4"}
SIDECAR = {"name": "proxy", "image": "registry.example/proxy:latest"}


class Scanned(NamedTuple):
    """What a scan ended with: exit code, the JSON report, and stderr."""

    code: int
    report: Object
    errors: str

    def found(self, rule: str) -> list[str]:
        """Return the objects with a finding of a rule, as kind and name."""
        return [
            f"{each['resource']['kind']} {each['resource']['name']}"
            for each in self.report["findings"]
            if each["rule"] == rule
        ]


class Place:
    """A namespace of a cluster, and how to scan it."""

    def __init__(self, server: ApiServer, namespace: str, folder: Path) -> None:
        self.server = server
        self.namespace = namespace
        self.folder = folder

    def create(self, kind: str, name: str, **fields: object) -> Object:
        """Create an object in the namespace."""
        version = "apps/v1" if kind in {"Deployment", "ReplicaSet"} else "v1"
        metadata = {"name": name, "namespace": self.namespace, **fields.pop("metadata", {})}  # type: ignore[dict-item]
        return self.server.admin.create(
            {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
        )

    def deployment(self, name: str = "api") -> Object:
        """Create a Deployment with a container that breaks rules."""
        return self.create("Deployment", name, spec=pods_of(name))

    def scan(self, *options: str, kubeconfig: Path | None = None) -> Scanned:
        """Scan the namespace."""
        return scan(kubeconfig or self.server.kubeconfig, "-n", self.namespace, *options)

    def reports(self, kind: str, version: str) -> list[Object]:
        """Return the reports in the namespace."""
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"namespace": self.namespace}}
        return self.server.admin.list_objects(manifest)

    def create_report_of_others(self) -> str:
        """Create a report that another program wrote, and return its name."""
        report = {
            "apiVersion": "wgpolicyk8s.io/v1alpha2",
            "kind": "PolicyReport",
            "metadata": {"name": "of-others", "namespace": self.namespace},
        }
        created: str = self.server.admin.create(report)["metadata"]["name"]
        return created

    def kubeconfig_of_user(self) -> Path:
        """Return the kubeconfig of a user who may do what is permitted to her."""
        content = json.loads(self.server.kubeconfig.read_text(encoding="utf-8"))
        content["users"][0]["user"]["token"] = self.server.user_token
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path


def scan(kubeconfig: Path, *options: str) -> Scanned:
    command = [sys.executable, "-m", "tidewaiter.cli.main", "scan", "--no-cache"]
    done = subprocess.run(
        [*command, f"--kubeconfig={kubeconfig}", "--format=json", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=os.path.dirname(kubeconfig),
    )
    return Scanned(done.returncode, json.loads(done.stdout or "{}"), done.stderr)


def pods_of(name: str, *containers: Object) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER, *containers]}}
    return {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}


def owned_by(owner: Object) -> Object:
    fields = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    metadata = owner["metadata"]
    reference = {**fields, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    return {"ownerReferences": [reference]}


@pytest.fixture
def place(api_server: ApiServer, namespace: str, tmp_path: Path) -> Place:
    return Place(api_server, namespace, tmp_path)


@pytest.fixture
def definitions(api_server: ApiServer) -> None:
    """The cluster serves both forms of reports."""
    for definition in (*POLICY_REPORTS, *OPEN_REPORTS):
        api_server.admin.apply(definition)
    for definition in (*POLICY_REPORTS, *OPEN_REPORTS):
        spec = definition["spec"]
        version = f"{spec['group']}/{spec['versions'][0]['name']}"
        wait_until_served(api_server, {"apiVersion": version, "kind": spec["names"]["kind"]})


def wait_until_served(server: ApiServer, manifest: Object) -> None:
    import time

    for _ in range(100):
        try:
            server.admin.list_objects({**manifest, "metadata": {"namespace": "default"}})
            return
        except (KeyError, Refused):
            time.sleep(0.1)
    raise AssertionError(manifest)


def test_a_cluster_without_report_definitions_is_told_so(place: Place) -> None:
    server = place.server
    if any(
        served(server, version)
        for version in ("wgpolicyk8s.io/v1alpha2", "openreports.io/v1alpha1")
    ):
        pytest.skip("another test has installed the definitions")
    done = place.scan("--write-reports")
    assert done.code == 2
    assert "CustomResourceDefinitions" in done.errors


def test_a_deployment_is_found_with_its_fields_and_fails_the_scan(place: Place) -> None:
    place.deployment()
    done = place.scan()
    assert done.code == 1, done.errors
    assert done.found("image-digest") == ["Deployment api"]
    one = next(each for each in done.report["findings"] if each["rule"] == "image-digest")
    assert one["pointer"] == "/spec/template/spec/containers/0/image"
    assert one["location"] is None
    assert one["resource"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": place.namespace,
        "name": "api",
    }


def test_what_a_controller_made_is_not_reported_again(place: Place) -> None:
    replicas = place.create(
        "ReplicaSet", "api-1", metadata=owned_by(place.deployment()), spec=pods_of("api")
    )
    for number in range(3):
        place.create(
            "Pod", f"api-1-{number}", metadata=owned_by(replicas), spec={"containers": [CONTAINER]}
        )
    done = place.scan()
    assert {each["resource"]["kind"] for each in done.report["findings"]} <= {
        "Deployment",
        "Namespace",
    }


def test_a_sidecar_put_into_pods_is_reported_once_with_the_number_of_pods(place: Place) -> None:
    replicas = place.create(
        "ReplicaSet", "api-1", metadata=owned_by(place.deployment()), spec=pods_of("api")
    )
    for number in range(3):
        containers = [SIDECAR, CONTAINER]  # it goes in front, so that the indexes differ
        place.create(
            "Pod", f"api-1-{number}", metadata=owned_by(replicas), spec={"containers": containers}
        )
    done = place.scan("--only=image-digest")
    assert done.found("image-digest") == ["Deployment api", "Pod api-1-0"]
    in_pod = done.report["findings"][1]
    assert in_pod["container"] == "proxy"
    assert "in 2 more" in in_pod["message"]


def test_a_pod_whose_controller_is_gone_is_judged_itself(place: Place) -> None:
    deployment = place.deployment()
    place.create("Pod", "left", metadata=owned_by(deployment), spec={"containers": [CONTAINER]})
    place.server.admin.delete(deployment)
    assert place.scan("--only=image-digest").found("image-digest") == ["Pod left"]


def test_rules_about_other_objects_know_the_whole_cluster(place: Place) -> None:
    place.deployment()
    place.create("Service", "api", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    assert place.scan("--only=service-selector").found("service-selector") == ["Service api"]


def test_a_secret_is_no_finding_and_its_value_is_nowhere(place: Place, definitions: None) -> None:
    value = secrets.token_urlsafe(24)
    encoded = base64.b64encode(value.encode()).decode()
    place.create(
        "Secret", "database", data={"password": encoded}, metadata={"annotations": {"note": "x"}}
    )
    place.deployment()
    done = place.scan("--profile=all", "--show=unknown,exempted", "--write-reports")
    assert done.found("no-secret-manifest") == []
    told = json.dumps([done, place.reports("PolicyReport", "wgpolicyk8s.io/v1alpha2")])
    assert value not in told
    assert encoded not in told


def test_a_kind_that_may_not_be_read_is_named_and_what_depends_on_it_is_unknown(
    place: Place,
) -> None:
    place.deployment()
    grant(place, ["deployments", "services", "namespaces", "pods"])
    done = place.scan("--show=unknown", kubeconfig=place.kubeconfig_of_user())
    assert done.code == 2
    assert "NetworkPolicy.networking.k8s.io cannot be read" in done.errors
    assert done.found("image-digest") == ["Deployment api"]
    (unknown,) = [
        each for each in done.report["findings"] if each["rule"] == "network-policy-covers"
    ]
    assert unknown["status"] == "unknown"


def grant(place: Place, resources: list[str]) -> None:
    """Let the user read some resources of the namespace."""
    rules = [{"apiGroups": ["*"], "resources": resources, "verbs": ["list"]}]
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "reader", "namespace": place.namespace}
    version = {"apiVersion": f"{group}/v1"}
    place.server.admin.create({**version, "kind": "Role", "metadata": metadata, "rules": rules})
    binding = {
        "kind": "RoleBinding",
        "metadata": metadata,
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": group}],
        "roleRef": {"kind": "Role", "name": "reader", "apiGroup": group},
    }
    place.server.admin.create({**version, **binding})


def test_a_namespace_that_does_not_exist_is_an_error(api_server: ApiServer) -> None:
    done = scan(api_server.kubeconfig, "-n", "nowhere")
    assert done.code == 2
    assert "no namespace 'nowhere'" in done.errors


def test_reports_are_written_in_both_forms_with_their_object_as_scope(
    place: Place, definitions: None
) -> None:
    deployment = place.deployment()
    done = place.scan("--write-reports")
    assert done.code == 1, done.errors
    for kind, version in (
        ("PolicyReport", "wgpolicyk8s.io/v1alpha2"),
        ("Report", "openreports.io/v1alpha1"),
    ):
        (report,) = place.reports(kind, version)
        uid = deployment["metadata"]["uid"]
        assert report["metadata"]["name"] == f"tidewaiter-{uid}"
        assert report["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "tidewaiter"}
        assert report["metadata"]["ownerReferences"] == [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": uid}
        ]
        assert report["scope"]["namespace"] == place.namespace
        assert report["scope"]["kind"] == "Deployment"
        counted = [each["result"] for each in report["results"]]
        for result in ("fail", "warn", "error", "skip"):
            assert report["summary"][result] == counted.count(result)
        assert report["summary"]["pass"] > 10
        one = next(each for each in report["results"] if each["rule"] == "image-digest")
        assert (one["result"], one["severity"], one["category"]) == ("fail", "high", "images")
        assert (one["policy"], one["source"]) == ("default", "tidewaiter")
        assert one["properties"]["container"] == "api"
        assert one["timestamp"]["seconds"] > 1_700_000_000
        (manager,) = report["metadata"]["managedFields"]
        assert (manager["manager"], manager["operation"]) == ("tidewaiter", "Apply")


def test_a_cluster_wide_object_gets_a_cluster_wide_report(place: Place, definitions: None) -> None:
    place.deployment()
    place.scan("--write-reports", "--only=network-policy-default-deny")
    version = {"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "ClusterPolicyReport"}
    reports = place.server.admin.list_objects(version)
    # Other tests have reports here too, of files, which have no scope.
    assert place.namespace in [report.get("scope", {}).get("name") for report in reports]


def test_a_second_scan_writes_only_what_has_changed(place: Place, definitions: None) -> None:
    place.deployment("one")
    two = place.deployment("two")
    place.scan("--write-reports", "--only=no-latest-tag", "--only=image-digest")
    before = versions(place)
    two["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/api:latest"
    del two["metadata"]["managedFields"]
    place.server.admin.replace(two)
    done = place.scan("--write-reports", "--only=no-latest-tag", "--only=image-digest")
    assert "2 written, 2 as before, 0 removed" in done.errors
    after = versions(place)
    assert {name for name in before if before[name] != after[name]} == {
        f"tidewaiter-{two['metadata']['uid']}"
    }


def versions(place: Place) -> dict[str, str]:
    return {
        report["metadata"]["name"]: report["metadata"]["resourceVersion"]
        for report in place.reports("PolicyReport", "wgpolicyk8s.io/v1alpha2")
    }


def test_reports_on_what_is_gone_or_clean_are_removed_and_those_of_others_stay(
    place: Place, definitions: None
) -> None:
    gone = place.deployment("gone")
    clean = place.deployment("clean")
    place.scan("--write-reports", "--only=image-digest")
    foreign = place.create_report_of_others()
    place.server.admin.delete(gone)
    digest = f"registry.example/api@sha256:{'0' * 64}"
    clean["spec"]["template"]["spec"]["containers"][0]["image"] = digest
    del clean["metadata"]["managedFields"]
    place.server.admin.replace(clean)
    place.scan("--write-reports", "--only=image-digest")
    assert list(versions(place)) == [foreign]


def served(server: ApiServer, version: str) -> bool:
    try:
        server.admin.request("GET", f"/apis/{version}")
        return True
    except Refused:
        return False


def test_a_snapshot_answers_for_the_cluster_and_has_no_secret(place: Place, tmp_path: Path) -> None:
    value = secrets.token_urlsafe(24)
    place.create("Secret", "database", stringData={"password": value})
    place.create("Service", "api", spec={"selector": {"app": "api"}, "ports": [{"port": 80}]})
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": pods_of("api")}
    metadata = {"metadata": {"name": "api", "namespace": place.namespace}}
    (tmp_path / "deploy.yaml").write_text(json.dumps({**manifest, **metadata}), encoding="utf-8")
    snapshot = tmp_path / "cluster.snapshot"
    done = place.scan(f"--snapshot={snapshot}", "--only=service-selector")
    assert done.found("service-selector") == ["Service api"]
    content = gzip.decompress(snapshot.read_bytes()).decode()
    assert '"password"' in content
    assert value not in content
    assert base64.b64encode(value.encode()).decode() not in content
    command = [sys.executable, "-m", "tidewaiter.cli.main", "lint", "deploy.yaml", "--format=json"]
    linted = subprocess.run(
        [*command, f"--inventory={snapshot}", "--only=network-policy-default-deny"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert linted.returncode in {0, 1}, linted.stderr


def test_not_even_a_rule_of_ones_own_can_quote_a_secret(place: Place, definitions: None) -> None:
    value = secrets.token_urlsafe(24)
    place.create("Secret", "database", stringData={"password": value})
    rule = {
        "name": "no-password",
        "severity": "error",
        "summary": "no Secret has a password",
        "remediation": "Take it out.",
        "match": {"kinds": ["Secret"]},
        "expression": "!has(object.data.password)",
        "messageExpression": "'it is ' + object.data.password",
    }
    policy = place.folder / "tidewaiter.yaml"
    spec = {"customRules": [rule]}
    policy.write_text(
        json.dumps(
            {
                "apiVersion": "tidewaiter.dev/v1",
                "kind": "Policy",
                "metadata": {"name": "own"},
                "spec": spec,
            }
        ),
        encoding="utf-8",
    )
    done = place.scan(f"--policy={policy}", "--only=no-password", "--write-reports")
    assert done.found("no-password") == ["Secret database"], done.errors
    (report,) = place.reports("PolicyReport", "wgpolicyk8s.io/v1alpha2")
    assert report["results"][0]["policy"] == "own"
    told = json.dumps([done, report])
    assert "[hidden]" in told
    assert value not in told
    assert base64.b64encode(value.encode()).decode() not in told


def test_findings_are_told_although_something_else_cannot_be_written(
    place: Place, tmp_path: Path
) -> None:
    place.deployment()
    done = place.scan(f"--snapshot={tmp_path}/missing/snapshot", "--only=image-digest")
    assert done.code == 2
    assert "cannot be written" in done.errors
    assert done.found("image-digest") == ["Deployment api"]


def test_the_report_on_a_namespace_goes_when_it_has_come_into_order(
    place: Place, definitions: None
) -> None:
    def reported() -> bool:
        kind = {"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "ClusterPolicyReport"}
        reports = place.server.admin.list_objects(kind)
        return place.namespace in [each.get("scope", {}).get("name") for each in reports]

    place.deployment()
    place.scan("--write-reports", "--only=network-policy-default-deny")
    assert reported()
    place.server.admin.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "deny", "namespace": place.namespace},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        }
    )
    place.scan("--write-reports", "--only=network-policy-default-deny")
    assert not reported()


def test_an_exemption_of_no_use_is_reported_for_the_whole_cluster_and_stays_until_it_is_known(
    place: Place, definitions: None
) -> None:
    exemption = {"match": {"namespaces": ["nowhere"]}, "rules": ["image-digest"], "reason": "old"}
    policy = place.folder / "tidewaiter.yaml"
    kind = {"apiVersion": "tidewaiter.dev/v1", "kind": "Policy", "metadata": {"name": "own"}}
    policy.write_text(json.dumps({**kind, "spec": {"exemptions": [exemption]}}), encoding="utf-8")
    options = ("--write-reports", "--only=image-digest", "--only=no-dangling-exemption")

    def reported() -> list[str]:
        kind = {"apiVersion": "openreports.io/v1alpha1", "kind": "ClusterReport"}
        reports = place.server.admin.list_objects(kind)
        return [each["metadata"]["name"] for each in reports if "scope" not in each]

    done = scan(place.server.kubeconfig, *options, f"--policy={policy}")
    (finding,) = [each for each in done.report["findings"] if each["resource"] is None]
    assert finding["location"]["file"] == str(policy)
    assert reported() == ["tidewaiter-policy"]
    place.scan(*options)  # a part of the cluster says nothing of the exemption
    assert reported() == ["tidewaiter-policy"]
    scan(place.server.kubeconfig, *options)
    assert reported() == []


def test_a_pod_cannot_hide_behind_a_controller_of_another_namespace(place: Place) -> None:
    elsewhere = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": pods_of("api")}
    metadata = {"metadata": {"name": f"of-{place.namespace}", "namespace": "default"}}
    deployment = place.server.admin.create({**elsewhere, **metadata})
    place.create("Pod", "posing", metadata=owned_by(deployment), spec={"containers": [CONTAINER]})
    done = scan(place.server.kubeconfig, "--only=image-digest")
    place.server.admin.delete(deployment)
    assert "Pod posing" in done.found("image-digest")
