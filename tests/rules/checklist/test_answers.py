"""The answers, item by item: a no needs a fact, and what is not known stays unknown."""

from __future__ import annotations

import pytest

from tests.rules.checklist.manifests import (
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    SERVICE,
    answer_to,
    ask,
)
from tidewaiter.rules.checklist.items import ITEM_IDS
from tidewaiter.rules.checklist.running import quality_of_service
from tidewaiter.rules.manifest.resource import Resource

STATEFUL = DEPLOYMENT.replace("kind: Deployment", "kind: StatefulSet").replace(
    "  template:", "  volumeClaimTemplates: [{metadata: {name: data}}]\n  template:"
)
CLUSTER = """
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: ledger, namespace: shop}
spec:
  instances: 3
  affinity: {topologyKey: topology.kubernetes.io/zone}
  backup: {barmanObjectStore: {destinationPath: "s3://x", wal: {compression: gzip}}}
"""
BACKUP = """
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: ledger, namespace: shop}
spec: {schedule: "0 0 1 * * *", cluster: {name: ledger}}
"""
SCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: api, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}
  minReplicas: 3
  maxReplicas: 9
  behavior: {scaleDown: {stabilizationWindowSeconds: 300}}
  metrics: [{type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: "9"}}}]
"""
MESH_NAMESPACE = NAMESPACE.replace("name: shop}", "name: shop, labels: {istio-injection: enabled}}")
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec: {hosts: [api], http: [{timeout: 5s, route: [{destination: {host: api}}]}]}
"""
BREAKER = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec:
  host: api
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 5}
    connectionPool: {tcp: {maxConnections: 100}}
"""


def _pod(addition: str, manifest: str = DEPLOYMENT) -> str:
    return manifest.replace("      containers:", f"      {addition}\n      containers:")


def test_every_service_has_an_answer_to_every_item() -> None:
    for row in ask(DEPLOYMENT, JOB, CLUSTER).services:
        assert tuple(each.item.id for each in row.answers) == ITEM_IDS


def test_the_score_counts_yes_among_what_applies() -> None:
    (row,) = ask(DEPLOYMENT).services
    states = [each.state for each in row.answers]
    applicable = len(states) - states.count("not-applicable")
    assert row.score == 100 * states.count("yes") // applicable


@pytest.mark.parametrize("item", ["probes", "autoscaling", "edge", "canary", "multi-zone"])
def test_a_job_is_not_asked_for(item: str) -> None:
    assert answer_to(item, JOB, service="import").state == "not-applicable"


def test_a_violation_is_a_no_and_tells_the_rule() -> None:
    answer = answer_to("probes", DEPLOYMENT)
    assert answer.state == "no"
    assert {"readiness-probe", "liveness-probe"} <= {each.rule for each in answer.evidence}


def test_an_exempted_violation_is_none_and_is_shown() -> None:
    tagged = DEPLOYMENT.replace("api@sha256:" + "0" * 64, "api:1.0")
    policy = {
        "exemptions": [
            {"match": {"namespaces": ["shop"]}, "rules": ["image-digest"], "reason": "until Q2"}
        ]
    }
    answer = answer_to("image-integrity", tagged, policy=policy)
    assert answer.state == "unknown"
    assert [each.status for each in answer.evidence] == ["exempted"]


def test_a_rule_that_the_policy_switches_off_leaves_it_unknown() -> None:
    policy = {
        "rules": {"resource-limits": {"enabled": False}, "resource-requests": {"enabled": False}}
    }
    answer = answer_to("resources", DEPLOYMENT, policy=policy)
    assert answer.state == "unknown"
    assert "the policy switches resource-requests, resource-limits off" in answer.reason


def test_profiles_and_skips_of_the_policy_do_not_hide_a_no() -> None:
    policy = {
        "profiles": ["pss-baseline"],
        "only": ["no-privileged"],
        "skip": ["readiness-probe"],
        "overrides": [{"match": {"namespaces": ["shop"]}, "profiles": ["pss-baseline"]}],
    }
    assert answer_to("probes", DEPLOYMENT, policy=policy).state == "no"


def test_what_is_absent_is_a_no_in_a_set_only() -> None:
    deployment = DEPLOYMENT.replace(
        "spec:\n  selector",
        "spec:\n  progressDeadlineSeconds: 600\n  revisionHistoryLimit: 5\n  selector",
    )
    for item, name in (("autoscaling", "autoscaler"), ("canary", "Rollout")):
        answer = answer_to(item, deployment)
        assert answer.state == "no"
        assert name in answer.reason
        answer = answer_to(item, deployment, complete=False)
        assert answer.state == "unknown"
        assert "the other objects are not known" in answer.reason


def test_autoscaling_on_an_application_metric_is_a_yes() -> None:
    assert answer_to("autoscaling", DEPLOYMENT, SCALER).state == "yes"


@pytest.mark.parametrize(
    ("triggers", "state"),
    [
        ("[{type: cpu, metadata: {value: '60'}}]", "no"),
        ("[]", "no"),
        ("[{type: cpu, metadata: {value: '60'}}, {type: kafka, metadata: {topic: bets}}]", "yes"),
    ],
)
def test_a_scaled_object_needs_another_trigger_than_cpu(triggers: str, state: str) -> None:
    scaled = f"""
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: api, namespace: shop}}
spec:
  scaleTargetRef: {{name: api}}
  minReplicaCount: 2
  maxReplicaCount: 9
  fallback: {{failureThreshold: 3, replicas: 4}}
  triggers: {triggers}
