"""Which workloads form a service, and what belongs to it."""

from __future__ import annotations

from tests.rules.checklist.manifests import DEPLOYMENT, JOB, SERVICE, read
from tidewaiter.rules.checklist.backends import host_pair
from tidewaiter.rules.checklist.services import CheckedService, services_in
from tidewaiter.rules.inventory import Inventory


def _services(*documents: str) -> list[CheckedService]:
    resources = read(*documents)
    return services_in(resources, Inventory(resources, complete=True))


def _one(*documents: str) -> CheckedService:
    (service,) = _services(*documents)
    return service


def test_workloads_of_one_name_are_one_service() -> None:
    worker = DEPLOYMENT.replace("{name: api, namespace", "{name: worker, namespace")
    labelled = worker.replace(
        "metadata: {labels: {app: api}}",
        "metadata: {labels: {app: api, app.kubernetes.io/name: shop}}",
    )
    assert [each.name for each in _services(DEPLOYMENT, worker)] == ["api"]
    assert [each.name for each in _services(DEPLOYMENT, labelled)] == ["api", "shop"]
    other = worker.replace("namespace: shop", "namespace: stock")
    assert [(each.namespace, each.name) for each in _services(DEPLOYMENT, other)] == [
        ("shop", "api"),
        ("stock", "api"),
    ]


def test_without_a_label_the_workload_is_its_own_service() -> None:
    bare = DEPLOYMENT.replace("metadata: {labels: {app: api}}", "metadata: {labels: {tier: web}}")
    assert _one(bare).name == "api"


def test_jobs_are_services_of_their_own() -> None:
    job = JOB.replace("labels: {app: import}", "labels: {app: api}")
    assert [each.kind for each in _services(DEPLOYMENT, job)] == ["batch", "serving"]


def test_what_a_controller_has_made_is_none() -> None:
    owned = DEPLOYMENT.replace("kind: Deployment", "kind: ReplicaSet").replace(
        "name: api, namespace: shop}",
        "name: api-1, namespace: shop, ownerReferences: [{kind: Deployment, name: api, controller: true}]}",
    )
    assert [each.members[0].kind for each in _services(DEPLOYMENT, owned)] == ["Deployment"]


def test_a_database_of_an_operator_is_one() -> None:
    cluster = """
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: ledger, namespace: shop}
spec: {instances: 3}
"""
    policy = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ledger, namespace: shop}
spec: {podSelector: {matchLabels: {cnpg.io/cluster: ledger}}}
"""
    service = _one(cluster, policy)
    assert (service.kind, service.name) == ("database", "ledger")
    assert [each.name for each in service.network_policies] == ["ledger"]


def test_what_selects_or_scales_the_pods_belongs_to_it() -> None:
    scaler = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: api, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}, maxReplicas: 4}
"""
    budget = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: api, namespace: shop}
spec: {selector: {matchLabels: {app: api}}, maxUnavailable: 1}
"""
    service = _one(DEPLOYMENT, SERVICE, scaler, budget)
    assert [each.kind for each in service.belongings] == [
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
    ]


def test_routes_of_every_kind_are_found() -> None:
    ingress = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: edge, namespace: shop}
spec: {rules: [{http: {paths: [{backend: {service: {name: api}}}]}}]}
"""
    route = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route, namespace: front}
spec:
  parentRefs: [{name: public}]
  rules: [{backendRefs: [{name: api, namespace: shop}]}]
"""
    gateway = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: front}
spec: {listeners: []}
"""
    virtual = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: front}
spec: {http: [{route: [{destination: {host: api.shop.svc.cluster.local}}]}]}
"""
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: all, namespace: front}
spec: {host: "*.shop.svc.cluster.local"}
"""
    service = _one(DEPLOYMENT, SERVICE, ingress, route, gateway, virtual, rule)
    assert [each.name for each in service.edges] == ["edge", "route", "public"]
    assert [each.name for each in service.routes] == ["route", "inside"]
    assert [each.name for each in service.destination_rules] == ["all"]


def test_a_route_to_another_service_does_not_belong() -> None:
    ingress = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: edge, namespace: other}
spec: {rules: [{http: {paths: [{backend: {service: {name: api}}}]}}]}
"""
    assert _one(DEPLOYMENT, SERVICE, ingress).edges == []


def test_what_makes_a_secret_belongs_in_its_place() -> None:
    mounted = DEPLOYMENT.replace(
        "      containers:",
        "      volumes: [{name: s, secret: {secretName: psp}}, {name: c, configMap: {name: settings}}]\n"
        "      containers:",
    )
    external = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: from-vault, namespace: shop}
spec: {target: {name: psp}}
"""
    settings = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
"""
    found = _one(mounted, external, settings).configuration
    assert sorted(each.name for each in found) == ["from-vault", "settings"]


def test_a_rollout_that_refers_to_a_deployment_is_its_own() -> None:
    rollout = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: api, namespace: shop}
spec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: api}}
"""
    canary = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: api, namespace: shop}
spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: api}}
"""
    assert [each.kind for each in _one(DEPLOYMENT, rollout, canary).rollouts] == [
        "Rollout",
        "Canary",
    ]


def test_hosts_of_the_mesh_name_services() -> None:
    assert host_pair("api", "shop") == ("shop", "api")
    assert host_pair("api.stock", "shop") == ("stock", "api")
    assert host_pair("api.stock.svc.cluster.local", "shop") == ("stock", "api")
    assert host_pair("*.stock.svc.cluster.local", "shop") == ("stock", "*")
    assert host_pair("*.local", "shop") == ("*", "*")
