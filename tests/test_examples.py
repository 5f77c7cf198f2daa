"""The example namespace is in order, and in its broken copy every deliberate mistake is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLEAN = "deploy/examples/payments"
BROKEN = "deploy/examples/payments-broken"
MISTAKES = {
    "access.yaml": {"rbac-no-wildcard"},
    "api.yaml": {
        "image-digest",
        "no-literal-secret",
        "probes-differ",
        "requests-within-limits",
        "service-target-port",
    },
    "configuration.yaml": {"no-duplicate-keys"},
    "ingress.yaml": {"ingress-backend", "ingress-no-snippets", "ingress-tls"},
    "network.yaml": {"network-policy-egress", "network-policy-selects"},
    "settlement.yaml": {
        "reference-exists",
        "run-as-user-non-zero",
        "valid-quantity",
        "volume-mounts-resolve",
    },
    "websocket.yaml": {"hpa-metrics", "pdb", "read-only-root-filesystem"},
}
"""What the profile `recommended` finds, by file."""
FURTHER = {
    "api.yaml": 2,
    "ledger.yaml": 1,
    "mesh.yaml": 1,
    "monitoring.yaml": 1,
    "websocket.yaml": 1,
}
"""How many mistakes the files have beside these, which `production` or the checklist finds."""


def test_each_marked_mistake_is_found_and_nothing_else() -> None:
    done = _run("lint", BROKEN, "--format=json")
    assert (done.returncode, done.stderr) == (1, "")
    found: dict[str, set[str]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        name = Path(finding["location"]["file"]).name
        found.setdefault(name, set()).add(finding["rule"])
    assert found == MISTAKES


def test_every_mistake_is_marked_where_it_stands() -> None:
    for file in sorted((ROOT / BROKEN).iterdir()):
        expected = len(MISTAKES.get(file.name, ())) + FURTHER.get(file.name, 0)
        assert file.read_text(encoding="utf-8").count("# WRONG: ") == expected, file.name


def test_production_finds_nothing_in_the_namespace_in_order() -> None:
    done = _run("lint", CLEAN, "--profile=production", "--format=json")
    assert json.loads(done.stdout)["findings"] == []
    assert (done.returncode, done.stderr) == (0, "")


def test_the_checklist_is_yes_all_over_the_namespace_in_order() -> None:
    done = _run("checklist", CLEAN, "--format=json", "--fail-on=unknown")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert [service["score"] for service in data["services"]] == [100] * 5
    assert data["attestationProblems"] == []
    concerned = {
        answer["item"]
        for service in data["services"]
        for answer in service["answers"]
        if answer["state"] == "yes"
    }
    assert len(concerned) == len(data["items"])


def test_each_item_of_the_checklist_fails_once_in_the_broken_copy() -> None:
    done = _run("checklist", BROKEN, "--format=json")
    assert (done.returncode, done.stderr) == (1, "")
    data = json.loads(done.stdout)
    failed = [
        answer["item"]
        for service in data["services"]
        for answer in service["answers"]
        if answer["state"] == "no"
    ]
    assert sorted(failed) == sorted(item["id"] for item in data["items"])


def test_the_output_that_the_readme_shows_is_the_real_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.index("$ tidewaiter lint deploy/examples")
    command, _, output = readme[start:].partition("```")[0].partition("\n")
    assert _run(*command.split()[2:]).stdout == output


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
