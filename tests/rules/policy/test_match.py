"""Which objects, containers and files a match speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.match import compile_match

API = Resource(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "payments-api", "namespace": "payments", "labels": {"tier": "front"}},
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "api"}},
                "spec": {
                    "containers": [
                        {"name": "api", "image": "ghcr.io/shop/api:1"},
                        {"name": "proxy", "image": "envoy:1"},
                    ]
                },
            }
        },
    },
    "./deploy/payments/api.yaml",
)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"namespaces": ["pay*"]}, True),
        ({"namespaces": ["pay"]}, False),
        ({"namespaces": ["other", "payments"]}, True),
        ({"kinds": ["deployment"]}, True),
        ({"kinds": ["Deployment.apps"]}, True),
        ({"kinds": ["Deploy"]}, False),
        ({"names": ["*-api"]}, True),
        ({"names": ["payments-[bc]*"]}, False),
        ({"names": ["payments-[!bc]*"]}, True),
        ({"labels": {"tier": "front"}}, True),
        ({"labels": {"app": "api", "tier": "front"}}, True),
        ({"labels": {"app": "web"}}, False),
        ({"files": ["deploy/**"]}, True),
        ({"files": ["**/api.yaml"]}, True),
        ({"files": ["deploy/*.yaml"]}, False),
        ({"files": ["deploy/*/api.yaml"]}, True),
        ({"namespaces": ["payments"], "kinds": ["StatefulSet"]}, False),
    ],
)
def test_every_given_field_must_match(match: dict[str, Any], expected: bool) -> None:
    assert compile_match(match).matches(API) is expected


@pytest.mark.parametrize(
    ("match", "container", "expected"),
    [
        ({}, "api", True),
        ({}, None, True),
        ({"containers": ["api"]}, "api", True),
        ({"containers": ["api"]}, "proxy", False),
        ({"containers": ["api"]}, None, False),
        ({"images": ["ghcr.io/*"]}, "api", True),
        ({"images": ["ghcr.io/*"]}, "proxy", False),
        ({"images": ["ghcr.io/*"]}, None, True),
    ],
)
def test_containers_and_images_narrow_it(
    match: dict[str, Any], container: str | None, expected: bool
) -> None:
    assert compile_match(match).matches_container(API, container) is expected
