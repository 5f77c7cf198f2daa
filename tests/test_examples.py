"""The example namespace: every deliberate mistake is found, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MISTAKES = {
    "access.yaml": {"rbac-no-wildcard"},
    "api.yaml": {
        "hpa-target",
        "image-digest",
        "no-literal-secret",
        "pdb-allows-eviction",
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
    "websocket.yaml": {
        "hpa-metrics",
        "pdb",
        "probe-port",
        "read-only-root-filesystem",
        "resource-limits",
    },
}


def test_each_marked_mistake_is_found_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", "lint", "deploy/examples", "--format=json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    found: dict[str, set[str]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        name = Path(finding["location"]["file"]).name
        found.setdefault(name, set()).add(finding["rule"])
    assert found == MISTAKES


def test_every_mistake_is_marked_where_it_stands() -> None:
    for name, rules in MISTAKES.items():
        text = (ROOT / "deploy/examples/payments" / name).read_text(encoding="utf-8")
        assert text.count("# WRONG: ") == len(rules), name


def test_the_output_that_the_readme_shows_is_the_real_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.index("$ tidewaiter lint deploy/examples")
    command, _, output = readme[start:].partition("```")[0].partition("\n")
    done = subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", *command.split()[2:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == output
