"""Configurations of other linters become policies that the loader takes; what cannot be said here is named."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.rules.policy.importing import import_policy, importers
from tidewaiter.rules.policy.validation import validated


def imported(content: str) -> tuple[dict[str, Any], str]:
    """Import a text, have the loader read what is made of it, and return its spec and all notes."""
    text, parts = import_policy(content.encode(), "file.yaml")
    validated(text.encode(), "imported")
    spec: dict[str, Any] = yaml.safe_load(text)["spec"]
    notes = [note for part in parts for note in part.notes]
    assert text.count("\n# - ") == len(notes)
    return spec, " | ".join(notes)


OFF = {"enabled": False}


def test_checks_of_kube_linter_are_switched_off_and_on() -> None:
    spec, notes = imported(
        """
checks:
  exclude: [no-read-only-root-fs, host-ipc, unset-cpu-requirements, ssh-port, latest-tga]
  include: [no-liveness-probe]
"""
    )
    assert spec["compatibility"] == ["kube-linter"]
    assert spec["rules"]["read-only-root-filesystem"] == OFF
    assert spec["rules"]["liveness-probe"] == {"enabled": True}
    assert spec["rules"]["resource-limits"] == {"parameters": {"cpu": "optional"}}
    assert "no-host-namespaces" not in spec["rules"]
    assert "host-ipc stays on: no-host-namespaces answers for host-network, host-pid too" in notes
    assert "ssh-port is not carried over" in notes
    assert (
        "latest-tga is not carried over: no check of that name is known; is latest-tag meant?"
        in notes
    )


def test_all_namespaces_of_the_host_excluded_switch_the_rule_off() -> None:
    spec, notes = imported("checks: {exclude: [host-ipc, host-pid, host-network]}")
    assert spec["rules"] == {"no-host-namespaces": OFF}
    assert not notes


def test_only_what_kube_linter_includes_is_left_of_its_checks() -> None:
    spec, _ = imported("checks: {doNotAutoAddDefaults: true, include: [privileged-container]}")
    assert spec["rules"]["no-privileged"] == {"enabled": True}
    assert spec["rules"]["run-as-non-root"] == OFF
    assert imported("checks: {addAllBuiltIn: true}")[0]["profile"] == ["all"]


def test_custom_checks_of_kube_linter_become_parameters_where_a_rule_has_them() -> None:
    spec, notes = imported(
        """
customChecks:
  - {name: three, template: minimum-replicas, params: {minReplicas: 3}}
  - {name: owner, template: required-label, params: {key: owner}}
  - {name: team, template: required-label, params: {key: team}}
  - {name: ssh, template: ports, params: {port: 22}}
"""
    )
    assert spec["rules"]["min-replicas"] == {"enabled": True, "parameters": {"minimum": 3}}
    assert spec["rules"]["required-labels"]["parameters"] == {"labels": ["owner", "team"]}
    assert "custom check ssh (template ports) is not carried over" in notes


def test_severities_and_exemptions_of_polaris() -> None:
    spec, notes = imported(
        """
checks:
  runAsPrivileged: danger
  tagNotSpecified: warning
  pullPolicyNotAlways: ignore
  metadataAndInstanceMismatched: warning
  ours: danger
customChecks: {ours: {}}
exemptions:
  - {namespace: kube-system, controllerNames: [kube2iam], rules: [hostNetworkSet, notReadOnlyRootFileSystem]}
  - {rules: [runAsRootAllowed]}
