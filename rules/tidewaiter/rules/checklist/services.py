"""The services of a set of manifests, and the objects that belong to each.

A service is what is released together: the workloads of one namespace with one `app.kubernetes.io/name`,
else one label `app`, else the workload alone. Jobs and CronJobs form services of their own, and so does
each database that an operator runs.
"""

from __future__ import annotations

from tidewaiter.rules.checklist.backends import (
    ANY,
    DESTINATION_RULE,
    INGRESS,
    OTHER_EDGES,
    ROUTES,
    TRAFFIC_SPLIT,
    VIRTUAL_SERVICE,
    backends,
)
from tidewaiter.rules.checklist.items import BATCH, DATABASE, SERVING
from tidewaiter.rules.gateway_route import is_for_mesh
from tidewaiter.rules.inventory import namespace_of, pod_selector
from tidewaiter.rules.makers import maker_of_config_map, maker_of_secret
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.manifest.istio import PEER_AUTHENTICATION, root
from tidewaiter.rules.manifest.postgres import POSTGRES
from tidewaiter.rules.manifest.references import references_of
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.scaling import scalers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

NAME_LABEL = "app.kubernetes.io/name"
DATABASES = (
    *POSTGRES,
    "Kafka.kafka.strimzi.io",
    "RedisCluster.redis.redis.opstreelabs.in",
    "RedisReplication.redis.redis.opstreelabs.in",
    "Redis.redis.redis.opstreelabs.in",
    "RedisFailover.databases.spotahome.com",
    "RedisEnterpriseDatabase.app.redislabs.com",
)
"""Kinds from which an operator makes the pods of a database."""
PROVIDER_CLASS = "SecretProviderClass.secrets-store.csi.x-k8s.io"
OPERATOR_LABELS = {
    "Cluster.postgresql.cnpg.io": "cnpg.io/cluster",
    "Cluster.postgresql.k8s.enterprisedb.io": "k8s.enterprisedb.io/cluster",
    "postgresql.acid.zalan.do": "cluster-name",
    "PostgresCluster.postgres-operator.crunchydata.com": "postgres-operator.crunchydata.com/cluster",
    "Kafka.kafka.strimzi.io": "strimzi.io/cluster",
}
"""The label by which the pods of a database name the resource that they are made from."""
_BATCH_KINDS = frozenset({"Job.batch", "CronJob.batch"})
_NO_SERVICE = frozenset({"PodTemplate", "Configuration.serving.knative.dev"})
_ROLLOUT = "Rollout.argoproj.io"
_CANARY = "Canary.flagger.app"


class CheckedService:
    """One service: its workloads or its database resource, and what belongs to it.

    `kind` is "serving", "batch" or "database". `members` are the workloads' own objects, `services` the
    Kubernetes Services that select their pods, `edges` what lets the public in, `routes` and
    `destination_rules` what tells callers how to call, `rollouts` the Rollouts and Canaries.
    `configuration` are the ConfigMaps, Secrets and what makes these, `belongings` all of these objects
    and the autoscalers, budgets and NetworkPolicies, without the members.
    """

    __slots__ = (
        "belongings",
        "budgets",
        "configuration",
        "destination_rules",
        "edges",
        "kind",
        "members",
        "mesh_policies",
        "name",
        "namespace",
        "network_policies",
        "rollouts",
        "routes",
        "scalers",
        "services",
        "splits",
    )

    def __init__(self, namespace: str, name: str, kind: str) -> None:
        """Name the service; `services_in` fills the rest."""
        self.namespace = namespace
        self.name = name
        self.kind = kind
        self.members: list[Resource] = []
        self.services: list[Resource] = []
        self.edges: list[Resource] = []
        self.routes: list[Resource] = []
        self.destination_rules: list[Resource] = []
        self.splits: list[Resource] = []
        self.scalers: list[Resource] = []
        self.budgets: list[Resource] = []
        self.network_policies: list[Resource] = []
        self.mesh_policies: list[Resource] = []
        self.rollouts: list[Resource] = []
        self.configuration: list[Resource] = []
        self.belongings: list[Resource] = []

    @property
    def workloads(self) -> list[Workload]:
        """The members as workloads; empty for a database that an operator runs."""
        return [member.workload for member in self.members if member.workload is not None]


