"""The quick answer, whether an object fits, and the long one, where it does not, are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.schema import definitions
from tidewaiter.rules.schema.lifecycle import lifecycle_of, replacement_of
from tidewaiter.rules.schema.validate import _in_mapping, mistakes

EXAMPLES = Path(__file__).parents[3] / "deploy/examples"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "1Gi", "25%", "YQ==", "2026-01-31T12:00:00Z", "http"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["spec", "template", "containers", "name", "env", "value", "resources", "limits", "ports",
             "containerPort", "data", "metadata", "labels", "unknown", "maxUnavailable", "selector"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=15,
)  # fmt: skip


@given(VALUES, st.sampled_from(["apps.v1.Deployment", "core.v1.Pod", "core.v1.Secret"]))
def test_quick_and_long_answer_agree(value: Any, definition: str) -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": value}
    assert list(mistakes(obj, definition, 37)) == list(_in_mapping(obj, definition, 37, ""))


def test_the_examples_fit_in_every_version() -> None:
    for file in sorted(EXAMPLES.rglob("*.yaml")):
        for resource in read_resources(file.read_bytes(), str(file)).resources:
            for minor in range(definitions.OLDEST[1] + 9, definitions.NEWEST[1] + 1):
                name = definitions.definition_of(resource.api_version, resource.kind, (1, minor))
                if name is not None:
                    found = [one.message for one in mistakes(resource.object, name, minor)]
                    assert not [one for one in found if "has no field" in one], (file, resource)


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("apps/v1", "Deployment", (None, None, None)),
        ("policy/v1beta1", "PodDisruptionBudget", (None, 21, 25)),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", (None, 23, 26)),
        ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", (26, 29, 32)),
        ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy", (28, 31, 34)),
        ("storage.k8s.io/v1beta1", "VolumeAttributesClass", (31, 34, 37)),
        ("v1", "Endpoints", (None, 33, None)),
    ],
)
def test_lifecycles_are_those_of_the_deprecation_guide(
    api_version: str, kind: str, expected: tuple[int | None, ...]
) -> None:
    life = lifecycle_of(api_version, kind)
    assert life is not None
    assert (life.introduced, life.deprecated, life.removed) == expected


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("extensions/v1beta1", "Deployment", "apps/v1"),
        ("extensions/v1beta1", "Ingress", "networking.k8s.io/v1"),
        ("autoscaling/v2beta1", "HorizontalPodAutoscaler", "autoscaling/v1"),
        ("policy/v1beta1", "PodSecurityPolicy", None),
        ("resource.k8s.io/v1beta1", "ResourceClaim", "resource.k8s.io/v1"),
    ],
)
def test_the_replacement_is_the_stable_version(
    api_version: str, kind: str, expected: str | None
) -> None:
    assert replacement_of(api_version, kind, (1, 37)) == expected
