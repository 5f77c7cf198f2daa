"""Every image is from a registry and path that the policy lists.

Restricted fields: image of containers, initContainers and ephemeralContainers, reference of image volumes.
Allowed: what a glob of the policy's list matches; without a list the rule asks nothing. The part of a glob
before the first slash is for the registry alone, so that no path can pass for a registry; the rest is for the
path, where `*` crosses slashes. A name without a registry is one of docker.io.
https://kubernetes.io/docs/concepts/containers/images/#image-names
"""

from __future__ import annotations

from functools import lru_cache

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted, text
from tidewaiter.rules.manifest.image import DOCKER_HUB, InvalidImage, parse_image
from tidewaiter.rules.manifest.pod_images import pod_images
from tidewaiter.rules.rule import WORKLOAD, Parameter, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.manifest.pod_images import PodImage
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context

RULE = Rule(
    name="trusted-registry",
    section="images",
    severity="error",
    summary="every image is from a registry and path on the policy's list",
    rationale=(
        "Anybody may push to a public registry, under names that look like others. What was neither built "
        "nor scanned by you runs with the rights of your workload."
    ),
    remediation=(
        "Take the image from a registry on the list, where need be by a mirror there; or add its registry "
        "and path to the policy (parameter allowed):\nimage: registry.example.com/shop/api:1.4.2"
    ),
    references=(
        "https://kubernetes.io/docs/concepts/containers/images/#image-names",
        "https://kubernetes.io/docs/concepts/security/security-checklist/#images",
    ),
    applies_to=(WORKLOAD,),
    parameters=(
        Parameter(
            "allowed",
            "strings",
            (),
            "globs of registry and path, as registry.example.com, ghcr.io/shop or docker.io/library/*; "
            "each also allows what is below it",
            stricter="fewer",
        ),
    ),
)


@RULE.check
def check(workload: Workload, context: Context) -> Iterator[Violation]:
    """Yield one violation for each image that is not on the list; none without a list."""
    allowed = tuple(context.parameters["allowed"])
    if not allowed:
        return
    for image in pod_images(workload):
        if not text(image.image).strip():
            yield _without_image(image)
            continue
        try:
            reference = parse_image(image.image)
        except InvalidImage as error:
            yield Violation(
                image.pointer,
                f"the image of {image.owner} cannot be read: {error}",
                image.container,
            )
            continue
        if not _is_allowed(reference.registry, reference.repository, allowed):
            yield Violation(
                image.pointer,
                f"{image.owner} takes {reference.original} from {reference.registry or 'no registry'}, "
                "which the policy does not list",
                image.container,
            )


def _without_image(image: PodImage) -> Violation:
    """Report what names no image; it may be filled in later."""
    if image.image is None or image.image == "":
        why = "names no image, so its registry is not known"
    else:
        why = f"has {quoted(image.image)} for its image, so its registry is not known"
    return Violation(image.pointer, f"{image.owner} {why}", image.container, unknown=True)


@lru_cache(maxsize=4096)
def _is_allowed(registry: str, repository: str, patterns: tuple[str, ...]) -> bool:
    from fnmatch import fnmatchcase

    for pattern in patterns:
        host, _, path = pattern.partition("/")
        host = DOCKER_HUB if host == "index.docker.io" else host.lower()
        if host != registry.lower() and not fnmatchcase(registry.lower(), host):
            continue
        path = path.rstrip("/")
        if not path or fnmatchcase(repository, path) or fnmatchcase(repository, f"{path}/*"):
            return True
    return False