def services_in(resources: Iterable[Resource], inventory: Inventory) -> list[CheckedService]:
    """Group the workloads and databases among `resources`, ordered by namespace, name and kind.

    What belongs to them is looked for in the whole inventory.
    """
    found: dict[tuple[str, str, str], CheckedService] = {}
    for resource in resources:
        kind = _service_kind(resource)
        if kind is None:
            continue
        key = (namespace_of(resource), _service_name(resource), kind)
        service = found.get(key)
        if service is None:
            service = found[key] = CheckedService(*key)
        service.members.append(resource)
    services = [found[key] for key in sorted(found)]
    for service in services:
        _find_belongings(service, inventory)
    return services


def _service_kind(resource: Resource) -> str | None:
    if resource.kind_id in DATABASES:
        return DATABASE
    if resource.workload is None or resource.kind_id in _NO_SERVICE:
        return None
    if any(owner.get("controller") is True for owner, _ in _owners(resource)):
        # A live cluster also holds the ReplicaSets, Jobs and Pods that the controllers have made.
        return None
    return BATCH if resource.kind_id in _BATCH_KINDS else SERVING


def _owners(resource: Resource) -> Iterator[tuple[dict[str, object], str]]:
    return items(dig(resource.object, "metadata", "ownerReferences"), "")


def _service_name(resource: Resource) -> str:
    if resource.kind_id in DATABASES or resource.workload is None:
        return resource.name
    labels = resource.labels, resource.workload.pod_labels
    for key in (NAME_LABEL, "app"):
        for where in labels:
            if text(where.get(key)):
                return text(where[key])
    return resource.name


def _find_belongings(service: CheckedService, inventory: Inventory) -> None:
    for workload in service.workloads:
        service.services += inventory.selecting("Service", workload)
        service.budgets += inventory.selecting("PodDisruptionBudget.policy", workload)
        service.network_policies += inventory.selecting("NetworkPolicy.networking.k8s.io", workload)
        service.rollouts += rollouts_of(workload.resource, inventory)
        service.configuration += _configuration(workload, inventory)
    for member in service.members:
        if member.workload is None:
            service.network_policies += _policies_of_database(member, inventory)
        service.mesh_policies += _mesh_policies(member, inventory)
    for member in (*service.members, *service.rollouts):
        service.scalers += scalers_of(member, inventory)
    for each in _unique(service.services):
        _find_routes(service, each, inventory)
    for field in (
        "services",
        "edges",
        "routes",
        "destination_rules",
        "splits",
        "scalers",
        "budgets",
        "network_policies",
        "mesh_policies",
        "rollouts",
        "configuration",
    ):
        found = _unique(getattr(service, field))
        setattr(service, field, found)
        service.belongings += found
    members = {member.place for member in service.members}
    service.belongings = [each for each in _unique(service.belongings) if each.place not in members]


def _find_routes(service: CheckedService, named: Resource, inventory: Inventory) -> None:
    key = (namespace_of(named), named.name)
    service.edges += inventory.lookup(INGRESS, None, backends, key)
    for kind in OTHER_EDGES:
        service.edges += inventory.lookup(kind, None, backends, key)
    for kind in ROUTES:
        for route in inventory.lookup(kind, None, backends, key):
            service.routes.append(route)
            if not is_for_mesh(route):
                service.edges += [route, *_gateways_of_route(route, inventory)]
    for route in inventory.lookup(VIRTUAL_SERVICE, None, backends, key):
        service.routes.append(route)
        gateways = _gateways_of_virtual_service(route, inventory)
        if gateways is not None:
            service.edges += [route, *gateways]
    for wanted in (key, (key[0], ANY), (ANY, ANY)):
        service.destination_rules += inventory.lookup(DESTINATION_RULE, None, backends, wanted)
    service.splits += inventory.lookup(TRAFFIC_SPLIT, None, backends, key)
    if named.spec.get("type") == "LoadBalancer":
        service.edges.append(named)


