"""What Kafka stores has three copies, of which two are written before a write counts.

Restricted kinds, all of Strimzi: Kafka (spec.kafka.replicas, spec.zookeeper.replicas and the broker
settings in spec.kafka.config), KafkaNodePool (brokers and controllers of a cluster, over all its pools) and
KafkaTopic (spec.replicas and min.insync.replicas). Allowed: 3 or more of each, min.insync.replicas at least 2
and less than the copies. A topic that leaves a field out takes the brokers' setting.
https://strimzi.io/docs/operators/latest/configuring and https://kafka.apache.org/documentation/#brokerconfigs
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import dig, mapping, quoted, sequence, text
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_CLUSTER = "Kafka.kafka.strimzi.io"
_POOL = "KafkaNodePool.kafka.strimzi.io"
_TOPIC = "KafkaTopic.kafka.strimzi.io"

RULE = Rule(
    name="kafka-replication",
    section="stateful",
    severity="warning",
    summary="a Kafka cluster and its topics keep 3 copies and write 2 of them before they answer",
    rationale=(
        "With one copy a lost disk is lost messages. With min.insync.replicas of 1 an acknowledged write "
        "may stand on the broker that fails next; with as many as there are copies, one restart stops "
        "all writes."
    ),
    remediation=(
        "Run three brokers and set the copies for every topic:\n"
        "spec:\n  kafka:\n    config:\n      default.replication.factor: 3\n"
        "      min.insync.replicas: 2\n      offsets.topic.replication.factor: 3\n"
        "      transaction.state.log.replication.factor: 3\n      transaction.state.log.min.isr: 2"
    ),
    references=(
        "https://strimzi.io/docs/operators/latest/deploying",
        "https://kafka.apache.org/documentation/#brokerconfigs_min.insync.replicas",
    ),
    applies_to=(_CLUSTER, _POOL, _TOPIC),
    needs_inventory=True,
)

_LEAST_COPIES = 3
_LEAST_IN_SYNC = 2
_IN_SYNC = "min.insync.replicas"
_COPIES_OF_INTERNAL_TOPICS = (
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation for each number that is too low, or leaves no broker to spare."""
    if resource.kind_id == _CLUSTER:
        yield from _of_cluster(resource, context)
    elif resource.kind_id == _POOL:
        yield from _of_pool(resource, context)
    else:
        yield from _of_topic(resource)


def _of_cluster(cluster: Resource, context: Context) -> Iterator[Violation]:
    kafka = mapping(cluster.spec.get("kafka"))
    pools = context.inventory.lookup(_POOL, namespace_of(cluster), _cluster_of, cluster.name)
    has_pools = pools or cluster.annotations.get("strimzi.io/node-pools") == "enabled"
    # With node pools these fields are ignored.
    if not has_pools:
        yield from _too_few(
            kafka.get("replicas"), "/spec/kafka/replicas", f"{cluster!r}", "brokers"
        )
    if cluster.annotations.get("strimzi.io/kraft") != "enabled":
        zookeeper = dig(cluster.spec, "zookeeper", "replicas")
        place = "/spec/zookeeper/replicas"
        yield from _too_few(zookeeper, place, f"{cluster!r}", "ZooKeeper nodes")
    config, pointer = mapping(kafka.get("config")), "/spec/kafka/config"
    yield from _copies(config, pointer)
    for name in _COPIES_OF_INTERNAL_TOPICS:
        yield from _too_few(config.get(name), f"{pointer}/{name}", name, "copies")


def _copies(config: Mapping[str, Any], pointer: str) -> Iterator[Violation]:
    """Yield what is wrong with the brokers' settings for topics; both are 1 where they are left out."""
    name = "default.replication.factor"
    if config.get(name) is None:
        yield Violation(f"{pointer}/{name}", f"{name} is not set, and 1 without it")
    else:
        yield from _too_few(config[name], f"{pointer}/{name}", name, "copies")
    if config.get(_IN_SYNC) is None:
        yield Violation(f"{pointer}/{_IN_SYNC}", f"{_IN_SYNC} is not set, and 1 without it")
    else:
        yield from _in_sync(config[_IN_SYNC], _number(config.get(name)), f"{pointer}/{_IN_SYNC}")


def _of_pool(pool: Resource, context: Context) -> Iterator[Violation]:
    name = text(pool.labels.get("strimzi.io/cluster"))
    if not name:
        return
    for role in ("broker", "controller"):
        if role not in sequence(pool.spec.get("roles")):
            continue
        total = context.inventory.once(_total, namespace_of(pool), name, role)
        if total is None or total >= _LEAST_COPIES:
            continue
        message = (
            f"Kafka {name} has {total} {role}{'' if total == 1 else 's'}, at least 3 are wanted"
        )
        unknown = not context.inventory.complete
        yield Violation(
            "/spec/replicas",
            f"{message}, but its other pools are not known" if unknown else message,
            unknown=unknown,
        )
        return


def _total(inventory: Inventory, namespace: str, cluster: str, role: str) -> int | None:
    """Return how many nodes of a role all pools of a cluster have, or None where one does not say."""
    total = 0
    for pool in inventory.lookup(_POOL, namespace, _cluster_of, cluster):
        if role in sequence(pool.spec.get("roles")):
            count = _number(pool.spec.get("replicas"))
            if count is None:
                return None
            total += count
    return total


def _of_topic(topic: Resource) -> Iterator[Violation]:
    replicas = _number(topic.spec.get("replicas"))
    # -1 asks for the brokers' setting, as does a field that is left out.
    if replicas is not None and replicas > 0:
        yield from _too_few(replicas, "/spec/replicas", f"{topic!r}", "copies")
    in_sync = dig(topic.spec, "config", _IN_SYNC)
    if in_sync is not None:
        copies = replicas if replicas is not None and replicas > 0 else None
        yield from _in_sync(in_sync, copies, f"/spec/config/{_IN_SYNC}")


def _too_few(value: object, pointer: str, what: str, unit: str) -> Iterator[Violation]:
    count = _number(value)
    if count is not None and count < _LEAST_COPIES:
        verb = "asks for" if "." in what else "has"
        one = unit if count != 1 else {"copies": "copy"}.get(unit, unit.removesuffix("s"))
        yield Violation(pointer, f"{what} {verb} {count} {one}, at least 3 are wanted")


def _in_sync(value: object, copies: int | None, pointer: str) -> Iterator[Violation]:
    count = _number(value)
    if count is None:
        return
    if count < _LEAST_IN_SYNC:
        yield Violation(pointer, f"{_IN_SYNC} is {quoted(value)}, at least 2 is wanted")
    elif copies is not None and count >= copies >= _LEAST_COPIES:
        yield Violation(
            pointer,
            f"{_IN_SYNC} is {quoted(value)} of {copies} copies: writes stop with the first broker",
        )


def _number(value: object) -> int | None:
    """Read a whole number, which the settings of brokers may give as a text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        digits = value.removeprefix("-")
        return int(value) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None
    return value if isinstance(value, int) else None


def _cluster_of(pool: Resource) -> tuple[str, ...]:
    return (text(pool.labels.get("strimzi.io/cluster")),)
