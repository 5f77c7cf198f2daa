"""A workload that is given the URL of a database bounds its pool of connections.

Subjects: containers and sidecars of workloads that keep running with a connection string in `env` or
`envFrom`, by its form or, where it comes from a Secret, by the variable's name (DATABASE_URL, MONGO_URI).
Allowed: a pool parameter in the string; a variable, flag or mounted setting for the size of the pool; a
pooler, as the string's host or beside the container. 0 and -1 are no bound. What comes from a Secret is
not read, so that a pool which may be bounded there is `unknown`. Exporters hold one connection.
https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.database import (
    bounds_pool,
    is_bound,
    is_connection_name,
    is_connection_string,
    is_pool_setting,
    is_pooler,
    mentions_pool,
)
from tidewaiter.rules.manifest.environment import (
    Variable,
    expand,
    variables_of,
    whole_sources_of,
)
from tidewaiter.rules.manifest.fields import dig, items, mapping, sequence, text
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.environment import WholeSource
    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="db-pool-bound",
    section="secrets",
    severity="warning",
    summary="a workload that is given the URL of a database bounds its pool of connections",
    rationale=(
        "Each pod opens as many connections as its pool allows. Without a bound, scaling out under load uses "
        "up max_connections of the database, and every service that shares it fails at once."
    ),
    remediation=(
        "Bound the pool, so that the most pods times its size stay below the database's max_connections, or "
        'go through a pooler:\nenv:\n  - {name: DB_POOL_SIZE, value: "10"}'
    ),
    references=(
        "https://www.postgresql.org/docs/current/runtime-config-connection.html",
        "https://www.pgbouncer.org/features.html",
        "https://github.com/brettwooldridge/HikariCP/wiki/About-Pool-Sizing",
    ),
    applies_to=(WORKLOAD,),
    needs_inventory=True,
    parameters=(
        Parameter(
            "variables",
            "strings",
            (),
            "globs of the names of further variables that bound a pool, as ORDERS_DB_SLOTS",
            stricter="less",
        ),
    ),
    tags=("anti-pattern",),
    # A connection string often has the password in it.
    hides_value=True,
)

_KNATIVE = "Service.serving.knative.dev"
_POOLER_KIND = "Pooler.postgresql.cnpg.io"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each connection string whose pool nothing bounds."""
    if not workload.is_long_running and workload.kind_id != _KNATIVE:
        return
    running = [one for one in workload.containers if one.is_regular or one.is_sidecar]
    if any(is_pooler(text(container.spec.get("image"))) for container in running):
        return
    namespace = namespace_of(workload.resource)
    for container in running:
        variables = list(_variables(container, namespace, context))
        connections = [one for one in variables if _is_connection(one)]
        if not connections or "exporter" in text(container.spec.get("image")):
            continue
        if _is_set(variables, container, workload, context):
            continue
        hidden = next(
            (
                one.name
                for one in whole_sources_of(container)
                if _is_hidden(one, namespace, context)
            ),
            None,
        )
        for variable in connections:
            if bounds_pool(variable.value) or _leads_to_pooler(variable.value, namespace, context):
                continue
            unseen = variable.secret or variable.config_map or hidden
            yield Violation(
                variable.pointer,
                f"nothing bounds the pool of container {container.name} for {variable.name}"
                + (f", unless {unseen}, which is not read here, does" if unseen else ""),
                container.name,
                unknown=bool(unseen),
            )


def _variables(container: Container, namespace: str, context: Context) -> Iterator[Variable]:
    """Yield the variables, those of ConfigMaps that are seen with their values and as literals."""
    for source in whole_sources_of(container):
        data = _data(source.name, namespace, context) if source.kind == "ConfigMap" else None
        for key, value in mapping(data).items():
            yield Variable(f"{source.prefix}{key}", text(value), source.pointer)
    values: dict[str, str] = {}
    for variable in variables_of(container):
        found = _data(variable.config_map, namespace, context) if variable.config_map else None
        value = text(found.get(variable.key)) if found is not None else variable.value
        if "$(" in value:
            value = expand(value, values)
        values[variable.name] = value
        config_map = variable.config_map if found is None else ""
        yield Variable(variable.name, value, variable.pointer, variable.secret, config_map)


def _data(config_map: str, namespace: str, context: Context) -> dict[str, Any] | None:
    found = context.inventory.get("ConfigMap", namespace, config_map)
    return None if found is None else mapping(found.object.get("data"))


def _is_connection(variable: Variable) -> bool:
    """Tell by a literal's form, or by the name of what comes from elsewhere."""
    if variable.value:
        return is_connection_string(variable.value)
    return bool(variable.secret or variable.config_map) and is_connection_name(variable.name)


def _is_set(
    variables: list[Variable], container: Container, workload: Workload, context: Context
) -> bool:
    """Tell whether a variable, an argument or a mounted ConfigMap bounds the pool."""
    further = context.parameters["variables"]
    for variable in variables:
        if is_pool_setting(variable.name) or matches_any(variable.name, further):
            if variable.secret or variable.config_map or is_bound(variable.value):
                return True
        elif len(variable.value) > 20 and not is_connection_string(variable.value):
            if mentions_pool(variable.value):  # JAVA_OPTS and settings as JSON
                return True
    for field in ("command", "args"):
        if any(mentions_pool(text(argument)) for argument in sequence(container.spec.get(field))):
            return True
    return _is_in_files(container, workload, context)


def _is_in_files(container: Container, workload: Workload, context: Context) -> bool:
    mounted = {
        text(mount.get("name")) for mount, _ in items(container.spec.get("volumeMounts"), "")
    }
    namespace = namespace_of(workload.resource)
    for volume, _ in items(workload.pod_spec.get("volumes"), ""):
        name = text(dig(volume, "configMap", "name"))
        if name and text(volume.get("name")) in mounted:
            if context.inventory.once(_has_pool_setting, namespace, name):
                return True
    return False


def _has_pool_setting(inventory: Inventory, namespace: str, config_map: str) -> bool:
    found = inventory.get("ConfigMap", namespace, config_map)
    data = mapping(found.object.get("data")) if found is not None else {}
    return any(mentions_pool(text(value)) for value in data.values())


def _is_hidden(source: WholeSource, namespace: str, context: Context) -> bool:
    """Tell whether a source may have variables that are not seen here."""
    return source.kind == "Secret" or _data(source.name, namespace, context) is None


def _leads_to_pooler(connection: str, namespace: str, context: Context) -> bool:
    """Tell whether the host is the Service of a CloudNativePG Pooler, which is named as that."""
    host = connection.partition("?")[0].rpartition("@")[2].partition("/")[0].partition(":")[0]
    name, _, rest = host.partition(".")
    where = rest.partition(".")[0] or namespace
    return bool(name) and context.inventory.get(_POOLER_KIND, where, name) is not None
