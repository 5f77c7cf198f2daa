"""The checks of other linters by their own names, and the rules here that answer the same question.

Sources: https://docs.kubelinter.io/#/generated/checks, https://github.com/zegl/kube-score/blob/master/README_CHECKS.md,
https://polaris.docs.fairwinds.com/ (Checks), https://www.checkov.io/5.Policy%20Index/kubernetes.html
"""

from __future__ import annotations

from tidewaiter.rules.finding import Exemption
from tidewaiter.rules.manifest.fields import escape, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Table = Mapping[str, tuple[str, ...]]

_REQUESTS_AND_LIMITS = ("resource-requests", "resource-limits")
_CONTAINER_CONTEXT = ("read-only-root-filesystem", "run-as-non-root", "no-privileged")

KUBE_LINTER: Table = {
    "access-to-create-pods": ("rbac-no-workload-creation",),
    "access-to-secrets": ("rbac-no-secret-access",),
    "cluster-admin-role-binding": ("rbac-no-cluster-admin",),
    "dangling-horizontalpodautoscaler": ("hpa-target",),
    "dangling-ingress": ("ingress-backend",),
    "dangling-networkpolicy": ("network-policy-selects",),
    "dangling-service": ("service-selector",),
    "default-service-account": ("dedicated-service-account",),
    "docker-sock": ("no-runtime-socket",),
    "drop-net-raw-capability": ("drop-all-capabilities",),
    "duplicate-env-var": ("no-duplicate-env",),
    "env-var-secret": ("no-literal-secret",),
    "host-ipc": ("no-host-namespaces",),
    "host-network": ("no-host-namespaces",),
    "host-pid": ("no-host-namespaces",),
    "hpa-minimum-three-replicas": ("hpa-bounds",),
    "invalid-target-ports": ("service-target-port",),
    "latest-tag": ("no-latest-tag",),
    "liveness-port": ("probe-port",),
    "minimum-three-replicas": ("min-replicas",),
    "mismatching-selector": ("selector-matches-template",),
    "no-anti-affinity": ("topology-spread",),
    "no-extensions-v1beta": ("no-deprecated-api",),
    "no-liveness-probe": ("liveness-probe",),
    "no-readiness-probe": ("readiness-probe",),
    "no-rolling-update-strategy": ("update-strategy",),
    "no-startup-probe": ("startup-probe",),
    "non-existent-service-account": ("reference-exists",),
    "non-isolated-pod": ("network-policy-covers",),
    "pdb-max-unavailable": ("pdb-allows-eviction",),
    "pdb-min-available": ("pdb-allows-eviction",),
    "priority-class-name": ("priority-class",),
    "privilege-escalation-container": ("no-privilege-escalation",),
    "privileged-container": ("no-privileged",),
    "read-secret-from-env-var": ("no-secret-env",),
    "readiness-port": ("probe-port",),
    "restart-policy": ("restart-policy",),
    "run-as-non-root": ("run-as-non-root",),
    "schema-validation": ("valid-schema",),
    "sensitive-host-mounts": ("no-host-path",),
    "exposed-services": ("no-node-port",),
    "startup-port": ("probe-port",),
    "unsafe-proc-mount": ("proc-mount",),
    "unsafe-sysctls": ("safe-sysctls",),
    "unset-cpu-requirements": _REQUESTS_AND_LIMITS,
    "unset-memory-requirements": _REQUESTS_AND_LIMITS,
    "use-namespace": ("non-default-namespace",),
    "wildcard-in-rules": ("rbac-no-wildcard",),
    "writable-host-mount": ("no-host-path",),
    "no-read-only-root-fs": ("read-only-root-filesystem",),
}
KUBE_SCORE: Table = {
    "ingress-targets-service": ("ingress-backend",),
    "cronjob-has-deadline": ("cronjob-deadline",),
    "container-resources": _REQUESTS_AND_LIMITS,
    "container-ephemeral-storage-request-and-limit": ("ephemeral-storage",),
    "container-image-tag": ("no-latest-tag",),
    "container-image-pull-policy": ("image-pull-policy",),
    "statefulset-has-poddisruptionbudget": ("pdb",),
    "deployment-has-poddisruptionbudget": ("pdb",),
    "poddisruptionbudget-has-policy": ("pdb-allows-eviction",),
    "pod-networkpolicy": ("network-policy-covers",),
    "networkpolicy-targets-pod": ("network-policy-selects",),
    "pod-probes": ("readiness-probe", "liveness-probe", "probes-differ"),
    "pod-probes-identical": ("probes-differ",),
    "container-security-context": _CONTAINER_CONTEXT,
    "container-security-context-user-group-id": ("run-as-non-root",),
    "container-security-context-privileged": ("no-privileged",),
    "container-security-context-readonlyrootfilesystem": ("read-only-root-filesystem",),
    "container-seccomp-profile": ("seccomp-profile",),
    "service-targets-pod": ("service-selector",),
    "service-type": ("no-node-port",),
    "stable-version": ("no-deprecated-api",),
    "deployment-has-host-podantiaffinity": ("topology-spread",),
    "statefulset-has-host-podantiaffinity": ("topology-spread",),
    "deployment-replicas": ("min-replicas",),
    "deployment-targeted-by-hpa-does-not-have-replicas-configured": (),
    "statefulset-has-servicename": ("stateful-service",),
    "deployment-pod-selector-labels-match-template-metadata-labels": ("selector-matches-template",),
    "statefulset-pod-selector-labels-match-template-metadata-labels": ("selector-matches-template",),
    "environment-variable-key-duplication": ("no-duplicate-env",),
    "horizontalpodautoscaler-has-target": ("hpa-target",),
    "horizontalpodautoscaler-replicas": ("hpa-bounds",),
    "pod-topology-spread-constraints": ("topology-spread",),
}  # fmt: skip
POLARIS: Table = {
    "automountServiceAccountToken": ("no-service-account-token",),
    "clusterrolebindingClusterAdmin": ("rbac-no-cluster-admin",),
    "cpuLimitsMissing": ("resource-limits",),
    "cpuRequestsMissing": ("resource-requests",),
    "dangerousCapabilities": ("baseline-capabilities",),
    "deploymentMissingReplicas": ("min-replicas",),
    "hostIPCSet": ("no-host-namespaces",),
    "hostNetworkSet": ("no-host-namespaces",),
    "hostPIDSet": ("no-host-namespaces",),
    "hostPathSet": ("no-host-path",),
    "hostPortSet": ("no-host-ports",),
    "hostProcess": ("no-host-process",),
    "hpaMaxAvailability": ("hpa-bounds",),
    "hpaMinAvailability": ("hpa-bounds",),
    "insecureCapabilities": ("drop-all-capabilities",),
    "livenessProbeMissing": ("liveness-probe",),
    "memoryLimitsMissing": ("resource-limits",),
    "memoryRequestsMissing": ("resource-requests",),
    "missingNetworkPolicy": ("network-policy-covers",),
    "missingPodDisruptionBudget": ("pdb",),
    "notReadOnlyRootFilesystem": ("read-only-root-filesystem",),
    "pdbDisruptionsIsZero": ("pdb-allows-eviction",),
    "priorityClassNotSet": ("priority-class",),
    "privilegeEscalationAllowed": ("no-privilege-escalation",),
    "procMount": ("proc-mount",),
    "pullPolicyNotAlways": ("image-pull-policy",),
    "readinessProbeMissing": ("readiness-probe",),
    "rolebindingClusterAdminClusterRole": ("rbac-no-cluster-admin",),
    "runAsPrivileged": ("no-privileged",),
    "runAsRootAllowed": ("run-as-non-root",),
    "sensitiveConfigmapContent": ("no-literal-secret",),
    "sensitiveContainerEnvVar": ("no-literal-secret",),
    "tagNotSpecified": ("no-latest-tag",),
    "tlsSettingsMissing": ("ingress-tls",),
    "topologySpreadConstraint": ("topology-spread",),
}
CHECKOV: Table = {
    "CKV_K8S_8": ("liveness-probe",),
    "CKV_K8S_9": ("readiness-probe",),
    "CKV_K8S_10": ("resource-requests",),
    "CKV_K8S_11": ("resource-limits",),
    "CKV_K8S_12": ("resource-requests",),
    "CKV_K8S_13": ("resource-limits",),
    "CKV_K8S_14": ("no-latest-tag",),
    "CKV_K8S_15": ("image-pull-policy",),
    "CKV_K8S_16": ("no-privileged",),
    "CKV_K8S_17": ("no-host-namespaces",),
    "CKV_K8S_18": ("no-host-namespaces",),
    "CKV_K8S_19": ("no-host-namespaces",),
    "CKV_K8S_20": ("no-privilege-escalation",),
    "CKV_K8S_21": ("non-default-namespace",),
    "CKV_K8S_22": ("read-only-root-filesystem",),
    "CKV_K8S_23": ("run-as-non-root",),
    "CKV_K8S_25": ("baseline-capabilities",),
    "CKV_K8S_26": ("no-host-ports",),
    "CKV_K8S_27": ("no-runtime-socket",),
    "CKV_K8S_28": ("drop-all-capabilities",),
    "CKV_K8S_31": ("seccomp-profile",),
    "CKV_K8S_35": ("no-secret-env",),
    "CKV_K8S_37": ("drop-all-capabilities",),
    "CKV_K8S_38": ("no-service-account-token",),
    "CKV_K8S_39": ("baseline-capabilities",),
    "CKV_K8S_41": ("dedicated-service-account",),
    "CKV_K8S_43": ("image-digest",),
    "CKV_K8S_49": ("rbac-no-wildcard",),
    "CKV_K8S_153": ("ingress-no-snippets",),
    "CKV_K8S_157": ("rbac-no-escalation",),
    "CKV_K8S_158": ("rbac-no-escalation",),
    "CKV2_K8S_6": ("network-policy-covers",),
}
TABLES: Mapping[str, Table] = {
    "kube-linter": KUBE_LINTER,
    "kube-score": KUBE_SCORE,
    "polaris": POLARIS,
    "checkov": CHECKOV,
}


