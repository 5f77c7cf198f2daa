"""Databases are run by an operator, not by a plain workload.

Restricted field: the images of the containers of Deployments, StatefulSets, DaemonSets and the like. Allowed:
images that the policy does not list as databases, containers that only run a database's client, and
workloads that an owner (an operator's resource) made. Bare Pods and Jobs are left alone: they are for tests
and for tasks.
https://kubernetes.io/docs/concepts/extend-kubernetes/operator/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, sequence
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-bare-database",
    section="stateful",
    severity="info",
    summary="Postgres, Redis and Kafka are run by an operator, not by a plain workload",
    rationale=(
        "A plain Deployment or StatefulSet restarts a database, and no more: failover, backups, "
        "upgrades of the data and resizing are left to whoever is on call."
    ),
    remediation=(
        "Have an operator run it, such as CloudNativePG, Strimzi or a Redis operator:\n"
        "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: ledger}\n"
        "spec:\n  instances: 3\n  storage: {size: 20Gi, storageClass: fast-retain}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/extend-kubernetes/operator/",
        "https://cloudnative-pg.io/documentation/current/",
        "https://strimzi.io/docs/operators/latest/overview",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "images",
            "strings",
            (
                "cp-kafka",
                "cp-server",
                "kafka",
                "kafka-native",
                "keydb",
                "pgvector",
                "postgis",
                "postgres",
                "postgresql",
                "redis",
                "redis-cluster",
                "redis-stack-server",
                "redpanda",
                "timescaledb",
                "timescaledb-ha",
                "valkey",
                "valkey-cluster",
            ),
            "databases, by the last part of the image's name (`redis` for `docker.io/bitnami/redis`)",
            stricter="more",
        ),
    ),
)

_SHELLS = frozenset({"ash", "bash", "dash", "sh", "tini", "dumb-init"})
_SERVERS = ("entrypoint", "postgres", "server", "start", "/run", "redpanda")
"""What the program's name holds where a server is started by hand."""


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each container that runs a database."""
    if not (workload.is_long_running or workload.kind_id in _OTHERS):
        return
    if dig(workload.resource.object, "metadata", "ownerReferences"):
        return
    databases = context.parameters["images"]
    for container in workload.containers:
        if container.is_init and not container.is_sidecar:
            continue
        try:
            name = parse_image(container.spec.get("image")).repository.rpartition("/")[2]
        except InvalidImage:
            continue
        if name in databases and _runs_server(container):
            resource = workload.resource
            yield Violation(
                f"{container.pointer}/image",
                f"container {container.name} runs {name} in a plain {resource.kind}, "
                "which knows no failover or backup",
                container.name,
            )


_OTHERS = ("ReplicaSet.apps", "ReplicationController")


def _runs_server(container: Container) -> bool:
    """Tell whether a container of a database's image runs the server and not a client of it."""
    words = [
        word
        for field in ("command", "args")
        for word in sequence(container.spec.get(field))
        if isinstance(word, str)
    ]
    if not words or words[0].startswith("-"):
        # The image's own entry point, with options at most.
        return True
    program = words[0].rpartition("/")[2]
    if program not in _SHELLS:
        return any(part in words[0] for part in _SERVERS)
    # What a script starts is a word of it; the URL of a server is none.
    said = " ".join(words[1:]).split()
    return (
        any(
            part in word
            for word in said
            for part in ("-server", "docker-entrypoint", "/run", "bin/postgres")
        )
        or "postgres" in said
    )
