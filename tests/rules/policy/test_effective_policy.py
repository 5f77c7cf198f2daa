"""The effective policy of an object agrees with what the engine runs, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.explain import effective_policy

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy

DAEMON = Resource(
    {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "agent"}]}}},
    }
)
PLAIN: PlainPolicy = {
    "file": "tidewaiter.yaml",
    "rules": {"image-digest": {"severity": "warning"}, "no-latest-tag": {"enabled": False}},
    "overrides": [
        {
            "match": {"namespaces": ["kube-*"]},
            "profiles": ["pss-baseline"],
            "rules": {"no-host-ports": {"parameters": {"allowed": [9100]}}},
            "line": 12,
        }
    ],
    "exemptions": [
        {
            "match": {"names": ["agent"]},
            "rules": ["no-host-path"],
            "reason": "reads logs",
            "expires": "2027-01-31",
            "line": 20,
        }
    ],
}


@pytest.mark.parametrize("resource", [DAEMON, None])
def test_it_says_what_the_engine_does(resource: Resource | None) -> None:
    policy = Policy(PLAIN)
    settings = policy.settings(resource)
    expected = set(settings.rules_for(resource) if resource else settings.rules)
    states = effective_policy(policy, resource).rules
    assert {state.name for state in states if state.enabled} == expected
    for state in states:
        if state.enabled:
            assert state.severity == settings.rules[state.name][0]


def test_it_says_why() -> None:
    found = effective_policy(Policy(PLAIN), DAEMON)
    states = {state.name: state for state in found.rules}
    assert found.profiles == ("pss-baseline",)
    assert found.level == "baseline"
    assert found.overrides == ("overrides[0] (line 12)",)
    assert states["no-privileged"].reasons == ("in profile pss-baseline (overrides[0] (line 12))",)
    assert not states["image-digest"].enabled
    ports = states["no-host-ports"]
    assert ports.parameters == {"allowed": [9100]}
    assert ports.reasons[-1] == "overrides[0] (line 12): parameters allowed=[9100]"
    assert states["no-host-path"].exemptions == (("reads logs", "2027-01-31", 20),)
    assert "hpa-bounds" not in states


def test_without_an_object_overrides_are_left_aside() -> None:
    found = effective_policy(Policy(PLAIN))
    states = {state.name: state for state in found.rules}
    assert found.overrides == ()
    assert states["image-digest"].severity == "warning"
    assert not states["no-latest-tag"].enabled
    assert states["no-latest-tag"].reasons[-1] == "rules.no-latest-tag: enabled false"
