"""What the API server fills in in a pod spec that leaves it out.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/; k8s.io/kubernetes/pkg/apis/core/v1
names them in defaults.go.
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.manifest.fields import mapping, sequence
from tidewaiter.rules.manifest.image import InvalidImage, parse_image

_VOLUME_DEFAULTS: dict[str, dict[str, Any]] = {
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_FILE_MODE = 420
"""0644, which JSON has no octal notation for."""


def fill_template(template: dict[str, Any]) -> None:
    """Fill in the defaults of a pod template, in place."""
    template.setdefault("metadata", {})
    if isinstance(template.get("spec"), dict):
        fill_pod_spec(template["spec"])


def fill_pod_spec(spec: dict[str, Any]) -> None:
    """Fill in the defaults of a pod spec, in place."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in sequence(spec.get(field)):
            if isinstance(container, dict):
                _fill_container(container, host_network=spec.get("hostNetwork") is True)
    for volume in sequence(spec.get("volumes")):
        if isinstance(volume, dict):
            _fill_volume(volume)


def _fill_container(container: dict[str, Any], *, host_network: bool) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    container.setdefault(
        "imagePullPolicy", "Always" if _is_moving(container.get("image")) else "IfNotPresent"
    )
    for port in sequence(container.get("ports")):
        if isinstance(port, dict):
            port.setdefault("protocol", "TCP")
            if host_network and "containerPort" in port:
                port.setdefault("hostPort", port["containerPort"])
    for entry in sequence(container.get("env")):
        source = mapping(mapping(entry).get("valueFrom"))
        _fill_field_source(source)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(name), dict):
            _fill_probe(container[name])
    for hook in mapping(container.get("lifecycle")).values():
        _fill_http_get(mapping(hook).get("httpGet"))


def _is_moving(image: Any) -> bool:
    """Tell whether an image is pulled anew for each pod: its tag is `latest`, or it has none."""
    try:
        reference = parse_image(image)
    except InvalidImage:
        return False
    return reference.tag == "latest" or not (reference.tag or reference.digest)


def _fill_probe(probe: dict[str, Any]) -> None:
    for name, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(name):
            probe[name] = value
    _fill_http_get(probe.get("httpGet"))
    if isinstance(probe.get("grpc"), dict):
        probe["grpc"].setdefault("service", "")


def _fill_http_get(action: Any) -> None:
    if isinstance(action, dict):
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _fill_field_source(source: dict[str, Any]) -> None:
    if isinstance(source.get("fieldRef"), dict):
        source["fieldRef"].setdefault("apiVersion", "v1")
    if isinstance(source.get("resourceFieldRef"), dict):
        source["resourceFieldRef"].setdefault("divisor", "0")


def _fill_volume(volume: dict[str, Any]) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(volume.get(name), dict):
            volume[name].setdefault("defaultMode", _FILE_MODE)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    _fill_projections(volume)
    for name, values in _VOLUME_DEFAULTS.items():
        if isinstance(volume.get(name), dict):
            for field, value in values.items():
                volume[name].setdefault(field, value)
    claim = mapping(mapping(volume.get("ephemeral")).get("volumeClaimTemplate"))
    if isinstance(claim.get("spec"), dict):
        claim.setdefault("metadata", {})
        claim["spec"].setdefault("volumeMode", "Filesystem")


def _fill_projections(volume: dict[str, Any]) -> None:
    for item in sequence(mapping(volume.get("downwardAPI")).get("items")):
        _fill_field_source(mapping(item))
    for source in sequence(mapping(volume.get("projected")).get("sources")):
        token = mapping(source).get("serviceAccountToken")
        if isinstance(token, dict):
            token.setdefault("expirationSeconds", 3600)
        for item in sequence(mapping(mapping(source).get("downwardAPI")).get("items")):
            _fill_field_source(mapping(item))
