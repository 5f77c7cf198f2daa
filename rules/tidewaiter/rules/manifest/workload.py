"""One view over every kind that carries a pod spec.

https://kubernetes.io/docs/concepts/workloads/ and, for the others, the projects' own APIs: Argo
Rollouts, Knative Serving, OpenKruise.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, mapping, resolve, text, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

_TEMPLATE = "/spec/template/spec"
POD_SPECS: dict[str, str] = {
    "Pod": "/spec",
    "Deployment.apps": _TEMPLATE,
    "StatefulSet.apps": _TEMPLATE,
    "DaemonSet.apps": _TEMPLATE,
    "ReplicaSet.apps": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "Job.batch": _TEMPLATE,
    "CronJob.batch": "/spec/jobTemplate/spec/template/spec",
    "PodTemplate": "/template/spec",
    "Rollout.argoproj.io": _TEMPLATE,
    "Service.serving.knative.dev": _TEMPLATE,
    "Configuration.serving.knative.dev": _TEMPLATE,
    "Revision.serving.knative.dev": "/spec",
    "CloneSet.apps.kruise.io": _TEMPLATE,
    "StatefulSet.apps.kruise.io": _TEMPLATE,
    "DaemonSet.apps.kruise.io": _TEMPLATE,
    "DeploymentConfig.apps.openshift.io": _TEMPLATE,
}
"""Where each kind keeps its pod spec, by kind id, as a JSON pointer."""

CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")

_LONG_RUNNING = frozenset(
    {
        "Deployment.apps",
        "StatefulSet.apps",
        "DaemonSet.apps",
        "Rollout.argoproj.io",
        "CloneSet.apps.kruise.io",
        "StatefulSet.apps.kruise.io",
        "DaemonSet.apps.kruise.io",
        "DeploymentConfig.apps.openshift.io",
    }
)
_REPLICATED = frozenset(
    {
        "Deployment.apps",
        "StatefulSet.apps",
        "Rollout.argoproj.io",
        "CloneSet.apps.kruise.io",
        "StatefulSet.apps.kruise.io",
        "DeploymentConfig.apps.openshift.io",
    }
)


class Container:
    """One container of a pod spec: regular, init or ephemeral.

    `field` is the list it stands in, `pointer` its JSON pointer from the object's root, `spec` its
    content (never written to). `name` is what a finding shows: the container's name, or its place
    (`containers[0]`) where it has none.
    """

    __slots__ = ("field", "name", "pointer", "spec")

    def __init__(self, spec: dict[str, Any], field: str, index: int, pod_pointer: str) -> None:
        """Wrap entry `index` of list `field` of the pod spec at `pod_pointer`."""
        self.spec = spec
        self.field = field
        self.pointer = f"{pod_pointer}/{field}/{index}"
        self.name: str = text(spec.get("name")) or f"{field}[{index}]"

    @property
    def is_init(self) -> bool:
        """True for every entry of initContainers, sidecars among them."""
        return self.field == "initContainers"

    @property
    def is_sidecar(self) -> bool:
        """True for an init container that keeps running (KEP-753: restartPolicy Always)."""
        return self.is_init and self.spec.get("restartPolicy") == "Always"

    @property
    def is_ephemeral(self) -> bool:
        """True for a debugging container added to a running pod."""
        return self.field == "ephemeralContainers"

    @property
    def is_regular(self) -> bool:
        """True for an entry of `containers`."""
        return self.field == "containers"

    @property
    def security_context(self) -> dict[str, Any]:
        """The container's own securityContext, empty where it has none."""
        return mapping(self.spec.get("securityContext"))


class Workload:
    """A resource seen as the pods it makes.

    `pod_pointer` is the JSON pointer of the pod spec and `template_pointer` that of the object that
    holds it ("" for a Pod); pod labels and annotations are those of the pods, not of the controller.
    """

    __slots__ = (
        "containers",
        "kind_id",
        "pod_annotations",
        "pod_labels",
        "pod_pointer",
        "pod_spec",
        "resource",
        "template_pointer",
    )

    def __init__(self, resource: Resource, pod_spec: dict[str, Any], pod_pointer: str) -> None:
        """View `resource` by its pod spec, which stands at `pod_pointer`."""
        self.resource = resource
        self.kind_id = resource.kind_id
        self.pod_spec = pod_spec
        self.pod_pointer = pod_pointer
        self.template_pointer = pod_pointer.rpartition("/")[0]
        template = resolve(resource.object, self.template_pointer)
        metadata = mapping(dig(template, "metadata"))
        labels = metadata.get("labels") if template is not None else _selected_labels(resource)
        self.pod_labels: dict[str, Any] = mapping(labels)
        self.pod_annotations: dict[str, Any] = mapping(metadata.get("annotations"))
        self.containers: tuple[Container, ...] = tuple(
            Container(spec, field, index, pod_pointer)
            for field in CONTAINER_FIELDS
            if isinstance(entries := pod_spec.get(field), list)
            for index, spec in enumerate(entries)
            if isinstance(spec, dict)
        )

    @property
    def security_context(self) -> dict[str, Any]:
        """The pod's securityContext, empty where it has none."""
        return mapping(self.pod_spec.get("securityContext"))

    @property
    def is_windows(self) -> bool:
        """True where spec.os.name says so (KEP-2802); a node selector alone does not count."""
        return bool(dig(self.pod_spec, "os", "name") == "windows")

    @property
    def is_long_running(self) -> bool:
        """True for controllers that keep pods serving; not for jobs, bare pods or templates."""
        return self.kind_id in _LONG_RUNNING

    @property
    def is_replicated(self) -> bool:
        """True for controllers with a number of replicas of interchangeable or numbered pods."""
        return self.kind_id in _REPLICATED

    @property
    def replicas(self) -> int | None:
        """The number the manifest asks for; None where it leaves it out or it is no number."""
        return whole_number(dig(self.resource.object, "spec", "replicas"))


def workload_of(resource: Resource, pod_specs: dict[str, str] | None = None) -> Workload | None:
    """Return the workload view of a resource, or None where it carries no pod spec.

    `pod_specs` adds kinds to `POD_SPECS`, as the policy's `workloads` does.
    """
    pointer = POD_SPECS.get(resource.kind_id)
    if pointer is None and pod_specs:
        pointer = pod_specs.get(resource.kind_id)
    if pointer is None:
        return None
    pod_spec = resolve(resource.object, pointer)
    if pod_spec is None and pointer == _TEMPLATE and _selected_labels(resource):
        # A controller that lacks its pod spec is refused, but what it selects says which pods it means.
        pod_spec = {}
    return Workload(resource, pod_spec, pointer) if isinstance(pod_spec, dict) else None


def _selected_labels(resource: Resource) -> dict[str, Any]:
    return mapping(dig(resource.object, "spec", "selector", "matchLabels"))
