"""A Postgres cluster of an operator can be restored to any point in time, and survives a lost instance.

Restricted kinds: Cluster of CloudNativePG, postgresql of Zalando, PostgresCluster of Crunchy Data and
PerconaPGCluster. Allowed: the WAL is archived, base backups are scheduled, and there are at least two
instances. Replicas of another cluster are left alone, as is a Zalando cluster that is scaled to 0.
https://www.postgresql.org/docs/current/continuous-archiving.html
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.manifest.postgres import (
    ARCHIVE_VARIABLES,
    BARMAN_PLUGIN,
    CRUNCHY,
    POSTGRES,
    ZALANDO,
    instances_of,
    is_replica,
    wal_archiver,
)
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="database-backup",
    section="stateful",
    severity="warning",
    summary="a Postgres cluster archives its WAL, schedules base backups and has two instances",
    rationale=(
        "Without a WAL archive the best restore is the last dump, and every payment since is lost; "
        "without base backups the archive cannot be replayed. A single instance is down with its node."
    ),
    remediation=(
        "With CloudNativePG, archive by the plugin and schedule base backups:\n"
        "spec:\n  instances: 3\n  plugins:\n    - name: barman-cloud.cloudnative-pg.io\n"
        "      isWALArchiver: true\n      parameters: {barmanObjectName: ledger-backups}\n---\n"
        "apiVersion: postgresql.cnpg.io/v1\nkind: ScheduledBackup\nmetadata: {name: ledger}\n"
        'spec:\n  schedule: "0 0 2 * * *"\n  cluster: {name: ledger}\n  method: plugin\n'
        "  pluginConfiguration: {name: barman-cloud.cloudnative-pg.io}"
    ),
    references=(
        "https://cloudnative-pg.io/documentation/current/backup/",
        "https://cloudnative-pg.io/plugin-barman-cloud/docs/usage/",
        "https://postgres-operator.readthedocs.io/en/latest/administrator/#wal-archiving-and-physical-basebackups",
        "https://access.crunchydata.com/documentation/postgres-operator/latest/tutorials/backups-disaster-recovery",
    ),
    applies_to=POSTGRES,
    needs_inventory=True,
)

_CONFIGURATION = "OperatorConfiguration.acid.zalan.do"
_BUCKETS = ("wal_s3_bucket", "wal_gs_bucket", "wal_az_storage_account")


@RULE.check
def check(cluster: Resource, context: Context) -> Iterator[Violation]:
    """Yield up to one violation each on instances, the archive and its base backups."""
    if is_replica(cluster):
        return
    count, pointer = instances_of(cluster)
    if count is not None and count < 2 and not (count == 0 and cluster.kind_id == ZALANDO):
        yield Violation(pointer, f"{cluster!r} runs {count} instance, at least 2 are wanted")
    if cluster.kind_id == ZALANDO:
        yield from _of_zalando(cluster, context.inventory)
    elif cluster.kind_id in CRUNCHY:
        yield from _of_crunchy(cluster)
    else:
        yield from _of_cloud_native_pg(cluster, context.inventory)


def _of_cloud_native_pg(cluster: Resource, inventory: Inventory) -> Iterator[Violation]:
    archiver = wal_archiver(cluster)
    if archiver is None:
        has_snapshots = isinstance(dig(cluster.spec, "backup", "volumeSnapshot"), dict)
        instead = "; snapshots alone restore to no other time" if has_snapshots else ""
        yield Violation("/spec/backup", f"{cluster!r} archives its WAL nowhere{instead}")
        return
    yield from _object_store(cluster, inventory)
    namespace = namespace_of(cluster)
    kind = f"ScheduledBackup.{cluster.kind_id.partition('.')[2]}"
    schedules = inventory.lookup(kind, namespace, _backed_up, cluster.name)
    if any(schedule.spec.get("suspend") is not True for schedule in schedules):
        return
    if schedules:
        message = f"the ScheduledBackup {schedules[0].name} of {cluster!r} is suspended"
        yield Violation("/spec/backup", message)
        return
    message = f"no ScheduledBackup makes base backups of {cluster!r}"
    if not inventory.complete:
        message += " here, but the other objects are not known"
    yield Violation("/spec/backup", message, unknown=not inventory.complete)


def _object_store(cluster: Resource, inventory: Inventory) -> Iterator[Violation]:
    """Yield a violation where the Barman Cloud plugin is told of a store that does not exist."""
    for plugin, place in items(cluster.spec.get("plugins"), "/spec/plugins"):
        if plugin.get("name") != BARMAN_PLUGIN or plugin.get("enabled") is False:
            continue
        pointer = f"{place}/parameters/barmanObjectName"
        name = text(dig(plugin, "parameters", "barmanObjectName"))
        if not name:
            yield Violation(pointer, f"the plugin {BARMAN_PLUGIN} is told of no ObjectStore")
        elif not inventory.get("ObjectStore.barmancloud.cnpg.io", namespace_of(cluster), name):
            unknown = not inventory.complete
            where = "here, but the other objects are not known" if unknown else "in the namespace"
            yield Violation(pointer, f"there is no ObjectStore {name} {where}", unknown=unknown)


def _of_crunchy(cluster: Resource) -> Iterator[Violation]:
    backups = mapping(cluster.spec.get("backups"))
    repos = list(items(dig(backups, "pgbackrest", "repos"), ""))
    if backups.get("enabled") is False or not repos:
        yield Violation(
            "/spec/backups",
            f"{cluster!r} has no pgBackRest repository to archive its WAL in",
            remediation=_CRUNCHY_REMEDIATION,
        )
    elif not any(mapping(repo.get("schedules")) for repo, _ in repos):
        yield Violation(
            "/spec/backups/pgbackrest/repos",
            f"no pgBackRest repository of {cluster!r} has schedules for backups",
            remediation=_CRUNCHY_REMEDIATION,
        )


_CRUNCHY_REMEDIATION = (
    "Schedule full backups into a repository outside the cluster:\n"
    "spec:\n  backups:\n    pgbackrest:\n      repos:\n        - name: repo1\n"
    '          schedules: {full: "0 1 * * 0", incremental: "0 1 * * 1-6"}\n'
    "          s3: {bucket: ledger, endpoint: s3.eu-central-1.amazonaws.com, region: eu-central-1}"
)
_ZALANDO_REMEDIATION = (
    "Name the bucket in the operator's configuration, or for this cluster:\n"
    "spec:\n  env:\n    - {name: WAL_S3_BUCKET, value: ledger-wal}\n"
    '    - {name: USE_WALG_BACKUP, value: "true"}'
)


def _of_zalando(cluster: Resource, inventory: Inventory) -> Iterator[Violation]:
    entries = items(cluster.spec.get("env"), "")
    names = {text(entry.get("name")) for entry, _ in entries if entry.get("value") != ""}
    if not names.isdisjoint(ARCHIVE_VARIABLES) or inventory.once(_is_archived_by_operator):
        return
    message = f"{cluster!r} archives its WAL nowhere"
    if cluster.spec.get("enableLogicalBackup") is True:
        message += ", and logical backups restore to no other time"
    unknown = inventory.once(_why_zalando_is_unknown)
    yield Violation(
        "/spec/env",
        f"{message} here, but {unknown}" if unknown else message,
        unknown=unknown is not None,
        remediation=_ZALANDO_REMEDIATION,
    )


def _is_archived_by_operator(inventory: Inventory) -> bool:
    """Tell whether the operator's configuration, in either of its forms, names a WAL archive."""
    for resource in inventory.of_kind(_CONFIGURATION):
        cloud = mapping(dig(resource.object, "configuration", "aws_or_gcp"))
        if any(cloud.get(bucket) for bucket in _BUCKETS):
            return True
        overrides = _pod_environment(resource, inventory)
        if (
            overrides is not None
            and ARCHIVE_VARIABLES & mapping(overrides.object.get("data")).keys()
        ):
            return True
    return any(
        dig(resource.object, "data", bucket)
        for resource in inventory.of_kind("ConfigMap")
        for bucket in _BUCKETS
    )


def _why_zalando_is_unknown(inventory: Inventory) -> str | None:
    configurations = inventory.of_kind(_CONFIGURATION)
    if not inventory.complete or not configurations:
        return "the operator's configuration is not known"
    for resource in configurations:
        settings = mapping(dig(resource.object, "configuration", "kubernetes"))
        if settings.get("pod_environment_secret"):
            return "the operator adds variables from a Secret"
        named = settings.get("pod_environment_configmap")
        if named and _pod_environment(resource, inventory) is None:
            return "the operator adds variables from a ConfigMap that is not here"
    return None


def _pod_environment(configuration: Resource, inventory: Inventory) -> Resource | None:
    """Return the ConfigMap of variables for every pod, named as "namespace/name" or by name alone."""
    named = text(
        dig(configuration.object, "configuration", "kubernetes", "pod_environment_configmap")
    )
    namespace, _, name = named.rpartition("/")
    return inventory.get("ConfigMap", namespace or namespace_of(configuration), name)


def _backed_up(schedule: Resource) -> tuple[str, ...]:
    return (text(dig(schedule.spec, "cluster", "name")),)
