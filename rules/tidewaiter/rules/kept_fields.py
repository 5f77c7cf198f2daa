"""What is kept of a cluster's objects: the fields that rules read of another object than the one they judge.

A cluster says much more of an object than that, and of tens of thousands: who wrote which field, the status,
dashboards, certificates. And it holds secrets, of which none shall lie in an inventory. So:

- pod templates: labels, annotations, host network, and of containers name, image, ports and resources; no
  environment; a hash of each field instead, to know its pods again, and the names of what it refers to;
- Secrets: the keys. ConfigMaps: the keys, and of values what the rules look for in them: switches, and whether
  one bounds a pool of connections;
- definitions of custom resources: the schemas without their texts;
- custom resources that no rule reads: their names, for what they may make;
- of what another object of the inventory made (Pods of a Deployment, its old ReplicaSets) the owner or nothing:
  it is judged, and selected, as what made it;
- everywhere a credential that stands in clear is masked.

The kinds in `whole` are kept as they are: those that a policy's own expressions read.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.as_written import as_written
from tidewaiter.rules.manifest.credential import credential_form, expression, is_literal_credential
from tidewaiter.rules.manifest.database import is_connection_string, mentions_pool
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.manifest.template_record import RECORD, template_record
from tidewaiter.rules.manifest.uses import USES, names_used
from tidewaiter.rules.manifest.workload import CONTAINER_FIELDS, POD_SPECS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidewaiter.rules.policy.compiled import Policy

LEFT_OUT = frozenset(
    {
        "CSINode.storage.k8s.io",
        "CSIStorageCapacity.storage.k8s.io",
        "CertificateSigningRequest.certificates.k8s.io",
        "CiliumEndpoint.cilium.io",
        "CiliumEndpointSlice.cilium.io",
        "CiliumIdentity.cilium.io",
        "ClusterPolicyReport.wgpolicyk8s.io",
        "ClusterReport.openreports.io",
        "ComponentStatus",
        "ControllerRevision.apps",
        "EndpointSlice.discovery.k8s.io",
        "Endpoints",
        "Event",
        "Event.events.k8s.io",
        "FlowSchema.flowcontrol.apiserver.k8s.io",
        "IPAddress.networking.k8s.io",
        "Lease.coordination.k8s.io",
        "Node",
        "PolicyReport.wgpolicyk8s.io",
        "PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io",
        "Report.openreports.io",
        "ResourceSlice.resource.k8s.io",
        "StorageVersion.internal.apiserver.k8s.io",
        "VolumeAttachment.storage.k8s.io",
    }
)
"""Kinds that no rule asks for and that a cluster has many of, or changes all the time."""

LEFT_OUT_GROUPS = frozenset(
    {"custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io", "reports.kyverno.io"}
)
"""API groups of which no kind is followed."""

READ_GROUPS = frozenset(
    {
        "acid.zalan.do",
        "app.redislabs.com",
        "apps.kruise.io",
        "apps.openshift.io",
        "argoproj.io",
        "azmonitoring.coreos.com",
        "barmancloud.cnpg.io",
        "bitnami.com",
        "capsule.clastix.io",
        "cert-manager.io",
        "cilium.io",
        "config.kio.kasten.io",
        "configuration.konghq.com",
        "core.kubestash.com",
        "crd.antrea.io",
        "crd.projectcalico.org",
        "databases.spotahome.com",
        "datadoghq.com",
        "external-secrets.io",
        "flagger.app",
        "gateway.envoyproxy.io",
        "gateway.kgateway.dev",
        "gemini.fairwinds.com",
        "getambassador.io",
        "gkebackup.cnrm.cloud.google.com",
        "gkebackup.gke.io",
        "helm.cattle.io",
        "helm.toolkit.fluxcd.io",
        "hnc.x-k8s.io",
        "install.istio.io",
        "isindir.github.com",
        "k8s.nginx.org",
        "k8up.io",
        "kafka.strimzi.io",
        "kappctrl.k14s.io",
        "keda.sh",
        "kuadrant.io",
        "kustomize.toolkit.fluxcd.io",
        "kyverno.io",
        "longhorn.io",
        "monitoring.coreos.com",
        "monitoring.googleapis.com",
        "networking.gke.io",
        "networking.istio.io",
        "olm.operatorframework.io",
        "onepassword.com",
        "openslo.com",
        "operator.victoriametrics.com",
        "operators.coreos.com",
        "pgv2.percona.com",
        "policies.kyverno.io",
        "policy.linkerd.io",
        "postgres-operator.crunchydata.com",
        "postgresql.cnpg.io",
        "postgresql.k8s.enterprisedb.io",
        "projectcalico.org",
        "projectcontour.io",
        "pyrra.dev",
        "quota.openshift.io",
        "redis.redis.opstreelabs.in",
        "route.openshift.io",
        "sailoperator.io",
        "secrets-store.csi.x-k8s.io",
        "secrets.hashicorp.com",
        "security.istio.io",
        "serving.knative.dev",
        "sloth.slok.dev",
        "snapscheduler.backube",
        "source.toolkit.fluxcd.io",
        "split.smi-spec.io",
        "stash.appscode.com",
        "stork.libopenstorage.org",
        "traefik.containo.us",
        "traefik.io",
        "trust.cert-manager.io",
        "velero.io",
        "volsync.backube",
    }
)
"""Groups of custom resources that rules read more of than the name; those of `k8s.io` beside them."""

_MADE_BY = {
    "ReplicaSet.apps": frozenset({"Deployment.apps", "Rollout.argoproj.io"}),
    "ReplicationController": frozenset({"DeploymentConfig.apps.openshift.io"}),
    "Job.batch": frozenset({"CronJob.batch"}),
}
"""Of these, when such a controller made them, only the owner is kept: their template is its own."""
_WORKLOAD_SPEC = ("replicas", "selector", "workloadRef", "suspend")
_POD = ("hostNetwork", "os", "resources")
_CONTAINER = ("name", "image", "ports", "resources", "restartPolicy")
_METADATA = ("name", "generateName", "namespace", "labels", "uid")
_OWNER = ("apiVersion", "kind", "name", "uid", "controller")
_DEFINITION = ("group", "names", "scope", "validation", "version")
_VERSION = ("name", "served", "storage", "schema")
_VALUES = frozenset({"default", "enum"})
"""What a schema holds values in, which may have any key."""
_TEXTS = frozenset({"description", "example", "externalDocs"})
_DROPPED = frozenset({"status", "metadata", "apiVersion", "kind"})
_EMPTIED = frozenset({"caBundle", "encryptedData"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_ANNOTATION = 1024
_LONGEST_TEXT = 8192
_LONGEST_SWITCH = 256
MASK = "***"


def kinds_read_whole(policy: Policy) -> frozenset[str]:
    """Return the kinds of which the expressions of a policy's own rules may read any field."""
    found = {"Namespace"}
    for row in policy.plain.get("admissionObjects", ()):
        parameters = mapping(mapping(row["object"].get("spec")).get("paramKind"))
        if parameters:
            found.add(kind_id(text(parameters.get("apiVersion")), text(parameters.get("kind"))))
    return frozenset(found)


