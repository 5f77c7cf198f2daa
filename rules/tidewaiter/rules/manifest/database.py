"""Connection strings of databases, and what bounds the pool of connections behind one.

Forms: URLs (`postgres://`, `jdbc:mysql://`, `mongodb+srv://`), ADO.NET's `Host=db;Database=shop`, libpq's
`host=db dbname=shop`, and that of Go's MySQL driver, `user@tcp(db:3306)/shop`.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
https://www.mongodb.com/docs/manual/reference/connection-string-options/
https://www.npgsql.org/doc/connection-string-parameters.html
https://pkg.go.dev/github.com/jackc/pgx/v5/pgxpool#ParseConfig
"""

from __future__ import annotations

from functools import lru_cache

_SCHEMES = frozenset(
    {
        "cockroach", "cockroachdb", "mariadb", "mongodb", "mssql", "mysql", "mysql2", "oracle", "pgsql",
        "postgis", "postgres", "postgresql", "sqlserver",
    }
)  # fmt: skip
_DATABASES = frozenset(
    {
        "cockroach", "cockroachdb", "database", "datasource", "db", "jdbc", "mariadb", "mongo", "mongodb",
        "mssql", "mysql", "oracle", "pg", "postgres", "postgresql", "psql", "r2dbc", "sqlalchemy",
        "sqlserver",
    }
)  # fmt: skip
_OTHER_STORES = frozenset(
    {"cache", "couchdb", "dynamodb", "elasticsearch", "influxdb", "redis", "valkey"}
)
_PARAMETERS = frozenset(
    {
        "connectionlimit", "max", "maxactive", "maxconnections", "maxconns", "maximumpoolsize",
        "maxopenconnections", "maxopenconns", "maxpoolsize", "maxsize", "pool", "poolmax",
        "poolmaxconns", "poolmaxsize", "poolsize",
    }
)  # fmt: skip
"""Parameters of connection strings that bound a pool, in small letters and without separators."""
_SETTINGS = (
    "connectionlimit", "connlimit", "jdbcmaxsize", "maxactive", "maxconn", "maxdatabaseconn", "maxdbconn",
    "maximumpool", "maxopenconn", "maxpool", "poollimit", "poolmax", "poolsize", "reactivemaxsize",
)  # fmt: skip
"""What the names of variables, flags and settings that bound a pool have inside."""
_OTHER_POOLS = frozenset(
    {
        "amqp", "executor", "grpc", "http", "https", "jetty", "kafka", "min", "minimum", "redis", "task",
        "thread", "threads", "worker", "workers",
    }
)  # fmt: skip
_POOLERS = ("odyssey", "pgbouncer", "pgcat", "pgpool", "pooler", "proxysql", "supavisor", ".proxy-")
"""What hosts and images of poolers are called; `.proxy-` is in the hosts of the Amazon RDS Proxy."""
_SEPARATORS = str.maketrans("", "", "_-. ")


@lru_cache(maxsize=1024)
def is_connection_name(name: str) -> bool:
    """Tell whether a variable of this name holds a connection string: DATABASE_URL, MONGO_URI, DB_DSN."""
    words = name.lower().replace("-", "_").replace(".", "_").split("_")
    if words[-1] in ("url", "uri", "dsn") or words[-2:] == ["connection", "string"]:
        return not _DATABASES.isdisjoint(words) and _OTHER_STORES.isdisjoint(words)
    return name.lower().startswith("connectionstrings__")


def is_connection_string(value: str) -> bool:
    """Tell whether a text is a connection string of a database that serves over the network."""
    lowered = value[:400].lower()
    plain = lowered.removeprefix("jdbc:").removeprefix("r2dbc:").removeprefix("pool:")
    scheme, colon, _ = plain.partition(":")
    if colon and scheme.partition("+")[0] in _SCHEMES:
        return "//" in plain or (scheme == "oracle" and plain != lowered)
    if "@tcp(" in lowered or ("dbname=" in lowered and "host=" in lowered):
        return True
    return (
        ";" in lowered
        and any(key in lowered for key in ("server=", "host=", "data source="))
        and any(key in lowered for key in ("database=", "initial catalog="))
    )


def bounds_pool(connection: str) -> bool:
    """Tell whether a connection string bounds the pool by a parameter, or leads to a pooler."""
    rest = connection.partition("://")[2] or connection
    authority = rest.partition("?")[0].rpartition("@")[2].partition("/")[0].lower()
    if ":6432" in authority or is_pooler(authority):
        return True
    parts = rest.replace("?", "&").replace(";", "&").split("&")
    if "dbname=" in rest.lower() and "://" not in connection:
        parts = rest.split()
    for part in parts:
        name, _, value = part.partition("=")
        plain = name.lower().translate(_SEPARATORS)
        if plain in _PARAMETERS and is_bound(value):
            return True
        if plain == "pgbouncer" and value.lower() == "true":
            return True
    return False


def is_pooler(host_or_image: str) -> bool:
    """Tell whether a host or an image is one of a pooler, such as PgBouncer."""
    lowered = host_or_image.lower()
    return any(word in lowered for word in _POOLERS)


def is_bound(value: str) -> bool:
    """Tell whether a value bounds anything: 0 and -1 mean that there is no bound."""
    return value.strip() not in ("", "0", "-1")


@lru_cache(maxsize=1024)
def is_pool_setting(name: str) -> bool:
    """Tell whether a variable, flag or property of this name bounds a pool of database connections."""
    lowered = name.lower()
    words = lowered.replace("-", "_").replace(".", "_").split("_")
    if words == ["rails", "max", "threads"]:  # Rails takes it for the size of its pool
        return True
    if not _OTHER_POOLS.isdisjoint(words):
        return False
    if words[-1] == "pool" and not _DATABASES.isdisjoint(words):
        return True
    return mentions_pool(lowered)


def mentions_pool(text: str) -> bool:
    """Tell whether a text, such as a file of settings, has one that bounds a pool."""
    plain = text.lower().translate(_SEPARATORS)
    return any(setting in plain for setting in _SETTINGS)
