"""Which objects, containers and files a match speaks of."""

from __future__ import annotations

import fnmatch
import re
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.match import compile_match, expression

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
        ({"names": ["payments-[^a]*"]}, False),
        ({"names": ["payments[-]a?i"]}, True),
        ({"names": ["payments.api"]}, False),
        ({"names": ["payments"]}, False),
        ({"names": ["PAYMENTS-API"]}, False),
        ({"kinds": ["*.apps"]}, True),
        ({"kinds": ["Deployment.extensions"]}, False),
        ({"labels": {"tier": "front"}}, True),
        ({"labels": {"app": "api", "tier": "front"}}, True),
        ({"labels": {"app": "web"}}, False),
        ({"files": ["deploy/**"]}, True),
        ({"files": ["**/api.yaml"]}, True),
        ({"files": ["deploy/*.yaml"]}, False),
        ({"files": ["deploy/*/api.yaml"]}, True),
        ({"files": ["deploy?payments/*"]}, False),
        ({"files": ["deploy[!x]payments/*"]}, False),
        ({"files": ["**/deploy/**/api.yaml"]}, True),
        ({"files": ["**"]}, True),
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
        ({"images": ["quay.io/*"]}, None, False),
        ({"containers": ["api"], "images": ["envoy:*"]}, "api", False),
    ],
)
def test_containers_and_images_narrow_it(
    match: dict[str, Any], container: str | None, expected: bool
) -> None:
    assert compile_match(match).matches_container(API, container) is expected


def test_an_image_is_no_reason_for_an_object_without_containers() -> None:
    service = Resource({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
    match = compile_match({"images": ["*"]})
    assert match.matches(service)
    assert not match.matches_container(service, None)


@pytest.mark.parametrize("value", [None, 1, [], "a"])
def test_objects_of_an_odd_shape_are_asked_without_an_error(value: Any) -> None:
    resource = Resource({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": value})
    match = {"names": ["b"], "namespaces": ["b"], "labels": {"a": "b"}, "images": ["b"]}
    assert not compile_match(match).matches(resource)


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="the range z-a runs backwards"):
        expression("[z-a]")


@given(
    st.text(alphabet="ab-[]!*?^.&|~/\\", max_size=8), st.text(alphabet="ab-[]!.&/\\", max_size=6)
)
def test_globs_mean_what_they_mean_elsewhere(pattern: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = re.compile(expression(pattern), re.DOTALL).fullmatch(text)
            re.compile(expression(pattern, in_path=True))
        except ValueError:
            return
    if "[^" not in pattern:  # fnmatch takes only `!` for a set of what is not meant
        assert bool(found) == fnmatch.fnmatchcase(text, pattern)
