"""Ignore annotations of other linters count where the policy says so, and are reported where they match nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.checks_elsewhere import OPTIONAL, TABLES
from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy

TOOLS = ["kube-linter", "kube-score", "polaris", "checkov"]


def found(
    annotations: dict[str, Any], tools: list[str], *, privileged: bool = True, inline: bool = True
) -> dict[str, tuple[str, str]]:
    """Return status and reason of each of the two rules' findings."""
    pod = Resource(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "api", "namespace": "shop", "annotations": annotations},
            "spec": {"containers": [{"name": "a", "image": "a:1", "securityContext": {"privileged": privileged}}]},
        }
    )  # fmt: skip
    plain: Any = {
        "only": ["no-privileged", "no-dangling-exemption"],
        "compatibility": tools,
    }
    inventory = Inventory([pod], complete=True)
    report = evaluate([pod], Policy(plain), inventory, today="2026-11-25", inline=inline)
    return {
        each.rule: (each.status, each.exemption.reason if each.exemption else each.message)
        for each in report.findings
    }


ANNOTATIONS = [
    ("kube-linter", {"ignore-check.kube-linter.io/privileged-container": "node agent"}, "node agent"),
    ("kube-linter", {"kube-linter.io/ignore-all": "node agent"}, "node agent"),
    ("kube-score", {"kube-score/ignore": "service-type, container-security-context-privileged"}, "ignored for kube-score"),
    ("kube-score", {"kube-score/ignore": "container-security-context"}, "ignored for kube-score"),
    ("polaris", {"polaris.fairwinds.com/runAsPrivileged-exempt": "true"}, "ignored for polaris"),
    ("polaris", {"polaris.fairwinds.com/exempt": "true"}, "ignored for polaris"),
    ("checkov", {"checkov.io/skip1": "CKV_K8S_16=node agent"}, "node agent"),
    ("checkov", {"bridgecrew.io/skip20": "CKV_K8S_16=a=b"}, "a=b"),
    ("kube-score", {"kube-score/ignore": "*"}, "ignored for kube-score"),
    ("kube-score", {"kube-score/skip": "True"}, "ignored for kube-score"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "annotations", "reason"), ANNOTATIONS)
def test_an_annotation_counts_where_the_policy_names_its_linter(
    tool: str, annotations: dict[str, str], reason: str
) -> None:
    assert found(annotations, [tool]) == {"no-privileged": ("exempted", reason)}
    others = [each for each in TOOLS if each != tool]
    assert found(annotations, others)["no-privileged"][0] == "violation"
    assert found(annotations, [tool], inline=False)["no-privileged"][0] == "violation"


@pytest.mark.parametrize(("tool", "annotations", "reason"), ANNOTATIONS[:1] + ANNOTATIONS[4:5])
def test_one_that_matches_nothing_is_reported(
    tool: str, annotations: dict[str, str], reason: str
) -> None:
    status, message = found(annotations, [tool], privileged=False)["no-dangling-exemption"]
    assert status == "violation"
    assert "matches nothing" in message


@pytest.mark.parametrize(
    "annotations",
    [
        {"polaris.fairwinds.com/runAsPrivileged-exempt": "false"},
        {"kube-score/ignore": ""},
        {"kube-score/skip": "No"},
        {"kube-score/enable": "container-security-context-privileged"},
        {"checkov.io/skip1": 7},
        {"checkov.io/skip1": "CKV_K8S_9999=none of ours"},
        {"ignore-check.kube-linter.io/": None},
        {7: "strange"},
    ],
)
def test_what_ignores_nothing_does_nothing(annotations: dict[Any, Any]) -> None:
    assert list(found(annotations, TOOLS)) == ["no-privileged"]
    assert found(annotations, TOOLS)["no-privileged"][0] == "violation"


def test_the_tables_name_rules_that_are_there() -> None:
    named = {rule for table in TABLES.values() for rules in table.values() for rule in rules}
    assert named <= set(entries())
    assert all(names <= set(TABLES[tool]) for tool, names in OPTIONAL.items())
