"""A Redis of an operator has replicas, enough sentinels to elect one, and keeps its data on disk.

Restricted kinds: Redis, RedisReplication, RedisSentinel and RedisCluster of the OT Container Kit, and
RedisFailover of Spotahome. Allowed: at least one replica beside each primary, 3 sentinels or 3 leaders, and
storage in claims.
https://github.com/OT-CONTAINER-KIT/redis-operator and https://github.com/spotahome/redis-operator
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, mapping, whole_number
from tidewaiter.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

_GROUP = "redis.redis.opstreelabs.in"
_FAILOVER = "RedisFailover.databases.spotahome.com"

RULE = Rule(
    name="redis-replication",
    section="stateful",
    severity="info",
    summary="a Redis has replicas, enough sentinels and persistent storage",
    rationale=(
        "A single Redis is down with its node. Two sentinels cannot outvote a partition. Without storage "
        "a restart comes up empty, and replicas copy the emptiness."
    ),
    remediation=(
        "Run replicas and keep the data in claims:\n"
        "apiVersion: redis.redis.opstreelabs.in/v1beta2\nkind: RedisReplication\n"
        "metadata: {name: sessions}\nspec:\n  clusterSize: 3\n  storage:\n    volumeClaimTemplate:\n"
        "      spec:\n        storageClassName: fast\n        accessModes: [ReadWriteOnce]\n"
        "        resources: {requests: {storage: 2Gi}}"
    ),
    references=(
        "https://github.com/OT-CONTAINER-KIT/redis-operator",
        "https://github.com/spotahome/redis-operator",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/",
    ),
    applies_to=(
        f"Redis.{_GROUP}",
        f"RedisReplication.{_GROUP}",
        f"RedisSentinel.{_GROUP}",
        f"RedisCluster.{_GROUP}",
        _FAILOVER,
    ),
)


@RULE.check
def check(redis: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation for each number that is too low, and for data that is not kept."""
    del context
    if redis.kind_id == _FAILOVER:
        yield from _of_failover(redis)
    elif redis.kind == "RedisSentinel":
        yield from _at_least(
            3, redis.spec.get("clusterSize"), "/spec/clusterSize", "sentinels", redis
        )
    elif redis.kind == "RedisCluster":
        yield from _of_cluster(redis)
    else:
        if redis.kind == "Redis":
            yield Violation("/kind", f"{redis!r} is a single instance without replicas")
        else:
            size = redis.spec.get("clusterSize")
            yield from _at_least(2, size, "/spec/clusterSize", "instances", redis)
        if not isinstance(redis.spec.get("storage"), dict):
            yield Violation(
                "/spec/storage", f"{redis!r} has no storage, so a restart loses its data"
            )


def _of_cluster(redis: Resource) -> Iterator[Violation]:
    for role, least in (("Leader", 3), ("Follower", 1)):
        part = f"redis{role}"
        own = dig(redis.spec, part, "replicas")
        pointer = "/spec/clusterSize" if own is None else f"/spec/{part}/replicas"
        count = redis.spec.get("clusterSize") if own is None else own
        yield from _at_least(least, count, pointer, f"{role.lower()}s", redis)
    if not isinstance(redis.spec.get("storage"), dict):
        yield Violation("/spec/storage", f"{redis!r} has no storage, so a restart loses its data")
    elif redis.spec.get("persistenceEnabled") is not True:
        yield Violation(
            "/spec/persistenceEnabled",
            f"{redis!r} has storage and does not use it: persistenceEnabled is not true",
            remediation="Turn it on:\nspec:\n  persistenceEnabled: true",
        )


def _of_failover(redis: Resource) -> Iterator[Violation]:
    # 0 and a field that is left out both mean the operator's default of 3.
    replicas = dig(redis.spec, "redis", "replicas") or 3
    yield from _at_least(2, replicas, "/spec/redis/replicas", "instances", redis)
    sentinel = mapping(redis.spec.get("sentinel"))
    if sentinel.get("enabled") is not False:
        count = sentinel.get("replicas") or 3
        yield from _at_least(3, count, "/spec/sentinel/replicas", "sentinels", redis)
    if not isinstance(dig(redis.spec, "redis", "storage", "persistentVolumeClaim"), dict):
        yield Violation(
            "/spec/redis/storage",
            f"{redis!r} has no persistentVolumeClaim, so a restart loses its data",
            remediation=(
                "Keep the data in claims:\nspec:\n  redis:\n    storage:\n"
                "      persistentVolumeClaim:\n        metadata: {name: data}\n        spec:\n"
                "          accessModes: [ReadWriteOnce]\n          resources: {requests: {storage: 2Gi}}"
            ),
        )


def _at_least(
    least: int, value: object, pointer: str, what: str, redis: Resource
) -> Iterator[Violation]:
    number = whole_number(value)
    if number is not None and number < least:
        noun = what.removesuffix("s") if number == 1 else what
        wanted = "1 is" if least == 1 else f"{least} are"
        yield Violation(pointer, f"{redis!r} has {number} {noun}, at least {wanted} wanted")