"""
    assert answer_to("autoscaling", DEPLOYMENT, scaled).state == state


def test_replicas_with_data_of_their_own_are_not_scaled() -> None:
    assert answer_to("autoscaling", STATEFUL).state == "not-applicable"
    assert answer_to("canary", STATEFUL).state == "unknown"


def test_a_daemon_set_is_neither_scaled_nor_spread() -> None:
    daemon = DEPLOYMENT.replace("kind: Deployment", "kind: DaemonSet")
    for item in ("autoscaling", "multi-zone"):
        assert answer_to(item, daemon).state == "not-applicable"


def test_kinds_that_the_rules_pass_over_are_unknown() -> None:
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop}
spec: {containers: [{name: api, image: x}]}
"""
    for item in ("probes", "autoscaling", "canary"):
        assert answer_to(item, pod).state == "unknown"


def test_without_an_edge_tls_does_not_matter() -> None:
    assert answer_to("edge", DEPLOYMENT, SERVICE).state == "not-applicable"
    assert answer_to("edge", DEPLOYMENT, SERVICE, complete=False).state == "unknown"


def test_an_edge_that_no_rule_reads_is_unknown() -> None:
    route = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: edge, namespace: shop}
spec: {routes: [{services: [{name: api}]}]}
"""
    assert answer_to("edge", DEPLOYMENT, SERVICE, route).state == "unknown"
    balancer = SERVICE.replace("spec: {", "spec: {type: LoadBalancer, ")
    assert answer_to("edge", DEPLOYMENT, balancer).state == "unknown"


def test_a_plain_host_is_a_no() -> None:
    ingress = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: edge, namespace: shop}
spec:
  rules: [{host: shop.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}}]
"""
    answer = answer_to("edge", DEPLOYMENT, SERVICE, ingress)
    assert answer.state == "no"
    assert "ingress-tls" in {each.rule for each in answer.evidence}


def test_no_mesh_needs_the_namespace_to_say_so() -> None:
    assert answer_to("mesh", DEPLOYMENT, NAMESPACE).state == "not-applicable"
    assert answer_to("mesh", DEPLOYMENT).state == "unknown"
    assert answer_to("mesh", DEPLOYMENT, NAMESPACE, complete=False).state == "unknown"


def test_in_a_mesh_all_three_are_wanted() -> None:
    whole = (MESH_NAMESPACE, DEPLOYMENT, SERVICE, STRICT, ROUTE, BREAKER)
    assert answer_to("mesh", *whole).state == "yes"
    for missing in (ROUTE, BREAKER):
        assert answer_to("mesh", *(each for each in whole if each != missing)).state == "no"
    permissive = STRICT.replace("STRICT", "PERMISSIVE")
    changed = [permissive if each == STRICT else each for each in whole]
    assert answer_to("mesh", *changed).state == "no"


def test_who_stays_out_of_the_mesh_is_a_no() -> None:
    outside = DEPLOYMENT.replace("namespace: shop", "namespace: stock")
    namespace = NAMESPACE.replace("name: shop", "name: stock")
    answer = answer_to("mesh", MESH_NAMESPACE, namespace, outside)
    assert answer.state == "no"
    assert "is not in the mesh" in answer.reason


def test_linkerd_is_a_mesh_too() -> None:
    namespace = NAMESPACE.replace(
        "name: shop}",
        "name: shop, annotations: {linkerd.io/inject: enabled,"
        " config.linkerd.io/default-inbound-policy: all-authenticated}}",
    )
    assert answer_to("mesh", namespace, DEPLOYMENT, SERVICE).state == "no"
    annotated = SERVICE.replace(
        "namespace: shop}",
        "namespace: shop, annotations: {timeout.linkerd.io/request: 5s,"
        " balancer.linkerd.io/failure-accrual: consecutive}}",
    )
    assert answer_to("mesh", namespace, DEPLOYMENT, annotated).state == "yes"


def test_secrets_want_a_maker_that_renews_them() -> None:
    assert answer_to("secrets", DEPLOYMENT).state == "not-applicable"
    mounted = _pod("volumes: [{name: psp, secret: {secretName: psp}}]").replace(
        "[{name: api, image", "[{name: api, volumeMounts: [{name: psp, mountPath: /psp}], image"
    )
    assert answer_to("secrets", mounted).state == "no"
    external = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: psp, namespace: shop}
