"""What several controls of the Pod Security Standards share.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.workload import Workload

PSS = "https://kubernetes.io/docs/concepts/security/pod-security-standards/"
_WINDOWS_EXEMPT_SINCE = (1, 25)
_USER_NAMESPACES_RELAX_SINCE = (1, 35)


def exempt_as_windows(workload: Workload, version: tuple[int, int]) -> bool:
    """Tell whether the Linux-only controls leave a pod out (KEP-2802: spec.os.name, from 1.25)."""
    return version >= _WINDOWS_EXEMPT_SINCE and workload.is_windows


def relaxed_by_user_namespace(workload: Workload, version: tuple[int, int]) -> bool:
    """Tell whether root in the pod is not root on its node (KEP-127: hostUsers false, from 1.35)."""
    return version >= _USER_NAMESPACES_RELAX_SINCE and workload.pod_spec.get("hostUsers") is False


def security_contexts(workload: Workload) -> Iterator[tuple[dict[str, Any], str, str | None]]:
    """Yield each securityContext of a pod: its content, pointer and container (None for the pod)."""
    yield workload.security_context, f"{workload.pod_pointer}/securityContext", None
    for container in workload.containers:
        yield container.security_context, f"{container.pointer}/securityContext", container.name


def owner(container: str | None) -> str:
    """Name whose securityContext it is, for a message."""
    return "the pod" if container is None else f"container {container}"
