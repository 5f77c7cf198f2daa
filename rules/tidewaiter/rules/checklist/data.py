"""What the checklist sees of a service's Secrets, configuration, stored data and releases."""

from __future__ import annotations

from tidewaiter.rules.checklist.evidence import unknown
from tidewaiter.rules.checklist.items import DATABASE
from tidewaiter.rules.checklist.running import not_looked_at
from tidewaiter.rules.checklist.services import PROVIDER_CLASS
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.makers import maker_of_secret
from tidewaiter.rules.manifest.fields import dig, items
from tidewaiter.rules.manifest.postgres import POSTGRES, is_replica
from tidewaiter.rules.manifest.references import references_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.checklist.evidence import Evidence, Facts
    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.manifest.workload import Workload

_ROTATING = frozenset(
    {
        "ExternalSecret.external-secrets.io",
        PROVIDER_CLASS,
        "VaultStaticSecret.secrets.hashicorp.com",
        "VaultDynamicSecret.secrets.hashicorp.com",
        "VaultPKISecret.secrets.hashicorp.com",
        "OnePasswordItem.onepassword.com",
        # cert-manager and OpenShift renew certificates before they expire.
        "Certificate.cert-manager.io",
        "Ingress.networking.k8s.io",
        "Gateway.gateway.networking.k8s.io",
        "Service",
    }
)
"""Kinds that make Secrets and read, or make, the values again."""
_SECRET_CONFIGURATION = frozenset({"ConfigMap", "Secret"})


def why_no_secrets(service: CheckedService, facts: Facts) -> str | None:
    """Say that a service refers to no Secret."""
    del facts
    if any(_uses(workload, frozenset({"Secret"})) for workload in service.workloads):
        return None
    if any(each.kind_id == PROVIDER_CLASS for each in service.configuration):
        return None
    if any(_mounts_store(workload) for workload in service.workloads):
        return None
    return "it uses no Secret"


def secret_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the Secrets of which nobody says who makes and rotates them."""
    inventory = facts.inventory
    for workload in service.workloads:
        namespace = namespace_of(workload.resource)
        seen: set[str] = set()
        for reference in references_of(workload):
            if reference.kind != "Secret" or reference.name in seen:
                continue
            seen.add(reference.name)
            maker = maker_of_secret(reference.name, namespace, inventory)
            if maker is not None and maker.kind_id in _ROTATING:
                continue
            if maker is None and inventory.get("Secret", namespace, reference.name) is None:
                # That it is missing is for reference-exists to say.
                continue
            origin = f"is made by {maker!r}" if maker is not None else "stands in the manifests"
            message = f"Secret {reference.name} {origin}, which does not say how it is rotated"
            yield unknown(workload.resource, reference.pointer, message)
        if _mounts_store(workload) and not any(
            each.kind_id == PROVIDER_CLASS for each in service.configuration
        ):
            place = f"{workload.pod_pointer}/volumes"
            yield unknown(workload.resource, place, "the SecretProviderClass it mounts is not here")


def _mounts_store(workload: Workload) -> bool:
    return any(
        dig(volume, "csi", "driver") == "secrets-store.csi.k8s.io"
        for volume, _ in items(workload.pod_spec.get("volumes"), "")
    )


def why_no_configuration(service: CheckedService, facts: Facts) -> str | None:
    """Say that a service refers to no ConfigMap and no Secret."""
    del facts
    if any(_uses(workload, _SECRET_CONFIGURATION) for workload in service.workloads):
        return None
    return "it uses no ConfigMap and no Secret"


def configuration_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members that the rule on checksums does not look at."""
    del facts
    yield from not_looked_at(service, "changed configuration")


def _uses(workload: Workload, kinds: frozenset[str]) -> bool:
    return any(reference.kind in kinds for reference in references_of(workload))


def why_no_data(service: CheckedService, facts: Facts) -> str | None:
    """Say that a service keeps no data in volumes of its own."""
    del facts
    if service.kind == DATABASE or any(map(_keeps_data, service.workloads)):
        return None
    return "it keeps no data"


def _keeps_data(workload: Workload) -> bool:
    if workload.resource.spec.get("volumeClaimTemplates"):
        return True
    return any(
        volume.get("persistentVolumeClaim") is not None
        for volume, _ in items(workload.pod_spec.get("volumes"), "")
    )


def backup_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the stores of data of which no manifest can show a recovery to a point in time."""
    del facts
    for member in service.members:
        workload = member.workload
        if workload is not None and not _keeps_data(workload):
            continue
        if member.kind_id in POSTGRES and not is_replica(member):
            continue
        message = f"whether the data of {member!r} can be restored to a point in time is not known"
        if member.kind_id in POSTGRES:
            message = f"{member!r} follows another cluster, whose backups hold the data"
        yield unknown(member, "/spec", message)


_BY_STEPS = frozenset({"Deployment.apps", "Rollout.argoproj.io", "ReplicaSet.apps"})


def canary_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members that nothing rolls out in steps."""
    from tidewaiter.rules.checklist.services import rollouts_of

    for member in service.members:
        if any(True for _ in rollouts_of(member, facts.inventory)):
            continue
        if member.kind_id in _BY_STEPS:
            message = f"no Argo Rollout or Flagger Canary releases {member!r} in steps"
            yield facts.missing(member, "/kind", message)
        else:
            message = (
                f"how a new version of {member!r} is tried on a part of the traffic is not known"
            )
            yield unknown(member, "/kind", message)


def observability_gaps(service: CheckedService, facts: Facts) -> Iterator[Evidence]:
    """Yield the members whose metrics, traces and alerts the rules do not look at."""
    del facts
    yield from not_looked_at(service, "metrics, traces and alerts")
    for member in service.members:
        if service.kind == DATABASE:
            yield unknown(member, "/spec", f"the rules do not read the monitoring of {member!r}")
