"""No pod gets at the socket of its node's container runtime.

Restricted fields: spec.volumes[*].hostPath.path and volumeMounts[*].mountPath. Forbidden: the sockets of
Docker, containerd, CRI-O, cri-dockerd and Podman, and of the node's folders those that hold one.
https://kubernetes.io/docs/setup/production-environment/container-runtimes/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import dig, items, quoted, text
from tidewaiter.rules.rule import WORKLOAD, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-runtime-socket",
    section="security",
    severity="error",
    profiles=("recommended",),
    summary="no pod mounts the socket of a container runtime",
    rationale=(
        "Whoever may talk to the runtime starts a privileged container on the node and owns it; no other "
        "setting of the pod holds that back."
    ),
    remediation=(
        "Remove the mount. To build images use a builder that needs no daemon; to watch containers use "
        "the kubelet's metrics:\nvolumes:\n  - name: work\n    emptyDir: {}"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
        "https://docs.docker.com/engine/security/#docker-daemon-attack-surface",
    ),
    applies_to=(WORKLOAD,),
)

_SOCKETS = frozenset(
    {
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/k3s/containerd/containerd.sock",
        "/run/k0s/containerd.sock",
        "/run/crio/crio.sock",
        "/run/cri-dockerd.sock",
        "/run/podman/podman.sock",
        "/run/dockershim.sock",
        "/dockershim.sock",
    }
)
_SOCKET_FOLDERS = frozenset(
    {
        "/",
        "/run",
        *(socket.rpartition("/")[0] for socket in _SOCKETS if socket.count("/") > 2),
    }
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each volume or mount that leads to a runtime's socket."""
    del context
    found = set()
    pointer = f"{workload.pod_pointer}/volumes"
    for volume, place in items(workload.pod_spec.get("volumes"), pointer):
        path = text(dig(volume, "hostPath", "path"))
        plain = _plain(path)
        if path and (plain in _SOCKETS or plain in _SOCKET_FOLDERS):
            found.add(text(volume.get("name")))
            what = "is the socket" if plain in _SOCKETS else "holds the socket"
            yield Violation(
                f"{place}/hostPath/path",
                f"volume {quoted(volume.get('name'))} is {path} of the node, which {what} of its "
                "container runtime",
            )
    for container in workload.containers:
        mounts = items(container.spec.get("volumeMounts"), f"{container.pointer}/volumeMounts")
        for mount, place in mounts:
            path = text(mount.get("mountPath"))
            if text(mount.get("name")) not in found and _plain(path) in _SOCKETS:
                yield Violation(
                    f"{place}/mountPath",
                    f"container {container.name} mounts the socket of a container runtime at {path}",
                    container.name,
                )


def _plain(path: str) -> str:
    """Return a path of the node without repeated or final slashes, /var/run resolved to /run."""
    path = "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
    for folder in ("/var/run", "/host/run", "/host/var/run"):
        if path == folder or path.startswith(f"{folder}/"):
            return "/run" + path.removeprefix(folder)
    return path.removeprefix("/var") if path.startswith("/var/dockershim") else path