spec: {refreshInterval: 1h, secretStoreRef: {kind: ClusterSecretStore, name: vault}}
"""
    assert answer_to("secrets", mounted, external).state == "yes"
    once = external.replace("1h", "'0'")
    assert answer_to("secrets", mounted, once).state == "no"
    sealed = """
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: psp, namespace: shop}
spec: {encryptedData: {key: AgBy}}
"""
    answer = answer_to("secrets", mounted, sealed)
    assert answer.state == "unknown"
    assert "does not say how it is rotated" in answer.reason


def test_a_missing_config_map_is_no_matter_of_secrets() -> None:
    mounted = _pod(
        "volumes: [{name: s, secret: {secretName: psp}}, {name: c, configMap: {name: c}}]"
    )
    found = [each for each in answer_to("secrets", mounted).evidence if each.rule]
    assert [(each.rule, "Secret psp" in each.message) for each in found] == [
        ("reference-exists", True)
    ]


def test_no_configuration_needs_no_checksum() -> None:
    assert answer_to("config-checksum", DEPLOYMENT).state == "not-applicable"


def test_data_wants_a_recovery_to_a_point_in_time() -> None:
    assert answer_to("backup", DEPLOYMENT).state == "not-applicable"
    assert answer_to("backup", CLUSTER, BACKUP, service="ledger").state == "yes"
    assert (
        answer_to("backup", CLUSTER.replace("  backup:", "  other:"), service="ledger").state
        == "no"
    )
    assert answer_to("backup", STATEFUL).state in {"no", "unknown"}


def test_a_bare_database_keeps_data_whatever_its_volumes() -> None:
    redis = DEPLOYMENT.replace("registry.example.com/api@", "docker.io/library/redis@")
    assert answer_to("backup", redis).state == "no"


ANTI_AFFINITY = (
    "affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1,"
    " podAffinityTerm: {topologyKey: topology.kubernetes.io/zone,"
    " labelSelector: {matchLabels: {app: api}}}}]}}"
)
SPREAD = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: %s, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: %s}}}]"


@pytest.mark.parametrize(
    ("addition", "state"),
    [
        (SPREAD % ("topology.kubernetes.io/zone", "api"), "yes"),
        (SPREAD % ("kubernetes.io/hostname", "api"), "no"),
        (SPREAD % ("topology.kubernetes.io/zone", "other"), "no"),
        ("nodeSelector: {topology.kubernetes.io/zone: a}", "no"),
        (ANTI_AFFINITY, "yes"),
    ],
)
def test_zones_want_the_services_own_pods_spread(addition: str, state: str) -> None:
    assert answer_to("multi-zone", _pod(addition), SCALER).state == state


def test_one_replica_is_in_one_zone() -> None:
    spread = _pod(SPREAD % ("topology.kubernetes.io/zone", "api"))
    assert answer_to("multi-zone", spread).state == "no"
    assert answer_to("multi-zone", spread, complete=False).state == "unknown"


def test_a_database_is_spread_by_its_topology_key() -> None:
    assert answer_to("multi-zone", CLUSTER, service="ledger").state == "yes"
    hosts = CLUSTER.replace("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    assert answer_to("multi-zone", hosts, service="ledger").state == "no"


@pytest.mark.parametrize(
    ("addition", "state"),
    [
        ("nodeSelector: {karpenter.sh/nodepool: api}", "yes"),
        ("nodeSelector: {kubernetes.io/os: linux}", "no"),
        ("nodeSelector: {example.com/machines: fast}", "unknown"),
    ],
)
def test_cost_wants_a_pool(addition: str, state: str) -> None:
    quota = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: all, namespace: shop}
spec: {hard: {pods: "9"}, limits: [{type: Container, default: {cpu: "1"}}]}
"""
    limits = quota.replace("ResourceQuota", "LimitRange")
    assert answer_to("cost-guards", _pod(addition), NAMESPACE, quota, limits).state == state


def test_a_namespace_without_a_default_deny_fails_all_its_services() -> None:
    for service in ("api", "import"):
        answer = answer_to("network", DEPLOYMENT, JOB, NAMESPACE, service=service)
        assert answer.state == "no"
        assert "network-policy-default-deny" in {each.rule for each in answer.evidence}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        (
            [
                {
                    "limits": {"cpu": "1", "memory": "1Gi"},
                    "requests": {"cpu": "1000m", "memory": "1024Mi"},
                }
            ],
            "Guaranteed",
        ),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"requests": {"memory": "1Gi"}}], "Burstable"),
        ([{}, {"limits": {}}], "BestEffort"),
        ([{"limits": "all"}], "BestEffort"),
    ],
)
def test_the_class_of_service_is_the_kubelets(resources: list[object], expected: str) -> None:
    containers = [{"name": str(index), "resources": each} for index, each in enumerate(resources)]
    pod = Resource({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}})
    assert pod.workload is not None
    assert quality_of_service(pod.workload) == expected
