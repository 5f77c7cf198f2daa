"""Versions that a SecretProviderClass pins."""

from __future__ import annotations

import pytest

from tidewaiter.rules.manifest.secrets_store import pinned_version


@pytest.mark.parametrize(
    ("objects", "version"),
    [
        ("- objectName: db\n  objectVersion: abc", "abc"),
        ("- objectVersion: 'abc' # fixed", "abc"),
        ('array:\n  - |\n    objectName: db\n    "objectVersion": "abc"', "abc"),
        ('- resourceName: "projects/1/secrets/db/versions/5"', "5"),
        ("- resourceName: projects/1/secrets/db/versions/latest", None),
        ("- objectName: db\n  objectVersion: ''", None),
        ("objectVersion: # the newest", None),
        ("objectVersion: latest", None),
        ("objectVersionLabel: AWSCURRENT", None),
        ("", None),
    ],
)
def test_pinned_versions(objects: str, version: str | None) -> None:
    assert pinned_version(objects) == version
