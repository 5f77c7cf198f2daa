"""What stands in messages in place of a credential."""

from __future__ import annotations

import pytest

from tidewaiter.rules.manifest.credential import masked
from tidewaiter.rules.manifest.fields import quoted

TOKEN = "ghp_" + "aB3dE6gH9jK2" * 3
"""In the form of a token, and none."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"the path '{TOKEN}'", "the path '***'"),
        ("https://bob:hunter2@example.com/x", "https://bob:***@example.com/x"),
        ("--password=hunter2abc and more", "--password=*** and more"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ('{"DB_PASSWORD": "hunter2"}', '{"DB_PASSWORD": "***"}'),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ('proxy_set_header Authorization "Bearer abcdefgh"', 'proxy_set_header Authorization "Bearer ***"'),
        ("LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=", "***"),
    ],
)  # fmt: skip
def test_a_credential_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the pod mounts its token (automountServiceAccountToken: true)",
        "there is no Secret tls-secret (secretName: tls-secret)",
        "key 'token' of ConfigMap api: not there",
        "postgres://app:${PASSWORD}@db/shop",
        "https://example.com/@scope/package",
        "password: '$(PASSWORD)'",
        "image registry.example/app@sha256:0123456789abcdef has no tag",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert masked(text) == text


def test_a_value_is_masked_before_it_is_cut() -> None:
    assert quoted(f"a text before it that is quite long, {TOKEN}") == (
        "'a text before it that is quite long, ***'"
    )
