"""Every image that a pod pulls: those of its containers, and those mounted as volumes.

https://kubernetes.io/docs/concepts/containers/images/ and, for volumes,
https://kubernetes.io/docs/concepts/storage/volumes/#image
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import items, mapping, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload


@record
class PodImage:
    """An image as a manifest states it, which may be no text, and its pull policy.

    `owner` is how a message names what it is for ("container app", "volume model"); `container` is None
    for a volume. The pointers are those of the two fields, also where they are missing.
    """

    image: object
    pointer: str
    pull_policy: object
    policy_pointer: str
    owner: str
    container: str | None


def pod_images(workload: Workload) -> Iterator[PodImage]:
    """Yield one image for each container, init and ephemeral ones among them, and image volume."""
    for container in workload.containers:
        yield PodImage(
            container.spec.get("image"),
            f"{container.pointer}/image",
            container.spec.get("imagePullPolicy"),
            f"{container.pointer}/imagePullPolicy",
            f"container {container.name}",
            container.name,
        )
    for volume, pointer in items(
        workload.pod_spec.get("volumes"), f"{workload.pod_pointer}/volumes"
    ):
        if isinstance(volume.get("image"), dict):
            source = mapping(volume["image"])
            yield PodImage(
                source.get("reference"),
                f"{pointer}/image/reference",
                source.get("pullPolicy"),
                f"{pointer}/image/pullPolicy",
                f"volume {text(volume.get('name'))}",
                None,
            )
