"""Where manifests hold quantities, ports, durations and schedules, by kind.

Each function yields the value of a field with its JSON pointer from the object's root; absent fields come
as None. https://kubernetes.io/docs/reference/kubernetes-api/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, escape, items, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Container, Workload

    Place = tuple[Any, str]

_LIMIT_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_METRIC_SOURCES = ("resource", "containerResource", "pods", "object", "external")
_TARGETS = ("averageValue", "value")
_OLD_TARGETS = ("targetAverageValue", "targetValue", "averageValue")
_DURATIONS = {
    "Certificate.cert-manager.io": ("duration", "renewBefore"),
    "GitRepository.source.toolkit.fluxcd.io": ("interval", "timeout"),
    "OCIRepository.source.toolkit.fluxcd.io": ("interval", "timeout"),
    "HelmRepository.source.toolkit.fluxcd.io": ("interval", "timeout"),
    "HelmChart.source.toolkit.fluxcd.io": ("interval",),
    "Bucket.source.toolkit.fluxcd.io": ("interval", "timeout"),
    "Kustomization.kustomize.toolkit.fluxcd.io": ("interval", "retryInterval", "timeout"),
    "HelmRelease.helm.toolkit.fluxcd.io": ("interval", "timeout"),
}
"""Fields of type metav1.Duration below `spec`; the kinds of Kubernetes' own manifests have none."""
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def quantities(resource: Resource) -> Iterator[Place]:
    """Yield every field of type Quantity."""
    kind, spec = resource.kind_id, resource.spec
    if resource.workload is not None:
        yield from _of_pod(resource.workload)
        for template, pointer in items(
            spec.get("volumeClaimTemplates"), "/spec/volumeClaimTemplates"
        ):
            yield from _requirements(template.get("spec"), f"{pointer}/spec")
    elif kind == "PersistentVolumeClaim":
        yield from _requirements(spec, "/spec")
    elif kind == "PersistentVolume":
        yield from _amounts(spec.get("capacity"), "/spec/capacity")
    elif kind == "ResourceQuota":
        yield from _amounts(spec.get("hard"), "/spec/hard")
    elif kind == "LimitRange":
        for limit, pointer in items(spec.get("limits"), "/spec/limits"):
            for field in _LIMIT_FIELDS:
                yield from _amounts(limit.get(field), f"{pointer}/{field}")
    elif kind == "HorizontalPodAutoscaler.autoscaling":
        yield from _of_metrics(spec)
    elif kind == "RuntimeClass.node.k8s.io":
        yield from _amounts(dig(resource.object, "overhead", "podFixed"), "/overhead/podFixed")


def port_numbers(resource: Resource) -> Iterator[Place]:
    """Yield every field that holds a port by number only, and is not 0 for "none"."""
    if resource.workload is not None:
        for container in resource.workload.containers:
            for port, pointer in items(container.spec.get("ports"), f"{container.pointer}/ports"):
                yield port.get("containerPort"), f"{pointer}/containerPort"
                yield port.get("hostPort") or None, f"{pointer}/hostPort"
            for probe, place in _handlers(container):
                yield dig(probe, "grpc", "port"), f"{place}/grpc/port"
    elif resource.kind_id == "Service":
        for port, pointer in items(resource.spec.get("ports"), "/spec/ports"):
            yield port.get("port"), f"{pointer}/port"
            yield port.get("nodePort") or None, f"{pointer}/nodePort"
    elif resource.kind_id == "NetworkPolicy.networking.k8s.io":
        for port, pointer in _policy_ports(resource.spec):
            yield port.get("endPort"), f"{pointer}/endPort"


def ports(resource: Resource) -> Iterator[Place]:
    """Yield every field that holds a port by number or by name (IntOrString)."""
    if resource.workload is not None:
        for container in resource.workload.containers:
            for handler, place in _handlers(container):
                for action in ("httpGet", "tcpSocket"):
                    yield dig(handler, action, "port"), f"{place}/{action}/port"
    elif resource.kind_id == "Service":
        for port, pointer in items(resource.spec.get("ports"), "/spec/ports"):
            yield port.get("targetPort") or None, f"{pointer}/targetPort"
    elif resource.kind_id == "NetworkPolicy.networking.k8s.io":
        for port, pointer in _policy_ports(resource.spec):
            yield port.get("port"), f"{pointer}/port"


def durations(resource: Resource) -> Iterator[Place]:
    """Yield every known field of type metav1.Duration."""
    for field in _DURATIONS.get(resource.kind_id, ()):
        yield resource.spec.get(field), f"/spec/{field}"


def _amounts(value: Any, pointer: str) -> Iterator[Place]:
    for key, amount in mapping(value).items():
        yield amount, f"{pointer}/{escape(key)}"


def _requirements(holder: Any, pointer: str) -> Iterator[Place]:
    """Yield the amounts of a `resources` field of requests and limits."""
    resources = mapping(mapping(holder).get("resources"))
    if not resources:
        return
    for field in ("requests", "limits"):
        yield from _amounts(resources.get(field), f"{pointer}/resources/{field}")


def _of_pod(workload: Workload) -> Iterator[Place]:
    pod, root = workload.pod_spec, workload.pod_pointer
    yield from _requirements(pod, root)
    yield from _amounts(pod.get("overhead"), f"{root}/overhead")
    for container in workload.containers:
        yield from _requirements(container.spec, container.pointer)
        for entry, pointer in items(container.spec.get("env"), f"{container.pointer}/env"):
            if "valueFrom" in entry:
                divisor = dig(entry, "valueFrom", "resourceFieldRef", "divisor")
                yield divisor, f"{pointer}/valueFrom/resourceFieldRef/divisor"
    for volume, pointer in items(pod.get("volumes"), f"{root}/volumes"):
        if "emptyDir" in volume:
            yield dig(volume, "emptyDir", "sizeLimit"), f"{pointer}/emptyDir/sizeLimit"
        if "ephemeral" in volume:
            claim = dig(volume, "ephemeral", "volumeClaimTemplate", "spec")
            yield from _requirements(claim, f"{pointer}/ephemeral/volumeClaimTemplate/spec")
        files = dig(volume, "downwardAPI", "items")
        for file, place in items(files, f"{pointer}/downwardAPI/items"):
            divisor = dig(file, "resourceFieldRef", "divisor")
            yield divisor, f"{place}/resourceFieldRef/divisor"


def _of_metrics(spec: dict[str, Any]) -> Iterator[Place]:
    """Yield the targets of an autoscaler, those of autoscaling/v2beta1 too."""
    for metric, pointer in items(spec.get("metrics"), "/spec/metrics"):
        for source in _METRIC_SOURCES:
            stated = mapping(metric.get(source))
            target = mapping(stated.get("target"))
            for field in _TARGETS:
                yield target.get(field), f"{pointer}/{source}/target/{field}"
            for field in _OLD_TARGETS:
                yield stated.get(field), f"{pointer}/{source}/{field}"


def _handlers(container: Container) -> Iterator[tuple[dict[str, Any], str]]:
    for field in _PROBES:
        if field in container.spec:
            yield mapping(container.spec[field]), f"{container.pointer}/{field}"
    if "lifecycle" in container.spec:
        for hook in ("postStart", "preStop"):
            handler = mapping(dig(container.spec, "lifecycle", hook))
            yield handler, f"{container.pointer}/lifecycle/{hook}"


def _policy_ports(spec: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for direction in ("ingress", "egress"):
        for rule, pointer in items(spec.get(direction), f"/spec/{direction}"):
            yield from items(rule.get("ports"), f"{pointer}/ports")
