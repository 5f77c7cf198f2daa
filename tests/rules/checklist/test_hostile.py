"""The checklist raises on no shape: any field may hold anything."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.rules.checklist.answer import answer
from tidewaiter.rules.checklist.services import DATABASES
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.resource import Resource

KINDS = [
    "Deployment.apps",
    "StatefulSet.apps",
    "CronJob.batch",
    "Pod",
    "Rollout.argoproj.io",
    "Canary.flagger.app",
    "Service",
    "Namespace",
    "Ingress.networking.k8s.io",
    "HTTPRoute.gateway.networking.k8s.io",
    "VirtualService.networking.istio.io",
    "DestinationRule.networking.istio.io",
    "IngressRoute.traefik.io",
    "Route.route.openshift.io",
    "Mapping.getambassador.io",
    "TrafficSplit.split.smi-spec.io",
    "HorizontalPodAutoscaler.autoscaling",
    "ScaledObject.keda.sh",
    "NetworkPolicy.networking.k8s.io",
    "PeerAuthentication.security.istio.io",
    "ExternalSecret.external-secrets.io",
    "PrometheusRule.monitoring.coreos.com",
    *DATABASES,
]
KEYS = [
    "affinity", "annotations", "backendRefs", "backup", "containers", "csi", "driver", "env", "hard",
    "host", "hosts", "http", "image", "instances", "labelSelector", "labels", "limits", "matchLabels",
    "metadata", "name", "namespace", "nodeSelector", "parentRefs", "podSelector", "ports", "replicas",
    "requests", "resources", "route", "routes", "rules", "scaleTargetRef", "secret", "selector",
    "services", "spec", "strategy", "targetRef", "template", "topologyKey", "to", "triggers", "volumes",
    "topologySpreadConstraints", "workloadRef", "tidewaiter.dev/attest.probes", "linkerd.io/inject",
    "ownerReferences", "volumeClaimTemplates", "destination", "attributes", "gateways", "kafka", "rack",
]  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10**30)
    | st.floats(allow_nan=True)
    | st.sampled_from(
        ["", "shop", "api", "<script>", "*", "a.b.c", "1Gi", "topology.kubernetes.io/zone"]
    )
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


@st.composite
def _objects(draw: st.DrawFn) -> dict[str, Any]:
    kind, _, group = draw(st.sampled_from(KINDS)).partition(".")
    pod = {"metadata": draw(VALUES), "spec": draw(VALUES)}
    spec = draw(VALUES)
    if isinstance(spec, dict) and draw(st.booleans()):
        spec["template"] = pod
    return {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": kind,
        "metadata": draw(st.one_of(VALUES, st.just({"name": "api", "namespace": "shop"}))),
        "spec": spec,
    }


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(_objects(), min_size=1, max_size=5), st.booleans())
def test_no_shape_raises(objects: list[dict[str, Any]], complete: bool) -> None:
    resources = [Resource(obj, "a.yaml", index) for index, obj in enumerate(objects)]
    found = answer(resources, {}, Inventory(resources, complete=complete), today="2026-01-31")
    assert found.crashes == ()
    for row in found.services:
        assert row.score is None or 0 <= row.score <= 100
