"""Workloads of the mesh take mutual TLS only.

Istio: no PeerAuthentication states mtls.mode or portLevelMtls[*].mode PERMISSIVE or DISABLE, and no
DestinationRule sends plaintext to a service of the cluster (tls.mode DISABLE; the API server and hosts
outside, where the application may bring its own TLS, are fine). A namespace with workloads in the mesh has a
STRICT PeerAuthentication for all its pods, or one for each workload, or the mesh has one in the root
namespace; where the manifests hold nothing of that namespace the answer is `unknown`.
Linkerd: config.linkerd.io/default-inbound-policy lets nobody in without mutual TLS; where an injected
namespace leaves that to the default of the cluster the answer is `unknown`.
https://istio.io/latest/docs/reference/config/security/peer_authentication/ and
https://linkerd.io/2/reference/authorization-policy/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.destination_rule import KIND as DESTINATION_RULE
from tidewaiter.rules.manifest.destination_rule import traffic_policies
from tidewaiter.rules.manifest.fields import dig, escape, mapping, text
from tidewaiter.rules.manifest.istio import (
    PEER_AUTHENTICATION,
    STRICT,
    is_in_mesh,
    is_root_known,
    is_service_host,
    is_strict_for,
    joins_mesh,
    namespace_mode,
)
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="mesh-mtls",
    section="network",
    severity="error",
    summary="workloads of the mesh take mutual TLS only",
    rationale=(
        "While plaintext is accepted beside mutual TLS, any pod that reaches a service can read along and "
        "speak to it without an identity, and rules on who may call whom mean nothing."
    ),
    remediation=(
        "Demand mutual TLS of the whole namespace:\n"
        "apiVersion: security.istio.io/v1\n"
        "kind: PeerAuthentication\n"
        "metadata:\n  name: default\n  namespace: payments\n"
        "spec:\n  mtls:\n    mode: STRICT"
    ),
    references=(
        "https://istio.io/latest/docs/tasks/security/authentication/mtls-migration/",
        "https://istio.io/latest/docs/reference/config/security/peer_authentication/",
        "https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings",
        "https://linkerd.io/2/reference/authorization-policy/",
    ),
    applies_to=(ANY,),
    needs_inventory=True,
)

_OPEN_MODES = ("PERMISSIVE", "DISABLE")
_DESTINATION_REMEDIATION = (
    "Let Istio choose mutual TLS, or ask for it:\ntrafficPolicy:\n  tls:\n    mode: ISTIO_MUTUAL"
)
_LINKERD_POLICY = "config.linkerd.io/default-inbound-policy"
_LINKERD_OPEN = ("all-unauthenticated", "cluster-unauthenticated", "audit")
_LINKERD_OWN = ("linkerd.io/control-plane-component", "linkerd.io/extension")
_LINKERD_REMEDIATION = (
    "Let in only what has an identity of the mesh:\n"
    "metadata:\n  annotations:\n    config.linkerd.io/default-inbound-policy: all-authenticated"
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield the violations of a policy of the mesh, of a namespace, or of a workload in it."""
    workload = resource.workload
    if resource.kind_id == PEER_AUTHENTICATION:
        yield from _peer_authentication(resource)
    elif resource.kind_id == DESTINATION_RULE:
        yield from _destination(resource, context.inventory)
    elif resource.kind_id == "Namespace":
        if joins_mesh(resource.labels):
            yield from _namespace(resource.name, "/metadata/name", context.inventory)
        yield from _linkerd_namespace(resource, context.inventory)
    elif workload is not None:
        if _stands_for_namespace(workload, context.inventory):
            place = f"{workload.template_pointer}/metadata/labels"
            yield from _namespace(namespace_of(resource), place, context.inventory)
        if not any(key in workload.pod_labels for key in _LINKERD_OWN):
            place = f"{workload.template_pointer}/metadata/annotations"
            yield from _linkerd_open(workload.pod_annotations, place, resource)