def is_followed(kind: str) -> bool:
    """Tell whether the inventory of a cluster has the objects of a kind."""
    return kind not in LEFT_OUT and kind.partition(".")[2] not in LEFT_OUT_GROUPS


def is_kept_by_metadata(
    kind: str, pod_specs: Mapping[str, str], whole: frozenset[str] = frozenset()
) -> bool:
    """Tell whether nothing but the metadata is kept of a kind's objects: a custom one that no rule reads."""
    group = kind.partition(".")[2]
    return (
        "." in group
        and not group.endswith(".k8s.io")
        and group not in READ_GROUPS
        and kind not in POD_SPECS
        and kind not in pod_specs
        and kind not in whole
    )


def kept(
    obj: dict[str, Any],
    pod_specs: dict[str, str] | None = None,
    whole: frozenset[str] = frozenset(),
) -> dict[str, Any] | None:
    """Return what is kept of an object as the API gives it, or None for one that is not kept at all.

    `pod_specs` are the kinds that the policy adds to the workloads. What is given is not written to.
    """
    obj = as_written(obj)
    kind = kind_id(text(obj.get("apiVersion")), text(obj.get("kind")))
    found: dict[str, Any] = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "metadata": _metadata(mapping(obj.get("metadata"))),
    }
    if kind in whole:
        return {**{key: value for key, value in obj.items() if key != "status"}, **found}
    pointer = POD_SPECS.get(kind) or (pod_specs or {}).get(kind)
    if pointer is not None:
        return _workload(found, obj, kind, pointer, pod_specs or {})
    if kind == "Secret":
        return {**found, **_secret(obj)}
    if kind == "ConfigMap":
        return {**found, **_config_map(obj)}
    if kind == "CustomResourceDefinition.apiextensions.k8s.io":
        return {**found, "spec": _definition(mapping(obj.get("spec")))}
    if is_kept_by_metadata(kind, pod_specs or {}, whole):
        return found
    for key, value in obj.items():
        if key not in _DROPPED:
            found[key] = _masked(key, value)
    return found