def foreign_exemptions(
    annotations: Mapping[str, object], pointer: str, tools: Sequence[str]
) -> Iterator[Exemption]:
    """Yield what the ignore annotations of other linters permit; one of a check that has no rule here does nothing."""
    for key, value in annotations.items():
        if not isinstance(key, str):
            continue
        for tool in tools:
            for check, reason in _named(tool, key, text(value).strip()):
                rules = _rules(tool, check)
                if rules:
                    why = reason or f"ignored for {tool}"
                    yield Exemption("annotation", rules, why, pointer=f"{pointer}/{escape(key)}")


def _rules(tool: str, check: str) -> tuple[str, ...]:
    table = TABLES[tool]
    if check == _EVERY:
        return tuple(dict.fromkeys(rule for rules in table.values() for rule in rules))
    return table.get(check, ())


_EVERY = "*"


def _named(tool: str, key: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the checks that an annotation ignores, each with the reason that it gives."""
    if tool == "kube-linter":
        if key == "kube-linter.io/ignore-all":
            yield _EVERY, value
        elif key.startswith("ignore-check.kube-linter.io/"):
            yield key.partition("/")[2], value
    elif tool == "kube-score":
        if key == "kube-score/ignore":
            for check in value.split(","):
                yield check.strip(), ""
    elif tool == "polaris":
        if key.startswith("polaris.fairwinds.com/") and value.lower() == "true":
            name = key.partition("/")[2]
            if name == "exempt":
                yield _EVERY, ""
            elif name.endswith("-exempt"):
                yield name.removesuffix("-exempt"), ""
    elif tool == "checkov" and key.startswith("checkov.io/skip"):
        check, _, reason = value.partition("=")
        yield check.strip(), reason.strip()
