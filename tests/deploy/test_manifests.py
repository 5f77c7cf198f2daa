"""What is deployed is the same by Helm and by Kustomize, follows from the code, and passes our own rules."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, ROOT, Objects, of_chart, of_overlay, overlay_with
from tidewaiter.cli.main import main
from tidewaiter.rules.manifest.quantity import quantity_of
from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.engines import PackagedEngine

if TYPE_CHECKING:
    from pathlib import Path

POLICY = ("ConfigMap", "tidewaiter-policy")


def with_read_policy(objects: Objects) -> Objects:
    """Read the policy, which the chart writes in another order, and leave out the Namespace, which Helm makes."""
    data = objects[POLICY]["data"]
    read = {**objects[POLICY], "data": yaml.safe_load(data["tidewaiter.yaml"])}
    return {key: value for key, value in {**objects, POLICY: read}.items() if key[0] != "Namespace"}


@pytest.mark.parametrize(
    ("overlay", "settings"),
    [
        ("audit-only", ()),
        (
            "enforce",
            (
                "webhook.failurePolicy=Fail",
                "policy.admission.mode=enforce",
                "policy.admission.ratchet=true",
            ),
        ),
        (
            "high-availability",
            (
                "webhook.failurePolicy=Fail",
                "policy.admission.mode=enforce",
                "policy.admission.ratchet=true",
                "autoscaling.minReplicas=5",
                "autoscaling.maxReplicas=20",
                "disruptionBudget.minAvailable=4",
                "spread=DoNotSchedule",
            ),
        ),
    ],
)
def test_helm_and_kustomize_give_the_same_objects(overlay: str, settings: tuple[str, ...]) -> None:
    chart = with_read_policy(of_chart("default-values.yaml", settings=settings))
    assert chart == with_read_policy(of_overlay(overlay))


def test_everything_follows_the_namespace_of_the_release() -> None:
    objects = of_chart("everything-values.yaml", namespace="gate")
    text = json.dumps(objects[("ValidatingWebhookConfiguration", "tidewaiter")])
    assert '"namespace": "gate"' in text
    assert "serviceaccount:gate:tidewaiter" in text
    assert {
        each["metadata"]["namespace"]
        for each in objects.values()
        if "namespace" in each["metadata"]
    } == {"gate"}


def test_generated_files_are_what_the_generator_makes() -> None:
    spec = importlib.util.spec_from_file_location("generate", DEPLOY / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.generated().items():
        assert path.read_text(encoding="utf-8") == text, f"run python {DEPLOY.name}/generate.py"


@pytest.mark.parametrize("folder", ["kustomize", "chart"])
def test_our_own_manifests_pass_our_own_production_profile(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words = ["--profile", "production", "--format", "json", "--namespace", "tidewaiter"]
    code = main(["lint", f"deploy/{folder}", *words])
    report = json.loads(capsys.readouterr().out)
    found = {(each["rule"], each["message"]) for each in report["findings"]}
    if folder == "chart":
        # Helm makes the Namespace, which carries the label; a chart cannot.
        found = {each for each in found if each[0] != "namespace-pod-security"}
    assert found == set()
    assert report["errors"] == []
    assert code == 0


IMAGE = ("image.repository=r/x", "image.digest=sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), "image"),
        (("image.repository=r/x", "image.digest=latest"), "digest"),
        (("image.repository=r/x:1", "image.digest=sha256:" + "0" * 64), "repository"),
        (("webhook.failurePolicy=Maybe",), "failurePolicy"),
        (("webhok.failurePolicy=Fail",), "webhok"),
        (("autoscaling.minReplicas=1",), "minReplicas"),
        (("webhook.exemptNamespaces={default}",), "exemptNamespaces"),
        (('webhook.exemptNamespaces={kube-system,"]}',), "exemptNamespaces"),
        (("replicaCount=1",), "replicaCount"),
        (("policy.profil=production",), "profil"),
        (("policy.admission.mode=enforced",), "mode"),
        (("policy.rules.no-latest-tags.enabled=false",), "no-latest-tags"),
        (("network.clients=null",), "clients"),
        (("webhook.failurePolicy=null",), "failurePolicy"),
        (("policy=null",), "policy"),
        (("network.clients={everything}",), "clients"),
        (("network.serverPorts={}",), "serverPorts"),
        (("resources.requests.cpu=null",), "cpu"),
        ((*IMAGE, "autoscaling.maxReplicas=2", "autoscaling.minReplicas=3"), "maxReplicas"),
        ((*IMAGE, "disruptionBudget.minAvailable=3"), "no node could be drained"),
        ((*IMAGE, "disruptionBudget.maxUnavailable=3"), "all replicas be away"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(
    settings: tuple[str, ...], message: str
) -> None:
    options = ChartOptions(settings=settings, kubernetes_version="1.34.0", title="x")
    (rendering,) = render_chart(str(DEPLOY / "chart"), options, PackagedEngine())
    assert message in rendering.errors[0].message


def test_the_policy_of_every_overlay_is_valid(tmp_path: Path) -> None:
    for overlay in ("audit-only", "enforce", "high-availability"):
        policy = tmp_path / f"{overlay}.yaml"
        policy.write_text(of_overlay(overlay)[POLICY]["data"]["tidewaiter.yaml"])
        assert main(["policy", "check", str(policy)]) == 0


def test_certificates_by_cert_manager_are_the_same_by_helm_and_kustomize(tmp_path: Path) -> None:
    chart = with_read_policy(
        of_chart(
            "default-values.yaml",
            settings=("certificates.mode=certManager",),
        )
    )
    overlay = with_read_policy(overlay_with(tmp_path, "cert-manager"))
    for each in (chart, overlay):
        pods = each["Deployment", "tidewaiter"]["spec"]["template"]["spec"]
        pods["volumes"].sort(key=lambda volume: volume["name"])
        pods["containers"][0]["volumeMounts"].sort(key=lambda mount: mount["name"])
    assert chart == overlay
    # Who does not make certificates has no right to.
    text = json.dumps([chart["Role", "tidewaiter"], chart["ClusterRole", "tidewaiter-own"]])
    assert "secrets" not in text
    assert "webhookconfigurations" not in text


def test_monitoring_is_the_same_by_helm_and_kustomize(tmp_path: Path) -> None:
    settings = tuple(
        f"monitoring.{each}=true" for each in ("serviceMonitor", "alerts", "dashboard")
    )
    chart = with_read_policy(of_chart("default-values.yaml", settings=settings))
    assert chart == with_read_policy(overlay_with(tmp_path, "monitoring"))
    assert {"ServiceMonitor", "PrometheusRule"} <= {kind for kind, _ in chart}


def test_certificates_in_a_secret_are_trusted_by_the_authority_that_is_named() -> None:
    settings = ("certificates.mode=secret", "certificates.caBundle=QUJD")
    objects = of_chart("default-values.yaml", settings=settings)
    (webhook,) = objects["ValidatingWebhookConfiguration", "tidewaiter"]["webhooks"]
    assert webhook["clientConfig"]["caBundle"] == "QUJD"
    assert "secrets" not in json.dumps(objects["Role", "tidewaiter"])


def test_the_scan_in_parts_is_an_indexed_job_that_passes_our_own_production_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = overlay_with(tmp_path, "fleet-scan")
    job = objects["CronJob", "tidewaiter-scan"]["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert job["completionMode"] == "Indexed"
    assert f"--shards={job['completions']}" in container["args"]
    # It runs what the webhook runs.
    webhook = objects["Deployment", "tidewaiter"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == webhook["image"]
    rendered = tmp_path / "rendered.yaml"
    added = [each for (_, name), each in objects.items() if name.startswith("tidewaiter-scan")]
    assert len(added) == 9
    rendered.write_text(yaml.safe_dump_all(objects.values()))
    main(["lint", str(rendered), "--profile=production", "--format=json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [each for each in found if each["resource"]["name"].startswith("tidewaiter-scan")] == []


@pytest.mark.parametrize("overlay", ["audit-only", "enforce", "high-availability"])
def test_the_quota_has_room_for_a_rollout_at_full_size_while_a_scan_runs(
    overlay: str, tmp_path: Path
) -> None:
    objects = overlay_with(tmp_path, "fleet-scan", overlay=overlay)
    deployment = objects["Deployment", "tidewaiter"]["spec"]
    job = objects["CronJob", "tidewaiter-scan"]["spec"]["jobTemplate"]["spec"]
    most = objects["HorizontalPodAutoscaler", "tidewaiter"]["spec"]["maxReplicas"]
    most += deployment["strategy"]["rollingUpdate"]["maxSurge"]
    hard = objects["ResourceQuota", "tidewaiter"]["spec"]["hard"]
    assert int(hard["pods"]) >= most + job["parallelism"]
    for name, limit in hard.items():
        of, _, resource = name.partition(".")
        wanted = sum(
            count * quantity(pods["spec"]["containers"][0]["resources"][of][resource])
            for count, pods in (
                (most, deployment["template"]),
                (job["parallelism"], job["template"]),
            )
            if resource
        )
        assert wanted <= quantity(limit), name


def quantity(text: str) -> int:
    amount = quantity_of(text)
    assert amount is not None
    return amount


def test_in_a_namespace_of_others_nothing_is_for_them() -> None:
    settings = ("namespaceQuota=false", "network.defaultDeny=false", "scan.enabled=true")
    objects = of_chart("default-values.yaml", settings=settings, namespace="platform")
    assert not {"ResourceQuota", "LimitRange"} & {kind for kind, _ in objects}
    selected = [
        each["spec"]["podSelector"]["matchLabels"]
        for (kind, _), each in objects.items()
        if kind == "NetworkPolicy"
    ]
    assert [each["app.kubernetes.io/name"] for each in selected] == [
        "tidewaiter",
        "tidewaiter-scan",
    ]


def test_without_a_metrics_adapter_the_processor_decides_alone() -> None:
    chart = of_chart("default-values.yaml", settings=("autoscaling.reviewsPerSecond=0",))
    metrics = chart["HorizontalPodAutoscaler", "tidewaiter"]["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource"]


def test_the_scan_in_parts_is_the_same_by_helm_and_kustomize(tmp_path: Path) -> None:
    chart = with_read_policy(of_chart("default-values.yaml", settings=("scan.enabled=true",)))
    assert chart == with_read_policy(overlay_with(tmp_path, "fleet-scan"))
    assert ("CronJob", "tidewaiter-scan") not in of_chart("default-values.yaml")


def test_a_scan_has_as_many_parts_as_its_values_say() -> None:
    settings = ("scan.enabled=true", "scan.parts=24", "rbac.customResources=false")
    objects = of_chart("default-values.yaml", settings=settings)
    job = objects["CronJob", "tidewaiter-scan"]["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert (job["completions"], job["maxFailedIndexes"]) == (24, 24)
    assert "--shards=24" in container["args"]
    # What is bound is there.
    roles = {each["roleRef"]["name"] for (kind, _), each in objects.items() if "Binding" in kind}
    assert roles <= {name for _, name in objects}


def test_reading_pull_secrets_is_switched_on_alike_and_off_by_default(tmp_path: Path) -> None:
    chart = with_read_policy(of_chart("default-values.yaml", settings=("rbac.pullSecrets=true",)))
    assert chart == with_read_policy(overlay_with(tmp_path, "pull-secrets"))
    assert ("ClusterRole", "tidewaiter-pull-secrets") not in of_overlay("audit-only")


def test_the_page_is_switched_on_alike_and_off_by_default(tmp_path: Path) -> None:
    chart = with_read_policy(of_chart("default-values.yaml", settings=("ui.enabled=true",)))
    assert chart == with_read_policy(overlay_with(tmp_path, "ui"))
    assert "tokenreviews" not in json.dumps(list(of_overlay("audit-only").values()))
