"""The ConfigMaps, Secrets, claims and ServiceAccounts that a pod names.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/ and
https://kubernetes.io/docs/concepts/configuration/secret/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items, mapping, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Container, Workload


@record
class Reference:
    """One reference: the kind and name that it asks for, and where it stands.

    `key` is the key of a ConfigMap or Secret that it reads, "" where it takes all; `key_pointer` is the
    place of that. `container` is None for a reference of the pod.
    """

    kind: str
    name: str
    pointer: str
    container: str | None = None
    key: str = ""
    key_pointer: str = ""


def references_of(workload: Workload) -> Iterator[Reference]:
    """Yield every reference that must resolve before the pod can start, optional ones left out."""
    for container in workload.containers:
        yield from _of_container(container)
    spec, pointer = workload.pod_spec, workload.pod_pointer
    claimed = {
        text(dig(template, "metadata", "name"))
        for template, _ in items(workload.resource.spec.get("volumeClaimTemplates"), "")
    }
    for volume, place in items(spec.get("volumes"), f"{pointer}/volumes"):
        # A StatefulSet puts the claim of its template in the place of a volume of the same name.
        if text(volume.get("name")) not in claimed:
            yield from _of_volume(volume, place)
    for secret, place in items(spec.get("imagePullSecrets"), f"{pointer}/imagePullSecrets"):
        if text(secret.get("name")):
            yield Reference("Secret", secret["name"], f"{place}/name")
    for field in ("serviceAccountName", "serviceAccount"):
        if text(spec.get(field)):
            yield Reference("ServiceAccount", spec[field], f"{pointer}/{field}")
            break


def _of_container(container: Container) -> Iterator[Reference]:
    for variable, place in items(container.spec.get("env"), f"{container.pointer}/env"):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            source = mapping(dig(variable, "valueFrom", field))
            found = _reference(kind, source, "name", f"{place}/valueFrom/{field}", container.name)
            if found is not None:
                key = text(source.get("key"))
                yield found if not key else _with_key(found, key, f"{place}/valueFrom/{field}/key")
    for source, place in items(container.spec.get("envFrom"), f"{container.pointer}/envFrom"):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            found = _reference(
                kind, mapping(source.get(field)), "name", f"{place}/{field}", container.name
            )
            if found is not None:
                yield found


def _of_volume(volume: dict[str, Any], pointer: str) -> Iterator[Reference]:
    yield from _with_items("ConfigMap", volume.get("configMap"), "name", f"{pointer}/configMap")
    yield from _with_items("Secret", volume.get("secret"), "secretName", f"{pointer}/secret")
    claim = mapping(volume.get("persistentVolumeClaim"))
    found = _reference(
        "PersistentVolumeClaim", claim, "claimName", f"{pointer}/persistentVolumeClaim", None
    )
    if found is not None:
        yield found
    for source, place in items(dig(volume, "projected", "sources"), f"{pointer}/projected/sources"):
        yield from _with_items("ConfigMap", source.get("configMap"), "name", f"{place}/configMap")
        yield from _with_items("Secret", source.get("secret"), "name", f"{place}/secret")
    publish = mapping(dig(volume, "csi", "nodePublishSecretRef"))
    found = _reference("Secret", publish, "name", f"{pointer}/csi/nodePublishSecretRef", None)
    if found is not None:
        yield found


def _with_items(kind: str, source: object, field: str, pointer: str) -> Iterator[Reference]:
    found = _reference(kind, mapping(source), field, pointer, None)
    if found is None:
        return
    keys = [(text(item.get("key")), place) for item, place in items(dig(source, "items"), "")]
    if not keys:
        yield found
    for key, place in keys:
        yield _with_key(found, key, f"{pointer}/items{place}/key")


def _reference(
    kind: str, source: dict[str, Any], field: str, pointer: str, container: str | None
) -> Reference | None:
    name = text(source.get(field))
    if not name or source.get("optional") is True:
        return None
    return Reference(kind, name, f"{pointer}/{field}", container)


def _with_key(found: Reference, key: str, pointer: str) -> Reference:
    return Reference(found.kind, found.name, found.pointer, found.container, key, pointer)
