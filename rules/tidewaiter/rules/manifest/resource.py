"""A Kubernetes object and where it was read.

Kinds are told apart by group, never by version: `Deployment.apps` is one kind in every version that
ever served it, those of the retired `extensions` group included.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.manifest.workload import workload_of
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload

_MOVED_FROM_EXTENSIONS = {
    "DaemonSet": "apps",
    "Deployment": "apps",
    "ReplicaSet": "apps",
    "Ingress": "networking.k8s.io",
    "NetworkPolicy": "networking.k8s.io",
    "PodSecurityPolicy": "policy",
}


def kind_id(api_version: str, kind: str) -> str:
    """Name a kind by kind and group: `Deployment.apps`, or `Service` for the core group."""
    group = api_version.rpartition("/")[0]
    if group == "extensions":
        group = _MOVED_FROM_EXTENSIONS.get(kind, group)
    return f"{kind}.{group}" if group else kind


@record
class Asked:
    """The request that brings an object to admission: what is asked, of what there was, and by whom.

    `object` is the object just as the request has it, `old` what it replaces, None where it is created.
    """

    operation: str
    object: dict[str, Any]
    old: dict[str, Any] | None
    username: str
    groups: tuple[str, ...]
    dry_run: bool


class Resource:
    """One object of a manifest: its content (never written to) and its place.

    `asked` is set at admission. `least` is set of an object of a cluster: the object without what the API server
    may have filled in, where that is less and nothing tells whether it has.

    `prefix` is the JSON pointer of the object inside its document ("/items/3" in a List), to put
    before a finding's pointer when its line is looked up. `duplicates` are the mapping keys that
    the document repeats inside this object; `ignores` are its ignore comments.
    """

    __slots__ = (
        "annotations",
        "api_version",
        "asked",
        "document",
        "duplicates",
        "file",
        "ignores",
        "kind",
        "kind_id",
        "labels",
        "least",
        "name",
        "namespace",
        "object",
        "prefix",
        "workload",
    )

    def __init__(
        self,
        obj: dict[str, Any],
        file: str = "",
        document: int = 0,
        prefix: str = "",
        duplicates: tuple[Any, ...] = (),
        ignores: tuple[Any, ...] = (),
        pod_specs: dict[str, str] | None = None,
    ) -> None:
        """Wrap `obj`; `pod_specs` adds kinds that carry a pod spec, as kind id to JSON pointer."""
        self.object = obj
        self.asked: Asked | None = None
        self.least: Resource | None = None
        self.file = file
        self.document = document
        self.prefix = prefix
        self.duplicates = duplicates
        self.ignores = ignores
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        self.api_version: str = api_version if isinstance(api_version, str) else ""
        self.kind: str = kind if isinstance(kind, str) else ""
        self.kind_id: str = kind_id(self.api_version, self.kind)
        metadata = mapping(obj.get("metadata"))
        name, namespace = metadata.get("name"), metadata.get("namespace")
        if not isinstance(name, str) or not name:
            generate = metadata.get("generateName")
            name = f"{generate}*" if isinstance(generate, str) and generate else ""
        self.name: str = name
        self.namespace: str | None = namespace if isinstance(namespace, str) and namespace else None
        self.labels: dict[str, Any] = mapping(metadata.get("labels"))
        self.annotations: dict[str, Any] = mapping(metadata.get("annotations"))
        self.workload: Workload | None = workload_of(self, pod_specs)

    @property
    def spec(self) -> dict[str, Any]:
        """The object's `spec`, empty where it has none."""
        return mapping(self.object.get("spec"))

    @property
    def place(self) -> tuple[str, int, str]:
        """Where the object stands: file, document and prefix. Two of one place are one object.

        What comes from a cluster has no file; its identity is its place.
        """
        if not self.file:
            return self.kind_id, 0, f"{self.namespace or ''}/{self.name}"
        return self.file, self.document, self.prefix

    def __repr__(self) -> str:
        """Name the object as a message does: `Deployment payments/api`."""
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind} {self.name}"
        )