"""
    )
    assert spec["rules"] == {
        "no-privileged": {"enabled": True, "severity": "error"},
        "no-latest-tag": {"enabled": True, "severity": "warning"},
        "image-pull-policy": OFF,
    }
    (exemption,) = spec["exemptions"]
    assert exemption["match"] == {"namespaces": ["kube-system"], "names": ["kube2iam*"]}
    assert exemption["rules"] == ["no-host-namespaces", "read-only-root-filesystem"]
    assert "metadataAndInstanceMismatched is not carried over" in notes
    assert "custom check ours is not carried over" in notes
    assert "an exemption for everything is not carried over" in notes


def test_ids_of_checkov() -> None:
    spec, notes = imported(
        "skip-check: [CKV_K8S_22, CKV_K8S_11, CKV_AWS_1, CKV_K8S_33]\nsoft-fail: true\n"
    )
    assert spec["failOn"] == "never"
    assert spec["rules"]["read-only-root-filesystem"] == OFF
    assert spec["rules"]["resource-limits"] == {"parameters": {"cpu": "optional"}}
    assert "CKV_AWS_1 is not carried over" in notes
    assert "CKV_K8S_33 is not carried over: no rule here asks that" in notes
    only, _ = imported("check: CKV_K8S_16\n")
    assert only["rules"]["no-privileged"] == {"enabled": True}
    assert only["rules"]["seccomp-profile"] == OFF


@pytest.mark.parametrize(
    "content",
    [
        "#!/bin/sh\nset -e\nhelm template . | kube-score score --ignore-test service-type --enable-optional-test=container-seccomp-profile \\\n  --kubernetes-version v1.30 -o ci -\n",
        "check:\n\tdocker run -v .:/p zegl/kube-score:v1.20.0 score --ignore-test service-type --enable-optional-test container-seccomp-profile --kubernetes-version v1.30 *.yaml\n",
        "lint:\n  script:\n    - kube-score score --ignore-test=service-type --enable-optional-test container-seccomp-profile --kubernetes-version v1.30 *.yaml\n",
    ],
)  # fmt: skip
def test_flags_of_kube_score(content: str) -> None:
    spec, notes = imported(content)
    assert spec == {
        "compatibility": ["kube-score"],
        "kubernetesVersion": "1.30",
        "rules": {"seccomp-profile": {"enabled": True}, "no-node-port": OFF},
    }
    assert not notes


def test_checks_that_a_linter_does_not_run_by_itself_keep_no_rule_on() -> None:
    spec, notes = imported("checks: {exclude: [sensitive-host-mounts]}")
    assert spec["rules"] == {"no-host-path": OFF}
    assert not notes
    spec, notes = imported(
        "checks: {include: [writable-host-mount], exclude: [sensitive-host-mounts]}"
    )
    assert spec["rules"] == {"no-host-path": {"enabled": True}}
    assert "no-host-path answers for writable-host-mount too" in notes
    spec, _ = imported("checks: {addAllBuiltIn: true, exclude: [sensitive-host-mounts]}")
    assert "rules" not in spec


def test_checks_of_kube_linter_that_are_templates_with_parameters() -> None:
    spec, notes = imported("checks: {include: [required-label-owner, required-annotation-email]}")
    assert spec["rules"]["required-labels"] == {
        "enabled": True,
        "parameters": {"labels": ["owner"]},
    }
    assert spec["rules"]["required-annotations"]["parameters"] == {"annotations": ["email"]}
    assert not notes
    assert "rules" not in imported("checks: {include: [ssh-port], exclude: [ssh-port]}")[0]


def test_ids_of_checkov_by_pattern() -> None:
    spec, notes = imported("skip-check: [CKV_K8S_1*]\n")
    assert spec["rules"]["no-privileged"] == OFF
    assert "no-privilege-escalation" not in spec["rules"]
    assert "resource-limits stays on" not in notes
    assert "CKV_K8S_99* is not carried over" in imported("skip-check: [CKV_K8S_99*]\n")[1]


def test_exemptions_of_polaris_that_its_configuration_refuses() -> None:
    exemptions = "exemptions: [{namespace: a, rules: [runAsRootAllowed]}]\n"
    checks = "checks: {runAsRootAllowed: danger}\n"
    assert "compatibility" not in imported(checks + "disallowExemptions: true\n" + exemptions)[0]
    spec, _ = imported(checks + "disallowAnnotationExemptions: true\n" + exemptions)
    assert "compatibility" not in spec
    assert spec["exemptions"]
    spec, _ = imported(checks + "disallowConfigExemptions: true\n" + exemptions)
    assert spec["compatibility"] == ["polaris"]
    assert "exemptions" not in spec
    spec, notes = imported(
        checks + exemptions.replace("namespace: a", "namespace: a, labels: {x: y}")
    )
    assert "exemptions" not in spec
    assert "labels narrows it" in notes


def test_an_exemption_of_polaris_from_everything_is_one_from_the_rules_that_answer() -> None:
    spec, notes = imported(
        "checks: {metadataAndNameMismatched: danger}\nexemptions: [{namespace: kube-system}, {rules: [metadataAndNameMismatched], namespace: a}]\n"
    )
    assert "no-privileged" in spec["exemptions"][0]["rules"]
    assert notes == "metadataAndNameMismatched is not carried over: no rule here asks that"


def test_flags_of_kube_score_beyond_its_tests() -> None:
    spec, notes = imported(
        "kube-score score --exit-one-on-warning --min-replicas-deployment 3 --ignore-container-memory-limit "
        "--disable-ignore-checks-annotations --ignore-container-cpu-limit=false app.yaml\n"
    )
    assert spec == {
        "failOn": "warning",
        "rules": {"min-replicas": {"parameters": {"minimum": 3}}},
    }
    assert "--ignore-container-memory-limit is not carried over" in notes


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(
        ["kube-score score --ignore-test", "no-read-only-root-fs", "CKV_K8S_22", "danger", "minimum-replicas"]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["checks", "exclude", "include", "customChecks", "template", "params", "minReplicas", "key", "exemptions",
             "rules", "controllerNames", "namespace", "runAsPrivileged", "skip-check", "check", "soft-fail", "name"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["checks", "customChecks", "exemptions", "skip-check", "check", "x"]),
        _ANYTHING,
    )
)
@settings(max_examples=150, deadline=None)
def test_nothing_raises_and_all_that_is_made_is_valid(document: dict[str, Any]) -> None:
    for importer in importers():
        if importer.reads(document):
            imported(yaml.safe_dump(document))
            break
