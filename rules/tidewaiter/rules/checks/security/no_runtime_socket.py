"""No pod gets at the socket of its node's container runtime.

Restricted fields: spec.volumes[*].hostPath.path and volumeMounts[*].mountPath. Forbidden: the sockets of
Docker, containerd, CRI-O, cri-dockerd and Podman by their names, their named pipes on Windows, and of the
node's folders those that hold one. A mount of what is made for the pod, such as an emptyDir, is no matter.
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
        "containerd.sock",
        "containerd.sock.ttrpc",
        "cri-dockerd.sock",
        "crio.sock",
        "docker.sock",
        "dockershim.sock",
        "podman.sock",
    }
)
# Distributions put a socket where they like and keep its name; these are the folders they use.
_SOCKET_FOLDERS = frozenset(
    {
        "/",
        "/run",
        "/run/containerd",
        "/run/crio",
        "/run/docker",
        "/run/docker/containerd",
        "/run/k0s",
        "/run/k3s",
        "/run/k3s/containerd",
        "/run/podman",
        "/var/snap/microk8s",
        "/var/snap/microk8s/common",
        "/var/snap/microk8s/common/run",
    }
)
_PIPE = "//./pipe/"
_PIPES = frozenset({"containerd-containerd", "cri-dockerd", "docker_engine", "dockershim"})
_MADE_FOR_THE_POD = ("configMap", "downwardAPI", "emptyDir", "image", "projected", "secret")


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each volume or mount that leads to a runtime's socket."""
    del context
    judged = set()
    pointer = f"{workload.pod_pointer}/volumes"
    for volume, place in items(workload.pod_spec.get("volumes"), pointer):
        path = text(dig(volume, "hostPath", "path"))
        what = _what_of_runtime(path) if path else ""
        if what:
            yield Violation(
                f"{place}/hostPath/path",
                f"volume {quoted(volume.get('name'))} is {path} of the node, which {what} of its "
                "container runtime",
            )
        if what or any(isinstance(volume.get(kind), dict) for kind in _MADE_FOR_THE_POD):
            judged.add(text(volume.get("name")))
    for container in workload.containers:
        mounts = items(container.spec.get("volumeMounts"), f"{container.pointer}/volumeMounts")
        for mount, place in mounts:
            path = text(mount.get("mountPath"))
            if text(mount.get("name")) not in judged and _is_socket(path):
                yield Violation(
                    f"{place}/mountPath",
                    f"container {container.name} mounts the socket of a container runtime at {path}",
                    container.name,
                )


def _what_of_runtime(path: str) -> str:
    """Say what a path of the node has to do with the runtime's socket, "" where nothing."""
    if _is_socket(path):
        return "is the socket"
    plain = "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
    if plain == "/var/run" or plain.startswith("/var/run/"):
        plain = plain.removeprefix("/var")
    return "holds the socket" if plain in _SOCKET_FOLDERS else ""


def _is_socket(path: str) -> bool:
    """Tell whether a path is that of a runtime's socket or, on Windows, of its named pipe."""
    plain = path.replace("\\", "/")
    if plain.startswith(_PIPE):
        return plain.removeprefix(_PIPE).lower() in _PIPES
    return path.rstrip("/").rpartition("/")[2] in _SOCKETS
