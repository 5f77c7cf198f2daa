"""Pod Security: every case of the conformance suite, at each of its levels and versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidewaiter.rules.engine import evaluate
from tidewaiter.rules.finding import VIOLATION
from tidewaiter.rules.inventory import Inventory
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.policy.compiled import Policy

SUITE = Path(__file__).parents[4] / "shared/corpus/pod-security"
RULES = {
    "allowprivilegeescalation": "no-privilege-escalation",
    "apparmorprofile": "apparmor-profile",
    "capabilities_baseline": "baseline-capabilities",
    "capabilities_restricted": "drop-all-capabilities",
    "hostnamespaces": "no-host-namespaces",
    "hostpathvolumes": "no-host-path",
    "hostports": "no-host-ports",
    "hostprobesandhostlifecycle": "no-host-probes",
    "privileged": "no-privileged",
    "procmount": "proc-mount",
    "procmount_baseline": "proc-mount",
    "procmount_restricted": "proc-mount",
    "restrictedvolumes": "restricted-volumes",
    "runasnonroot": "run-as-non-root",
    "runasuser": "run-as-user-non-zero",
    "seccompprofile_baseline": "seccomp-profile",
    "seccompprofile_restricted": "seccomp-profile",
    "selinuxoptions": "selinux-options",
    "sysctls": "safe-sysctls",
    "windowshostprocess": "no-host-process",
}
"""Each control of the standards, as the suite's files name it, and its rule."""


def _cases() -> list[Any]:
    if not SUITE.is_dir():
        reason = "the Pod Security conformance suite is not beside this checkout"
        return [pytest.param("", "", marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(level.name, version.name.removeprefix("v"), id=f"{level.name}-{version.name}")
        for level in sorted(SUITE.iterdir())
        if level.is_dir()
        for version in sorted(level.iterdir())
    ]


def violated_rules(file: Path, level: str, version: str) -> set[str]:
    """Return the rules that a file violates at a level and version; unknown answers do not count."""
    loaded = read_resources(file.read_bytes(), str(file), explicit=True)
    assert loaded.resources, file
    assert not loaded.errors, file
    policy = Policy({"profiles": [f"pss-{level}"], "kubernetesVersion": version})
    inventory = Inventory(loaded.resources, complete=False)
    report = evaluate(loaded.resources, policy, inventory, today="2026-11-23")
    assert not report.crashes
    return {finding.rule for finding in report.findings if finding.status == VIOLATION}


@pytest.mark.parametrize(("level", "version"), _cases())
def test_every_passing_pod_is_clean(level: str, version: str) -> None:
    files = sorted((SUITE / level / f"v{version}" / "pass").glob("*.yaml"))
    assert files
    found = {file.name: violated_rules(file, level, version) for file in files}
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize(("level", "version"), _cases())
def test_every_failing_pod_is_found_by_the_rule_of_its_control(level: str, version: str) -> None:
    files = sorted((SUITE / level / f"v{version}" / "fail").glob("*.yaml"))
    assert files
    missed = [
        file.name
        for file in files
        if RULES[file.stem.rstrip("0123456789")] not in violated_rules(file, level, version)
    ]
    assert missed == []
