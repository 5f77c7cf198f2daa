"""Connection strings of databases and the settings of pools."""

from __future__ import annotations

import pytest

from tidewaiter.rules.manifest.database import (
    bounds_pool,
    is_connection_name,
    is_connection_string,
    is_pool_setting,
)


@pytest.mark.parametrize(
    "name",
    [
        "DATABASE_URL",
        "SHOP_DB_DSN",
        "MONGO_URI",
        "db.url",
        "PG_CONNECTION_STRING",
        "ConnectionStrings__Shop",
    ],
)
def test_names_of_connection_strings(name: str) -> None:
    assert is_connection_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "API_URL",
        "DATABASE_HOST",
        "REDIS_DB_URL",
        "URL",
        "DATABASE_URL_FILE",
        "CONNECTION_STRING",
        "",
    ],
)
def test_names_of_other_values(name: str) -> None:
    assert not is_connection_name(name)


@pytest.mark.parametrize(
    "value",
    [
        "postgres://db/shop",
        "postgresql+psycopg://db/shop",
        "jdbc:mariadb://db/shop",
        "r2dbc:pool:postgresql://db/shop",
        "jdbc:oracle:thin:@db:1521:shop",
        "mongodb+srv://db/shop",
        "api@tcp(db:3306)/shop",
        "host=db dbname=shop",
        "Data Source=db;Initial Catalog=shop",
    ],
)
def test_forms_of_connection_strings(value: str) -> None:
    assert is_connection_string(value)
    assert not bounds_pool(value)


@pytest.mark.parametrize(
    "value",
    [
        "redis://cache",
        "sqlite:///shop.db",
        "https://db/shop",
        "postgres",
        "mysql:8",
        "oracle:1",
        "a;b",
        "",
    ],
)
def test_other_values_are_no_connection_strings(value: str) -> None:
    assert not is_connection_string(value)


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        ("postgres://db/shop?connection_limit=5", True),
        ("postgres://db/shop?pgbouncer=true", True),
        ("postgres://db/shop?pgbouncer=false", False),
        ("mongodb://db/?w=1&maxPoolSize=20", True),
        ("mongodb://db/?maxPoolSize=0", False),
        ("jdbc:sqlserver://db;database=shop;maxPoolSize=9", True),
        ("Server=db;Database=shop;Max Pool Size=9", True),
        ("postgres://pooler:secret@db/shop", False),
        ("postgres://u@db/pgbouncer", False),
        ("postgres://u@ep-pooler.example.com/shop", True),
    ],
)
def test_what_bounds_a_pool(value: str, bound: bool) -> None:
    assert bounds_pool(value) is bound


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("DB_POOL", True),
        ("DB_POOL_SIZE", True),
        ("KC_DB_POOL_MAX_SIZE", True),
        ("GF_DATABASE_MAX_OPEN_CONN", True),
        ("QUARKUS_DATASOURCE_JDBC_MAX_SIZE", True),
        ("SPRING_DATASOURCE_HIKARI_MAXIMUMPOOLSIZE", True),
        ("RAILS_MAX_THREADS", True),
        ("NODE_POOL", False),
        ("DB_POOL_MIN_SIZE", False),
        ("THREAD_POOL_SIZE", False),
        ("REDIS_POOL_SIZE", False),
        ("DB_POOL_TIMEOUT", False),
    ],
)
def test_names_that_bound_a_pool(name: str, bounds: bool) -> None:
    assert is_pool_setting(name) is bounds
