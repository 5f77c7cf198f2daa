"""Every image is pinned by digest.

Restricted field: image of containers, initContainers and ephemeralContainers. Allowed values: a reference
with a digest (a tag beside it is fine), and images that the policy excepts.
https://kubernetes.io/docs/concepts/containers/images/#image-names
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.rule import WORKLOAD, CelCheck, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.workload import Container, Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="image-digest",
    section="images",
    severity="error",
    profiles=("recommended",),
    summary="every image is pinned by digest",
    rationale=(
        "A tag can be moved: two pods of one rollout may run different code, a rollback may not bring the "
        "old code back, and what was scanned and signed need not be what runs."
    ),
    remediation=(
        "Put the digest behind the reference (`crane digest IMAGE` or the registry shows it):\n"
        "image: registry.example.com/shop/api:1.4.2@sha256:"
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/containers/images/#image-names",
        "https://slsa.dev/spec/v1.0/verifying-artifacts",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "except",
            "strings",
            (),
            "globs of images, registry and path without tag, that may go by tag",
            stricter="less",
        ),
    ),
    cel=(
        CelCheck(
            "container",
            "c.?image.orValue('').matches('@(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$')",
        ),
    ),
)

_TRIGGERS = "image.openshift.io/triggers"


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each image without a digest."""
    excepted = context.parameters["except"]
    for container in workload.containers:
        image = container.spec.get("image")
        if not isinstance(image, str) or not image.strip():
            yield _without_image(container, workload)
            continue
        pointer = f"{container.pointer}/image"
        try:
            reference = parse_image(image)
        except InvalidImage as error:
            yield Violation(
                pointer,
                f"the image of container {container.name} cannot be read: {error}",
                container.name,
            )
            continue
        if not reference.is_pinned and not matches_any(reference.name, excepted):
            yield Violation(
                pointer,
                f"the image {image} of container {container.name} has no digest",
                container.name,
            )


def _without_image(container: Container, workload: Workload) -> Violation:
    """Report a container without an image; something that fills it in makes that unknown.

    The API server takes a blank image in a template, and OpenShift writes one there as a placeholder.
    https://github.com/openshift/origin/issues/14659
    """
    image = container.spec.get("image")
    why = ""
    if image is not None and not isinstance(image, str):
        why = f": {quoted(image)} is no text"
    elif _TRIGGERS in workload.resource.annotations:
        why = f", it is filled in by {_TRIGGERS}"
    elif image and workload.kind_id != "Pod":
        why = ", its blank stands for one that is filled in later"
    return Violation(
        f"{container.pointer}/image",
        f"container {container.name} names no image{why}",
        container.name,
        unknown=why.startswith(","),
    )
