"""The volume with the pod's own token, which the API server mounts into every pod that does not refuse it.

https://kubernetes.io/docs/concepts/security/service-accounts/#assigned-to-pods
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PREFIX = "kube-api-access-"
_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_CERTIFICATES = "kube-root-ca.crt"


def is_token_volume(volume: object) -> bool:
    """Tell whether a volume is the one that the API server adds: a token, the authority, the namespace."""
    stated = mapping(volume)
    if not text(stated.get("name")).startswith(_PREFIX) or stated.keys() != {"name", "projected"}:
        return False
    sources = [mapping(each) for each in sequence(dig(stated, "projected", "sources"))]
    return len(sources) == 3 and all(
        any(is_part(source) for source in sources) for is_part in _PARTS
    )


def is_token_mount(mount: object) -> bool:
    """Tell whether a mount is that of such a volume."""
    stated = mapping(mount)
    return (
        text(stated.get("name")).startswith(_PREFIX)
        and stated.get("mountPath") == _PATH
        and stated.get("readOnly") is True
        and stated.keys() <= {"name", "mountPath", "readOnly"}
    )


def without_token_volume(pod_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a pod spec without that volume and its mounts; the given one stays as it is."""
    volumes = sequence(pod_spec.get("volumes"))
    kept = [volume for volume in volumes if not is_token_volume(volume)]
    if len(kept) == len(volumes):
        return pod_spec
    result = {**pod_spec, "volumes": kept}
    if not kept:
        del result["volumes"]
    for field in ("initContainers", "containers"):
        if isinstance(pod_spec.get(field), list):
            result[field] = [_without_mount(container) for container in pod_spec[field]]
    return result


def _without_mount(container: object) -> object:
    if not isinstance(container, dict) or not isinstance(container.get("volumeMounts"), list):
        return container
    kept = [mount for mount in container["volumeMounts"] if not is_token_mount(mount)]
    if kept:
        return {**container, "volumeMounts": kept}
    return {key: value for key, value in container.items() if key != "volumeMounts"}


def _is_token(source: dict[str, Any]) -> bool:
    return source.keys() == {"serviceAccountToken"} and "audience" not in mapping(
        source["serviceAccountToken"]
    )


def _is_authority(source: dict[str, Any]) -> bool:
    return source.keys() == {"configMap"} and dig(source, "configMap", "name") == _CERTIFICATES


def _is_namespace(source: dict[str, Any]) -> bool:
    return source.keys() == {"downwardAPI"}


_PARTS = (_is_token, _is_authority, _is_namespace)
