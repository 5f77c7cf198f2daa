"""no-literal-secret: whatever a value is, it is never shown, and nothing makes the rule fail."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.assignment import assigned_credential
from tidewaiter.rules.manifest.credential import credential_form, is_literal_credential
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy

RULES = ("no-literal-secret", "no-secret-manifest")
SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#%&", min_size=12)


def messages(obj: dict[str, Any]) -> list[str]:
    resource = Resource(obj)
    policy = Policy({"only": list(RULES)})
    report = evaluate([resource], policy, Inventory([resource], complete=True), today="2026-11-23")
    assert not report.crashes
    return [f"{finding.message} {finding.remediation}" for finding in report.findings]


def pod(**container: Any) -> dict[str, Any]:
    containers = [{"name": "api", "image": "api", **container}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "api"},
        "spec": {"containers": containers},
    }


@given(SECRET)
def test_a_password_is_never_in_what_is_said_of_it(value: str) -> None:
    found = [
        *messages(pod(env=[{"name": "DB_PASSWORD", "value": value}])),
        *messages(pod(args=[f"--password={value}", "--db-password", value])),
        *messages(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "api", "annotations": {"example.com/password": value}},
                "data": {"password": value, "file": f"a: b\npassword: {value}\n"},
            }
        ),
        *messages(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "api"},
                "stringData": {"password": value},
            }
        ),
    ]
    assert all(value not in message for message in found)


@given(st.text(), st.text())
def test_any_name_and_value_can_be_asked_about(name: str, value: str) -> None:
    credential_form(value)
    is_literal_credential(name, value)
    assigned_credential(f"{name}\npassword: {value}", name)


@given(SECRET)
def test_what_stands_before_a_password_is_not_taken_for_its_name(value: str) -> None:
    found = messages(pod(command=["sh", "-c", f"login {value}; PASSWORD=hunter2 run"]))
    found += messages(pod(args=[f"-p{value} token", value]))
    assert found
    assert all(value not in message for message in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_fields_of_any_shape_make_no_rule_fail(one: Any, two: Any, three: Any) -> None:
    messages(pod(env=[{"name": one, "value": two}], args=[three], lifecycle=one, livenessProbe=two))
    messages(pod(env=one, command=two, readinessProbe={"exec": three}))
    for data in (one, {"password": two}):
        messages({"kind": "ConfigMap", "metadata": {"annotations": three}, "data": data})
        messages({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "binaryData": three})


def test_long_hostile_texts_take_no_long_time() -> None:
    start = process_time()
    for piece in ("-eyJaaaaaaaa", "password=", "a.b-c://x:", 'password="', "sk-proj-", "token: "):
        text = piece * 20_000
        credential_form(text)
        assigned_credential(text)
    assert process_time() - start < 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "hunter2"),
        ("dbPassword", "correct-horse"),
        ("spring.datasource.password", "Tr0ub4dor&3"),
        ("--password", "123456"),
        ("SECRET_KEY_BASE", "d41d8cd98f00b204e9800998ecf8427e"),
        ("ENCRYPTION_KEY", "5c0a8d3e91bb47f2"),
    ],
)
def test_values_that_are_credentials(name: str, value: str) -> None:
    assert is_literal_credential(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "$(DB_PASSWORD)"),
        ("DB_PASSWORD", "/run/secrets/db"),
        ("DB_PASSWORD", "********"),
        ("DB_PASSWORD_SECRET_NAME", "api-database"),
        ("TOKEN_EXPIRY", "3600s"),
        ("SECRET", "payments-api-tls-v2"),
        ("SESSION_KEY", "session-id"),
        ("KEYBOARD", "a1b2c3d4e5f6a7b8"),
        ("USER", "a1b2c3d4e5f6a7b8"),
    ],
)
def test_values_that_are_none(name: str, value: str) -> None:
    assert not is_literal_credential(name, value)
