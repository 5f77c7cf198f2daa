"""What a compiled policy decides: which rules run on an object, how grave they are, in which mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidewaiter.rules import catalogue
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import (
    LATEST_VERSION,
    Policy,
    parse_version,
    pod_security_level,
)

if TYPE_CHECKING:
    from tidewaiter.rules.policy.compiled import PlainPolicy


def deployment(namespace: str = "shop", **labels: str) -> Resource:
    metadata = {"name": "api", "namespace": namespace, "labels": labels}
    pod = {"containers": [{"name": "api", "image": "api"}]}
    spec = {"template": {"spec": pod}}
    return Resource(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    )


def test_without_a_file_the_recommended_rules_run() -> None:
    policy = Policy()
    expected = {n for n, e in catalogue.entries().items() if "recommended" in e.profiles}
    assert set(policy.settings().rules) == expected
    assert (policy.fail_on, policy.version, policy.file) == ("error", LATEST_VERSION, "")
    assert policy.settings().mode == "enforce"


def test_all_rules_are_those_of_the_policy_and_of_each_override() -> None:
    policy = Policy(
        {
            "profiles": ["pss-baseline"],
            "overrides": [
                {"match": {"namespaces": ["a"]}, "profiles": ["recommended"]},
                {"match": {"namespaces": ["b"]}, "rules": {"image-digest": {"enabled": True}}},
            ],
        }
    )
    recommended = Policy().settings().rules
    assert policy.all_rules == {*policy.settings().rules, *recommended, "image-digest"}
    assert set(policy.settings().rules) < policy.all_rules


@pytest.mark.parametrize("profile", ["pss-baseline", "pss-restricted", "production", "all"])
def test_a_profile_is_what_its_rules_say(profile: str) -> None:
    expected = {rule.name for rule in catalogue.load_all() if rule.is_in(profile)}
    assert set(Policy({"profiles": [profile]}).settings().rules) == expected


def test_profiles_add_up() -> None:
    one, other = (
        set(Policy({"profiles": [profile]}).settings().rules)
        for profile in ("pss-restricted", "recommended")
    )
    both = Policy({"profiles": ["pss-restricted", "recommended"]}).settings()
    assert set(both.rules) == one | other


def test_settings_of_a_rule_hold() -> None:
    rules = (
        Policy(
            {
                "profiles": ["pss-baseline"],
                "rules": {
                    "no-privileged": {"severity": "info"},
                    "no-host-path": {"enabled": False},
                    "hpa-bounds": {"enabled": True, "parameters": {"minimum": 3}},
                    "pdb": {"severity": "error"},
                },
            }
        )
        .settings()
        .rules
    )
    assert rules["no-privileged"] == ("info", {})
    assert "no-host-path" not in rules
    assert rules["hpa-bounds"] == (catalogue.entries()["hpa-bounds"].severity, {"minimum": 3})
    assert "pdb" not in rules, "a severity does not switch a rule on"


OVERRIDDEN: PlainPolicy = {
    "profiles": ["pss-baseline"],
    "rules": {"no-host-ports": {"severity": "warning", "parameters": {"allowed": [80]}}},
    "admission": {"mode": "warn"},
    "overrides": [
        {"match": {"namespaces": ["shop"]}, "rules": {"no-host-ports": {"severity": "info"}}},
        {
            "match": {"labels": {"tier": "node"}},
            "mode": "audit",
            "profiles": ["pss-restricted"],
            "rules": {"no-host-ports": {"severity": "error", "parameters": {"allowed": [9100]}}},
        },
    ],
}


@pytest.mark.parametrize(
    ("resource", "severity", "allowed", "mode", "level"),
    [
        (deployment("other"), "warning", [80], "warn", "baseline"),
        (deployment("shop"), "info", [80], "warn", "baseline"),
        (deployment("other", tier="node"), "error", [9100], "audit", "restricted"),
        (deployment("shop", tier="node"), "error", [9100], "audit", "restricted"),
    ],
)
def test_the_last_override_that_matches_wins(
    resource: Resource, severity: str, allowed: list[int], mode: str, level: str
) -> None:
    found = Policy(OVERRIDDEN).settings(resource)
    assert found.rules["no-host-ports"] == (severity, {"allowed": allowed})
    assert (found.mode, found.level) == (mode, level)
    assert ("run-as-non-root" in found.rules) == (level == "restricted")


def test_only_and_skip_have_the_last_word() -> None:
    plain: PlainPolicy = {"rules": {"pdb": {"enabled": False}}}
    assert set(Policy({**plain, "only": ["pdb", "hpa-bounds"]}).settings().rules) == {
        "pdb",
        "hpa-bounds",
    }
    assert "no-privileged" not in Policy({**plain, "skip": ["no-privileged"]}).settings().rules


def test_an_object_meets_the_rules_of_its_kind_in_the_order_of_the_catalogue() -> None:
    settings = Policy({"profiles": ["all"]}).settings()
    service = Resource({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
    for_workload, for_service = settings.rules_for(deployment()), settings.rules_for(service)
    assert "no-privileged" in for_workload
    assert "no-privileged" not in for_service
    assert "no-dangling-exemption" not in for_workload
    order = list(catalogue.entries())
    assert list(for_workload) == sorted(for_workload, key=order.index)


def test_an_added_kind_carries_a_pod_spec() -> None:
    row = {"apiVersion": "example.com/v1", "kind": "Game", "podSpec": "/spec/pod"}
    policy = Policy({"workloads": [row]})
    game: dict[str, Any] = {
        "apiVersion": "example.com/v2",
        "kind": "Game",
        "metadata": {"name": "a"},
        "spec": {"pod": {"containers": [{"name": "a", "image": "a"}]}},
    }
    resource = Resource(game, pod_specs=policy.pod_specs)
    assert resource.workload is not None
    assert [container.name for container in resource.workload.containers] == ["a"]
    assert "no-privileged" in policy.settings().rules_for(resource)


def test_exemptions_keep_their_place_in_the_file() -> None:
    exempted: PlainPolicy = {
        "exemptions": [
            {"match": {}, "rules": ["pdb"], "reason": "a", "line": 7},
            {"match": {}, "rules": ["pdb"], "reason": "b", "line": 9, "expires": "2027-01-31"},
        ]
    }
    first, second = (exemption for exemption, _ in Policy(exempted).exemptions)
    assert (first.source, first.index, first.line, first.expires) == ("policy", 0, 7, None)
    assert (second.index, second.line, second.expires) == (1, 9, "2027-01-31")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.34", (1, 34)),
        ("v1.9", (1, 9)),
        ("1.34.2", (1, 34)),
        ("1", None),
        ("1.", None),
        ("1.x", None),
        ("1.3.4.5", None),
        ("-1.3", None),
        ("1.\u0663", None),
        ("", None),
        ("1." + "3" * 5000, None),
    ],
)
def test_versions_are_read(text: str, expected: tuple[int, int] | None) -> None:
    assert parse_version(text) == expected


@pytest.mark.parametrize(
    ("profiles", "level"),
    [
        (["pss-baseline"], "baseline"),
        (["recommended"], "restricted"),
        (["pss-baseline", "pss-restricted"], "restricted"),
    ],
)
def test_the_strictest_profile_gives_the_pod_security_level(
    profiles: list[str], level: str
) -> None:
    assert pod_security_level(profiles) == level
