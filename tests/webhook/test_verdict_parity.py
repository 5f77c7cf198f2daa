"""The same object under the same policy and inventory has the same findings at both gates.

Every fixture of every rule goes through an AdmissionReview, object by object, with all of them in the inventory.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.rules.checks.test_fixtures import fixture_policy, fixture_resources, is_complete
from tidewaiter.rules.engine import judge
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.webhook.admission import Reviewer, parse_review

FIXTURES = Path(__file__).parents[1] / "rules" / "checks"
TODAY = "2026-11-23"
ABOUT_FILES = frozenset({"no-dangling-exemption", "no-duplicate-keys", "no-duplicate-objects"})
"""Rules on how manifests stand in files, of which a cluster knows nothing."""
COMPONENT = "system:kube-controller-manager"
"""Whose word counts that an object has an owner."""
LAST_APPLIED = "last-applied-configuration"
"""The annotation of kubectl, which repeats an object in a cluster, and is no part of what its author wrote."""
Found = Counter[tuple[str, str, str, str, str | None]]


def cases() -> list[Any]:
    return [
        pytest.param(path.parent.parent.name, path, id="-".join(path.parts[-3:]))
        for path in sorted(FIXTURES.glob("*/*/*"))
        if path.parts[-2] in {"pass", "fail"} and path.parts[-3] not in ABOUT_FILES
    ]


def plain(resource: Resource) -> dict[str, Any]:
    """Return an object as JSON carries it."""
    value: dict[str, Any] = json.loads(json.dumps(resource.object))
    return value


def review(value: dict[str, Any]) -> dict[str, Any]:
    resource = Resource(value)
    group, _, version = resource.api_version.rpartition("/")
    request = {
        "uid": "1",
        "operation": "CREATE",
        "kind": {"group": group, "version": version, "kind": resource.kind},
        "namespace": resource.namespace or "",
        "object": value,
        "userInfo": {"username": COMPONENT},
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@pytest.mark.parametrize(("rule", "path"), cases())
def test_a_fixture_has_the_same_findings_at_both_gates(rule: str, path: Path) -> None:
    offline = fixture_policy(rule, path)
    admission = {"exempt": {"builtIn": False}, "mode": "audit"}
    policy = Policy({**offline.plain, "admission": admission})
    policy.images = offline.images
    objects = [plain(each) for each in fixture_resources(path)]
    resources = [Resource(each) for each in objects]
    complete = is_complete(path)
    everything = Inventory(resources, complete=complete)
    live = LiveInventory(resources, complete=complete)
    reviewer = Reviewer(policy, live, policy_hash="")
    for value, resource in zip(objects, resources, strict=True):
        report = judge([resource], offline, everything, today=TODAY, inline=False)
        decision = reviewer.review(
            parse_review(review(value)), today=TODAY, out_of_time=lambda: False
        )
        linted: Found = Counter(
            (each.rule, each.status, each.severity, each.pointer, each.container)
            for each in report.findings
            if LAST_APPLIED not in each.pointer
        )
        reviewed: Found = Counter(
            (each.rule, each.status, each.severity, each.pointer, each.container)
            for each in decision.answers
        )
        assert reviewed == linted, resource
        assert not decision.crashed_rules