def without_secrets(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an object without the credentials that kinds kept whole may have.

    Nor has it the record of a pod template, which says something in this process only.
    """
    kind = text(obj.get("kind"))
    if kind in {"Secret", "ConfigMap"} and "/" not in text(obj.get("apiVersion")):
        return kept(obj) or {}
    return {key: _masked(key, value) for key, value in obj.items() if key != RECORD}


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    found = {key: metadata[key] for key in _METADATA if metadata.get(key)}
    annotations = {
        key: value
        if _is_harmless(key, value)
        else MASK
        if len(value) <= _LONGEST_ANNOTATION
        else ""
        for key, value in mapping(metadata.get("annotations")).items()
        if key != _LAST_APPLIED and isinstance(value, str)
    }
    if annotations:
        found["annotations"] = annotations
    owners = [
        {key: owner[key] for key in _OWNER if key in owner}
        for owner in sequence(metadata.get("ownerReferences"))
        if isinstance(owner, dict)
    ]
    if owners:
        found["ownerReferences"] = owners
    return found


def _is_harmless(key: str, value: str) -> bool:
    return len(value) <= _LONGEST_ANNOTATION and not _is_credential(key, value)


def _is_credential(key: str, value: str) -> bool:
    return is_literal_credential(key, value) or credential_form(value) is not None


def _workload(
    found: dict[str, Any],
    obj: dict[str, Any],
    kind: str,
    pointer: str,
    pod_specs: dict[str, str],
) -> dict[str, Any] | None:
    maker = _controller(found["metadata"])
    if kind == "Pod":
        if maker in POD_SPECS or maker in pod_specs:
            return None
        if mapping(obj.get("status")).get("phase") in {"Succeeded", "Failed"}:
            return found  # it runs no longer
    if maker in _MADE_BY.get(kind, ()):
        return found
    if kind == "Job.batch" and mapping(obj.get("status")).get("completionTime"):
        return found
    found[RECORD] = template_record(obj, pointer)
    found[USES] = names_used(obj, pod_specs)
    steps = pointer.split("/")[1:]
    below = _template(obj, steps, is_daemon_set=kind == "DaemonSet.apps")
    spec = mapping(obj.get("spec"))
    kept_spec = {key: spec[key] for key in _WORKLOAD_SPEC if key in spec} if kind != "Pod" else {}
    if isinstance(spec.get("volumeClaimTemplates"), list):
        kept_spec["volumeClaimTemplates"] = [
            {"metadata": _metadata(mapping(mapping(each).get("metadata")))}
            for each in spec["volumeClaimTemplates"]
        ]
    if kept_spec or "spec" in below:
        below["spec"] = {**kept_spec, **mapping(below.get("spec"))}
    return {**found, **below}


def _controller(metadata: dict[str, Any]) -> str:
    for owner in sequence(metadata.get("ownerReferences")):
        if owner.get("controller") is True:
            return kind_id(text(owner.get("apiVersion")), text(owner.get("kind")))
    return ""


def _template(value: Any, steps: list[str], *, is_daemon_set: bool) -> dict[str, Any]:
    """Return what stands on the way to the pod spec: that and the metadata of the template."""
    step, rest = steps[0], steps[1:]
    below = mapping(value).get(step)
    if not isinstance(below, dict):
        return {}
    if not rest:
        return {step: _pod(below, with_arguments=is_daemon_set)}
    found = _template(below, rest, is_daemon_set=is_daemon_set)
    if "metadata" in below:
        found["metadata"] = _metadata(mapping(below["metadata"]))
    return {step: found}


def _pod(spec: dict[str, Any], *, with_arguments: bool) -> dict[str, Any]:
    found: dict[str, Any] = {key: spec[key] for key in _POD if spec.get(key)}
    for field in CONTAINER_FIELDS:
        containers = spec.get(field)
        if isinstance(containers, list):
            found[field] = [_container(each, with_arguments=with_arguments) for each in containers]
    return found


def _container(container: Any, *, with_arguments: bool) -> Any:
    if not isinstance(container, dict):
        return {}
    found = {key: container[key] for key in _CONTAINER if key in container}
    if with_arguments:
        # The driver of the Secrets Store says there whether it rotates.
        for field in ("command", "args"):
            words = [_argument(word) for word in sequence(container.get(field))]
            if words:
                found[field] = words
    return found


def _argument(word: object) -> str:
    """Return a flag, with its value where that is true or false."""
    name, equals, value = text(word).partition("=")
    if not name.startswith("-"):
        return ""
    shown = value if value.lower() in {"true", "false", "1", "0", "t", "f"} else MASK
    return f"{name[:_LONGEST_SWITCH]}={shown}" if equals else name[:_LONGEST_SWITCH]


def _secret(obj: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: obj[key] for key in ("type", "immutable") if key in obj}
    for field in ("data", "stringData"):
        if isinstance(obj.get(field), dict):
            found[field] = dict.fromkeys(obj[field], "")
    return found


def _config_map(obj: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"immutable": obj["immutable"]} if "immutable" in obj else {}
    data = obj.get("data")
    if isinstance(data, dict):
        found["data"] = {key: _witness(key, value) for key, value in data.items()}
    if isinstance(obj.get("binaryData"), dict):
        found["binaryData"] = dict.fromkeys(obj["binaryData"], "")
    return found


def _witness(key: str, value: object) -> str:
    """Return a text of which the rules say what they would say of a ConfigMap's value."""
    value = text(value)
    if is_connection_string(value):
        return _without_password(value[:_LONGEST_TEXT])
    if len(value) <= _LONGEST_SWITCH and "\n" not in value:
        return MASK if _is_credential(key, value) else _without_password(value)
    if mentions_pool(value):
        lines = [line for line in value.splitlines() if mentions_pool(line)]
        return _without_password("\n".join(lines)[:_LONGEST_TEXT])
    return MASK


def _without_password(value: str) -> str:
    if "://" in value:
        value = expression(r"(://[^\s:/@]*:)[^\s@/]+@").sub(rf"\1{MASK}@", value)
    lowered = value.lower()
    if any(word in lowered for word in _WORDS):
        value = expression(_ASSIGNED).sub(rf"\1{MASK}", value)
    return value


_WORDS = ("pass", "pwd", "secret", "token", "credential", "key")
_ASSIGNED = (
    r"(?i)((?:password|passwd|pwd|pass|secret|token|credential|api_?key|access_?key)[\w.-]*"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s&;,\"'#]+"
)


def _definition(spec: dict[str, Any]) -> dict[str, Any]:
    found = {key: _without_texts(spec[key]) for key in _DEFINITION if key in spec}
    found["versions"] = [
        {key: _without_texts(version[key]) for key in _VERSION if key in version}
        for version in sequence(spec.get("versions"))
        if isinstance(version, dict)
    ]
    return found


def _without_texts(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: value if key in _VALUES else _without_texts(value)
            for key, value in schema.items()
            # A property of that name has a schema, which is a mapping.
            if key not in _TEXTS or (isinstance(value, dict) and key != "externalDocs")
        }
    if isinstance(schema, list):
        return [_without_texts(each) for each in schema]
    return schema


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT or key in _EMPTIED:
            return ""
        return MASK if _is_credential(key, value) else value
    if isinstance(value, dict):
        if key in _EMPTIED:
            return dict.fromkeys(value, "")
        return {each: _masked(each, below) for each, below in value.items()}
    if isinstance(value, list):
        return [_masked(key, each) for each in value]
    return value
