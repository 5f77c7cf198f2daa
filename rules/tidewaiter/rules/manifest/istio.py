"""What a set of manifests says of Istio: which namespaces are in the mesh, and what mTLS they demand.

A namespace is in the mesh by the labels that have sidecars injected or ambient proxies used, on itself or on
its pods. The policy of the whole mesh stands in the root namespace, istio-system by default.
https://istio.io/latest/docs/reference/config/security/peer_authentication/ and
https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, sequence, text
from tidewaiter.rules.manifest.selector import InvalidSelector, Selector, parse_map_selector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

PEER_AUTHENTICATION = "PeerAuthentication.security.istio.io"
STRICT = "STRICT"
_ROOT = "istio-system"


def joins_mesh(labels: Mapping[str, object]) -> bool:
    """Tell whether the labels of a namespace put its pods into the mesh."""
    return (
        labels.get("istio-injection") == "enabled"
        or labels.get("istio.io/dataplane-mode") == "ambient"
        or (bool(labels.get("istio.io/rev")) and labels.get("istio-injection") != "disabled")
    )


def is_in_mesh(workload: Workload, inventory: Inventory) -> bool:
    """Tell whether the pods of a workload are known to be in the mesh: by themselves, or all around."""
    if workload.pod_spec.get("hostNetwork") is True or workload.kind_id == "PodTemplate":
        return False
    labels = workload.pod_labels
    inject = labels.get("sidecar.istio.io/inject")
    if inject is None:
        inject = workload.pod_annotations.get("sidecar.istio.io/inject")
    if inject is not None or labels.get("istio.io/dataplane-mode") is not None:
        wanted = str(inject).lower() == "true"
        return wanted or labels.get("istio.io/dataplane-mode") == "ambient"
    namespace = workload.resource.namespace
    found = inventory.find("Namespace", namespace) if namespace else None
    return found is not None and joins_mesh(found.labels)


def namespace_mode(inventory: Inventory, namespace: str) -> str | None:
    """Return the mTLS mode that a namespace's own policy, or that of the mesh, demands; None: no policy."""
    return inventory.once(_stated_mode, namespace) or inventory.once(_stated_mode, root(inventory))


def root(inventory: Inventory) -> str:
    """Return the root namespace of the mesh, where its configuration says another than the default."""
    return inventory.once(_root)


def is_root_known(inventory: Inventory) -> bool:
    """Tell whether the manifests hold objects of the root namespace, as those of the platform do."""
    return bool(inventory.kinds_in(root(inventory))) or bool(inventory.find("Namespace", _ROOT))


def is_strict_for(workload: Workload, inventory: Inventory, namespace: str) -> bool:
    """Tell whether a policy for certain pods demands mTLS of a workload."""
    return any(
        mode_of(policy) == STRICT and selector.matches(workload.pod_labels)
        for policy, selector in inventory.once(_selecting_policies, namespace)
    )


def mode_of(policy: Resource) -> str:
    """Return the mode that a PeerAuthentication states, empty where it inherits one."""
    mode = text(dig(policy.spec, "mtls", "mode"))
    return "" if mode == "UNSET" else mode


def _stated_mode(inventory: Inventory, namespace: str) -> str | None:
    for policy in inventory.of_kind(PEER_AUTHENTICATION, namespace):
        if not policy.spec.get("selector"):
            return mode_of(policy) or None
    return None


def _selecting_policies(inventory: Inventory, namespace: str) -> list[tuple[Resource, Selector]]:
    policies = []
    for policy in inventory.of_kind(PEER_AUTHENTICATION, namespace):
        try:
            selector = parse_map_selector(dig(policy.spec, "selector", "matchLabels"))
        except InvalidSelector:
            continue
        if not selector.selects_nothing:
            policies.append((policy, selector))
    return policies


def _root(inventory: Inventory) -> str:
    for kind in ("IstioOperator.install.istio.io", "Istio.sailoperator.io"):
        for resource in inventory.of_kind(kind):
            for path in (
                ("meshConfig", "rootNamespace"),
                ("values", "meshConfig", "rootNamespace"),
            ):
                stated = text(dig(resource.spec, *path))
                if stated:
                    return stated
    return _ROOT


def is_service_host(host: str, inventory: Inventory) -> bool | None:
    """Tell whether the host of a DestinationRule is a Service of the cluster; None: it may be.

    The API server's own Service counts as outside, for it has its own TLS and no sidecar.
    """
    name, _, rest = host.partition(".")
    if name == "kubernetes" and rest in ("default", "default.svc", "default.svc.cluster.local"):
        return False
    if inventory.lookup("ServiceEntry.networking.istio.io", None, _entry_hosts, host):
        return False
    if not rest or host.endswith((".svc", ".svc.cluster.local")) or host == "*.local":
        return bool(host)
    if "." in rest:
        return None if host.endswith(".local") else False
    if inventory.get("Service", rest, name) or inventory.find("Namespace", rest):
        return True
    return None


def _entry_hosts(entry: Resource) -> tuple[object, ...]:
    return tuple(host for host in sequence(entry.spec.get("hosts")) if isinstance(host, str))
