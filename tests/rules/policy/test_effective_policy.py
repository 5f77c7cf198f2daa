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
    "ruleLines": {"image-digest": 6, "no-latest-tag": 7},
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
    (exemption,) = states["no-host-path"].exemptions
    assert (exemption.reason, exemption.expires, exemption.line) == ("reads logs", "2027-01-31", 20)
    assert "hpa-bounds" not in states


def test_without_an_object_overrides_are_left_aside() -> None:
    found = effective_policy(Policy(PLAIN))
    states = {state.name: state for state in found.rules}
    assert found.overrides == ()
    assert states["image-digest"].severity == "warning"
    assert not states["no-latest-tag"].enabled
    assert states["no-latest-tag"].reasons[-1] == "rules.no-latest-tag (line 7): enabled false"
    assert states["no-host-path"].exemptions == ()


def test_a_rule_that_is_off_shows_the_settings_it_would_have() -> None:
    stated: PlainPolicy = {
        "rules": {
            "no-host-ports": {"enabled": False, "severity": "info", "parameters": {"allowed": [80]}}
        }
    }
    states = {state.name: state for state in effective_policy(Policy(stated), DAEMON).rules}
    ports = states["no-host-ports"]
    assert (ports.enabled, ports.severity, ports.parameters) == (False, "info", {"allowed": [80]})


@pytest.mark.parametrize(("today", "expired"), [("2027-01-31", False), ("2027-02-01", True)])
def test_an_exemption_holds_on_its_last_day(today: str, expired: bool) -> None:
    found = effective_policy(Policy(PLAIN), DAEMON, today=today)
    (exemption,) = next(state for state in found.rules if state.name == "no-host-path").exemptions
    assert exemption.expired == expired


def test_it_says_which_containers_an_exemption_is_for_and_what_annotations_permit() -> None:
    exempted: PlainPolicy = {
        "exemptions": [
            {"match": {"containers": ["init-*"]}, "rules": ["no-privileged"], "reason": "mounts"}
        ]
    }
    annotations = {"tidewaiter.dev/ignore.no-privileged": "loads a module"}
    metadata = {**DAEMON.object["metadata"], "annotations": annotations}
    daemon = Resource({**DAEMON.object, "metadata": metadata})
    states = {state.name: state for state in effective_policy(Policy(exempted), daemon).rules}
    by_policy, by_annotation = states["no-privileged"].exemptions
    assert (by_policy.source, by_policy.containers) == ("policy", ("init-*",))
    assert (by_annotation.source, by_annotation.reason) == ("annotation", "loads a module")
    assert states["no-host-path"].exemptions == ()


@pytest.mark.parametrize(
    ("by_option", "source"), [(True, "--profile"), (False, "profile of the policy")]
)
def test_it_says_whether_the_file_or_the_option_chose_the_profile(
    by_option: bool, source: str
) -> None:
    policy = Policy({"file": "tidewaiter.yaml", "profiles": ["pss-baseline"]})
    found = effective_policy(policy, profile_option=by_option)
    state = next(state for state in found.rules if state.name == "no-privileged")
    assert state.reasons == (f"in profile pss-baseline ({source})",)


def test_options_that_choose_rules_have_the_last_word() -> None:
    policy = Policy(
        {**PLAIN, "only": ["no-latest-tag", "no-privileged"], "skip": ["no-privileged"]}
    )
    states = {state.name: state for state in effective_policy(policy, DAEMON).rules}
    assert states["no-latest-tag"].enabled
    assert states["no-latest-tag"].reasons[-1] == "--only names it"
    assert not states["no-privileged"].enabled
    assert states["no-privileged"].reasons[-1] == "--skip names it"
    assert states["no-host-path"].reasons[-1] == "--only leaves it out"
