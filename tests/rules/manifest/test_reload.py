"""Names that change with the content of an object."""

from __future__ import annotations

import pytest

from tidewaiter.rules.manifest.reload import has_content_in_name


@pytest.mark.parametrize(
    "name", ["api-7m2k9tb4cd", "api-3f9a1c2e", "api-settings-9b74c9897bac770f"]
)
def test_names_that_end_in_a_hash(name: str) -> None:
    assert has_content_in_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "api",
        "7m2k9tb4cd",
        "api-settings",
        "api-production",
        "api-20260101",
        "api-deadbeef",
        "api-c8a1b2c3",
        "api-v2",
        "api-",
        "",
    ],
)
def test_other_names(name: str) -> None:
    assert not has_content_in_name(name)
