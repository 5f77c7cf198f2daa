"""Which custom resources cast doubt on the absence of pods."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.operators import may_make_pods, pod_maker


def resource(api_version: str, kind: str, name: str = "one", **spec: Any) -> Resource:
    metadata = {"name": name, "namespace": "shop"}
    return Resource({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    "kind",
    [
        "Prometheus.monitoring.coreos.com",
        "Cluster.postgresql.cnpg.io",
        "Kafka.kafka.strimzi.io",
        "Application.argoproj.io",
        "ScaledJob.keda.sh",
        "JobSet.jobset.x-k8s.io",
        "Canary.flagger.app",
        "Widget.example.com",
    ],
)
def test_a_kind_that_an_operator_makes_pods_from(kind: str) -> None:
    assert may_make_pods(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "Service",
        "Deployment.apps",
        "HorizontalPodAutoscaler.autoscaling",
        "Ingress.networking.k8s.io",
        "VerticalPodAutoscaler.autoscaling.k8s.io",
        "ServiceMonitor.monitoring.coreos.com",
        "Certificate.cert-manager.io",
        "VirtualService.networking.istio.io",
        "SealedSecret.bitnami.com",
        "ScaledObject.keda.sh",
        "KafkaTopic.kafka.strimzi.io",
        "",
    ],
)
def test_a_kind_that_makes_no_pods_of_its_own(kind: str) -> None:
    assert not may_make_pods(kind)


def test_the_first_maker_of_the_namespace_is_named() -> None:
    inventory = Inventory(
        [
            resource("v1", "ConfigMap"),
            resource("monitoring.coreos.com/v1", "ServiceMonitor"),
            resource("monitoring.coreos.com/v1", "Prometheus", "k8s"),
        ],
        complete=True,
    )
    assert pod_maker(inventory, "shop") == "Prometheus k8s"
    assert pod_maker(inventory, "other") is None


def test_a_rollout_with_a_template_is_no_maker_of_unknown_pods() -> None:
    template: dict[str, Any] = {"spec": {"containers": []}}
    known = resource("argoproj.io/v1alpha1", "Rollout", "known", template=template)
    referring = resource("argoproj.io/v1alpha1", "Rollout", "referring", workloadRef={})
    assert pod_maker(Inventory([known], complete=True), "shop") is None
    assert pod_maker(Inventory([known, referring], complete=True), "shop") == "Rollout referring"
