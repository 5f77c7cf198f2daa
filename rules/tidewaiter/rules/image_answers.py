"""What was found out of the images of a run, and what two rules say of it.

Rules are pure: a gate finds out about images before it judges. Where none has done so they answer `unknown`.
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.manifest.fields import quoted, text
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.manifest.pod_images import pod_images
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.rule import Context


@record
class ImageProblem:
    """Why an image does not fulfil the policy, or, where `unknown`, why that could not be found out.

    `severity` is what the policy makes of it, None for the rule's own.
    """

    message: str
    unknown: bool = False
    severity: str | None = None


@record
class ImageAnswer:
    """What was found out of an image: it fulfils what is asked where both lists are empty.

    `digest` is what the reference stood for when it was looked up, empty where that could not be done.
    """

    digest: str
    signature: tuple[ImageProblem, ...] = ()
    attestation: tuple[ImageProblem, ...] = ()


def images_of(resources: Iterable[Resource]) -> list[str]:
    """Return the images of all pods that resources make, each once, as they are stated."""
    found: dict[str, None] = {}
    for resource in resources:
        if resource.workload is not None:
            for image in pod_images(resource.workload):
                if isinstance(image.image, str) and image.image.strip():
                    found[image.image] = None
    return list(found)


def image_violations(workload: Workload, context: Context, part: str) -> Iterator[Violation]:
    """Yield the problems of a workload's images: `part` is "signature" or "attestation"."""
    facts = context.images
    if facts is None:
        return
    for image in pod_images(workload):
        stated = image.image
        if not text(stated).strip():
            why = "names no image" if not stated else f"has {quoted(stated)} for its image"
            yield Violation(
                image.pointer,
                f"{image.owner} {why}, so its {part}s are not known",
                image.container,
                unknown=not facts.decides,
            )
            continue
        try:
            asked = facts.asks(stated, part)
            reference = parse_image(stated).original
        except InvalidImage as error:
            message = f"the image of {image.owner} cannot be read: {error}"
            yield Violation(image.pointer, message, image.container)
            continue
        if not asked:
            continue
        answer = facts.answer(reference, workload)
        if answer is None:
            message = f"the {part}s of {reference}, the image of {image.owner}, were not verified"
            yield Violation(
                image.pointer,
                message if facts.decides else f"{message}; --verify-images does that",
                image.container,
                unknown=not facts.decides,
            )
            continue
        for problem in answer.signature if part == "signature" else answer.attestation:
            yield Violation(
                image.pointer,
                f"the image {reference} of {image.owner} {problem.message}",
                image.container,
                unknown=problem.unknown and not facts.decides and problem.severity is None,
                severity=problem.severity,
            )
