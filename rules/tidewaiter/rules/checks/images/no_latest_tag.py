"""No image goes by the tag `latest`, stated or implied.

Restricted field: image of containers, initContainers and ephemeralContainers. Allowed values: a reference
with a digest, or with a tag other than `latest`.
https://kubernetes.io/docs/concepts/containers/images/#image-names
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="no-latest-tag",
    section="images",
    severity="error",
    profiles=("recommended",),
    summary="no image goes by the tag latest, nor by no tag at all",
    rationale=(
        "latest is whatever was pushed last: nobody can say what runs, a restart may bring another "
        "version in, and there is nothing to roll back to."
    ),
    remediation="Name the version, better still with its digest:\nimage: registry.example.com/shop/api:1.4.2",
    references=(
        "https://kubernetes.io/docs/concepts/containers/images/#image-names",
        "https://kubernetes.io/docs/concepts/configuration/overview/",
    ),
    applies_to=(WORKLOAD,),
    tags=("anti-pattern",),
    cel=(
        CelCheck(
            "container",
            "!c.?image.orValue('').matches('^[A-Za-z0-9][A-Za-z0-9._:/-]*$') || "
            "c.image.matches(':[^/:]+$') && !c.image.endsWith(':latest')",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each image that goes by the tag latest."""
    del context
    for container in workload.containers:
        image = container.spec.get("image")
        pointer = f"{container.pointer}/image"
        if not image:
            yield Violation(
                pointer,
                f"container {container.name} names no image, so its tag is not known",
                container.name,
                unknown=True,
            )
            continue
        try:
            reference = parse_image(image)
        except InvalidImage as error:
            yield Violation(
                pointer,
                f"the tag of container {container.name}'s image cannot be read: {error}",
                container.name,
                unknown=True,
            )
            continue
        if reference.is_pinned or reference.tag not in {None, "latest"}:
            continue
        tag = "the tag latest" if reference.tag else "no tag, which means latest"
        yield Violation(
            pointer, f"the image {image} of container {container.name} has {tag}", container.name
        )