def _peer_authentication(policy: Resource) -> Iterator[Violation]:
    stated = [(dig(policy.spec, "mtls", "mode"), "/spec/mtls/mode", "")]
    for port, settings in mapping(policy.spec.get("portLevelMtls")).items():
        place = f"/spec/portLevelMtls/{escape(str(port))}/mode"
        stated.append((dig(settings, "mode"), place, f" on port {port}"))
    for mode, pointer, where in stated:
        if mode in _OPEN_MODES:
            yield Violation(
                pointer,
                f"PeerAuthentication {policy.name} lets plaintext in{where} (mode: {mode})",
            )


def _destination(rule: Resource, inventory: Inventory) -> Iterator[Violation]:
    host = text(rule.spec.get("host"))
    for policy in traffic_policies(rule):
        if dig(policy.fields, "tls", "mode") != "DISABLE":
            continue
        inside = is_service_host(host, inventory)
        if inside is False:
            return
        whose = f" for {policy.scope}" if policy.scope else ""
        message = (
            f"DestinationRule {rule.name} sends plaintext to {host}{whose} (tls mode: DISABLE)"
        )
        yield Violation(
            f"{policy.pointer}/tls/mode",
            message if inside else f"{message}, which may be a host outside the cluster",
            unknown=inside is None,
            remediation=_DESTINATION_REMEDIATION,
        )


def _namespace(namespace: str, pointer: str, inventory: Inventory) -> Iterator[Violation]:
    """Yield a violation where plaintext may reach a workload by the mesh's default."""
    # A policy that lets plaintext in is reported at itself.
    if namespace_mode(inventory, namespace) is not None:
        return
    if not any(
        is_in_mesh(workload, inventory) and not is_strict_for(workload, inventory, namespace)
        for workload in inventory.workloads(namespace)
    ):
        return
    message = f"no PeerAuthentication demands mutual TLS ({STRICT}) in namespace {namespace}"
    if not inventory.complete:
        yield Violation(pointer, f"{message}, but the other objects are not known", unknown=True)
    elif not is_root_known(inventory):
        why = "but the policy of the mesh is not among the manifests"
        yield Violation(pointer, f"{message}, {why}", unknown=True)
    else:
        yield Violation(pointer, message)


def _stands_for_namespace(workload: Workload, inventory: Inventory) -> bool:
    """Tell whether a workload is the first of the mesh in a namespace that no Namespace stands for."""
    namespace = namespace_of(workload.resource)
    if not is_in_mesh(workload, inventory):
        return False
    found = inventory.find("Namespace", namespace)
    if found is not None and joins_mesh(found.labels):
        return False
    first = inventory.once(_first_in_mesh, namespace)
    return (
        first is not None
        and first.kind_id == workload.kind_id
        and first.resource.name == workload.resource.name
    )


def _first_in_mesh(inventory: Inventory, namespace: str) -> Workload | None:
    return next((one for one in inventory.workloads(namespace) if is_in_mesh(one, inventory)), None)


def _linkerd_namespace(namespace: Resource, inventory: Inventory) -> Iterator[Violation]:
    annotations = namespace.annotations
    if any(key in namespace.labels for key in (*_LINKERD_OWN, "linkerd.io/is-control-plane")):
        return
    if annotations.get(_LINKERD_POLICY):
        yield from _linkerd_open(annotations, "/metadata/annotations", namespace)
    elif annotations.get("linkerd.io/inject") == "enabled" and inventory.workloads(namespace.name):
        yield Violation(
            "/metadata/annotations",
            f"namespace {namespace.name} leaves to the cluster's default of Linkerd whether plaintext "
            "is let in",
            unknown=True,
            remediation=_LINKERD_REMEDIATION,
        )


def _linkerd_open(
    annotations: dict[str, object], pointer: str, owner: Resource
) -> Iterator[Violation]:
    policy = annotations.get(_LINKERD_POLICY)
    if policy in _LINKERD_OPEN:
        yield Violation(
            f"{pointer}/{escape(_LINKERD_POLICY)}",
            f"{owner.kind} {owner.name} lets plaintext in (Linkerd's inbound policy: {policy})",
            remediation=_LINKERD_REMEDIATION,
        )