def _gateways_of_route(route: Resource, inventory: Inventory) -> Iterator[Resource]:
    for parent, _ in items(route.spec.get("parentRefs"), ""):
        if parent.get("kind", "Gateway") == "Gateway":
            place = text(parent.get("namespace")) or namespace_of(route)
            found = inventory.get(
                "Gateway.gateway.networking.k8s.io", place, text(parent.get("name"))
            )
            if found is not None:
                yield found


def _gateways_of_virtual_service(route: Resource, inventory: Inventory) -> list[Resource] | None:
    """Return the known Gateways of a VirtualService, or None where it is for callers in the mesh only."""
    names = [name for name in map(text, sequence(route.spec.get("gateways"))) if name]
    names = [name for name in names if name != "mesh"]
    if not names:
        return None
    found = []
    for name in names:
        place, slash, short = name.partition("/")
        namespace = place if slash else namespace_of(route)
        gateway = inventory.get("Gateway.networking.istio.io", namespace, short or place)
        if gateway is not None:
            found.append(gateway)
    return found


def rollouts_of(resource: Resource, inventory: Inventory) -> Iterator[Resource]:
    """Yield what rolls a workload out in steps: itself, a Rollout that refers to it, a Canary."""
    if resource.kind_id == _ROLLOUT:
        yield resource
    namespace, key = namespace_of(resource), (resource.kind_id, resource.name)
    yield from inventory.lookup(_ROLLOUT, namespace, _workload_reference, key)
    yield from inventory.lookup(_CANARY, namespace, _canary_target, key)


def _workload_reference(rollout: Resource) -> tuple[tuple[str, str], ...]:
    return _reference(rollout.spec.get("workloadRef"))


def _canary_target(canary: Resource) -> tuple[tuple[str, str], ...]:
    return _reference(canary.spec.get("targetRef"))


def _reference(value: object) -> tuple[tuple[str, str], ...]:
    kind, name = text(dig(value, "kind")), text(dig(value, "name"))
    if not kind or not name:
        return ()
    return ((kind_id(text(dig(value, "apiVersion")) or "apps/v1", kind), name),)


def _configuration(workload: Workload, inventory: Inventory) -> Iterator[Resource]:
    namespace = namespace_of(workload.resource)
    for reference in references_of(workload):
        if reference.kind not in {"ConfigMap", "Secret"}:
            continue
        found = inventory.get(reference.kind, namespace, reference.name)
        if found is None and reference.kind == "Secret":
            found = maker_of_secret(reference.name, namespace, inventory)
        elif found is None:
            found = maker_of_config_map(reference.name, inventory)
        if found is not None:
            yield found
    for volume, _ in items(workload.pod_spec.get("volumes"), ""):
        name = text(dig(volume, "csi", "volumeAttributes", "secretProviderClass"))
        found = inventory.get(PROVIDER_CLASS, namespace, name) if name else None
        if found is not None:
            yield found


def _policies_of_database(database: Resource, inventory: Inventory) -> Iterator[Resource]:
    """Yield the NetworkPolicies that select the pods of a database by the label of its operator."""
    label = OPERATOR_LABELS.get(database.kind_id)
    if label is None:
        return
    kind = "NetworkPolicy.networking.k8s.io"
    key = (label, database.name)
    yield from inventory.lookup(kind, namespace_of(database), _selected_pairs, key)


def _selected_pairs(policy: Resource) -> tuple[tuple[str, str], ...]:
    selector = pod_selector(policy)
    return tuple(selector.equalities) if selector is not None else ()


def _mesh_policies(member: Resource, inventory: Inventory) -> Iterator[Resource]:
    """Yield the PeerAuthentications that hold for a member: of its namespace, and of the whole mesh."""
    labels = member.workload.pod_labels if member.workload is not None else {}
    for namespace in dict.fromkeys((namespace_of(member), root(inventory))):
        for policy in inventory.of_kind(PEER_AUTHENTICATION, namespace):
            selector = mapping(dig(policy.spec, "selector", "matchLabels"))
            if all(labels.get(key) == value for key, value in selector.items()):
                yield policy


def _unique(resources: Iterable[Resource]) -> list[Resource]:
    return list({resource.place: resource for resource in resources}.values())
