"""Clusters of Postgres operators: how many instances they run and where they archive their WAL.

CloudNativePG (https://cloudnative-pg.io/documentation/current/, and EDB's build of it), the operator of Zalando
(https://postgres-operator.readthedocs.io/) and that of Crunchy Data
(https://access.crunchydata.com/documentation/postgres-operator/), which Percona's builds on.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, text, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

CLOUD_NATIVE_PG = ("Cluster.postgresql.cnpg.io", "Cluster.postgresql.k8s.enterprisedb.io")
ZALANDO = "postgresql.acid.zalan.do"
CRUNCHY = ("PostgresCluster.postgres-operator.crunchydata.com", "PerconaPGCluster.pgv2.percona.com")
POSTGRES = (*CLOUD_NATIVE_PG, ZALANDO, *CRUNCHY)

BARMAN_PLUGIN = "barman-cloud.cloudnative-pg.io"

ARCHIVE_VARIABLES = frozenset(
    {
        "WALE_GS_PREFIX",
        "WALE_S3_PREFIX",
        "WALE_SWIFT_PREFIX",
        "WALG_AZ_PREFIX",
        "WALG_FILE_PREFIX",
        "WALG_GS_PREFIX",
        "WALG_S3_PREFIX",
        "WALG_SSH_PREFIX",
        "WALG_SWIFT_PREFIX",
        "WAL_GCS_BUCKET",
        "WAL_GS_BUCKET",
        "WAL_S3_BUCKET",
        "WAL_SWIFT_BUCKET",
        "AZURE_STORAGE_ACCOUNT",
    }
)
"""Variables of Spilo, the image of Zalando's operator, any of which turns WAL archiving on."""


def is_replica(cluster: Resource) -> bool:
    """Tell whether a cluster only follows another one, whose backups hold the data."""
    spec = cluster.spec
    if cluster.kind_id == ZALANDO:
        return isinstance(spec.get("standby"), dict)
    if cluster.kind_id in CRUNCHY:
        return dig(spec, "standby", "enabled") is True
    replica = mapping(spec.get("replica"))
    primary = text(replica.get("primary"))
    # In a distributed topology the one that is named is the primary, whatever `enabled` says.
    own = text(replica.get("self")) or cluster.name
    return primary != own if primary else replica.get("enabled") is True


def instances_of(cluster: Resource) -> tuple[int | None, str]:
    """Return how many instances a cluster has, None where that is no number, and the field's pointer."""
    if cluster.kind_id in CRUNCHY:
        sets = [entry.get("replicas", 1) for entry, _ in items(cluster.spec.get("instances"), "")]
        numbers = [whole_number(value) for value in sets]
        total = None if None in numbers or not numbers else sum(filter(None, numbers))
        alone = "/spec/instances/0/replicas" if len(sets) == 1 else "/spec/instances"
        return total, alone
    field = "numberOfInstances" if cluster.kind_id == ZALANDO else "instances"
    return whole_number(cluster.spec.get(field, 1)), f"/spec/{field}"


def wal_archiver(cluster: Resource) -> dict[str, Any] | None:
    """Return the part of a CloudNativePG cluster that archives its WAL, or None.

    It is `spec.backup.barmanObjectStore`, or the entry of `spec.plugins` with isWALArchiver.
    """
    store = dig(cluster.spec, "backup", "barmanObjectStore")
    if isinstance(store, dict):
        return store
    for plugin, _ in items(cluster.spec.get("plugins"), ""):
        if plugin.get("isWALArchiver") is True and plugin.get("enabled") is not False:
            return plugin
    return None
