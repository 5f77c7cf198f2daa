"""Where a file names images by tag, and what to write there to pin one.

Images stand in pod specs, in the `images` of a kustomization, and in values of Helm charts, where only somebody who
knows the chart can say which.
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/
"""

from __future__ import annotations

import os

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.fixes.edit import SET
from tidewaiter.rules.loading.classify import objects_in
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.manifest.fields import items, quoted, resolve, text
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.manifest.pod_images import pod_images
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tidewaiter.rules.fixes.edit import PlainEdit
    from tidewaiter.rules.manifest.image import ImageReference

KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_DEFAULT_TAG = "latest"


@record
class ImagePlace:
    """One image that a file names.

    `pointer` leads from the root of the document `document` to the reference, or with `is_entry` to the mapping that
    holds its parts. `image` is None where it cannot be read, for the reason in `problem`.
    """

    document: int
    pointer: str
    is_entry: bool
    image: ImageReference | None
    problem: str = ""

    @property
    def tag(self) -> str | None:
        """The tag that is followed; None where there is only a digest."""
        if self.image is None or (self.image.digest and not self.image.tag):
            return None
        return self.image.tag or _DEFAULT_TAG

    def pinned(self, digest: str) -> PlainEdit:
        """Return the edit that pins the image to a digest and keeps the tag, for people and for the next update."""
        if self.image is None:
            raise ValueError(self.problem)
        if self.is_entry:
            return SET, f"{self.pointer}/digest", digest
        named = self.image.original.partition("@")[0]
        tag = "" if self.image.tag else f":{_DEFAULT_TAG}"
        return SET, self.pointer, f"{named}{tag}@{digest}"


@record
class ImagesOfFile:
    """The images of one file and what could not be read of it."""

    places: tuple[ImagePlace, ...]
    errors: tuple[InputError, ...]


def images_in(
    data: bytes,
    file: str,
    *,
    values: Sequence[str] = (),
    optional_values: Sequence[str] = (),
    explicit: bool = False,
    pod_specs: dict[str, str] | None = None,
) -> ImagesOfFile:
    """Find the images of a file.

    `values` are pointers to images in the file as one of values; of `optional_values` it may lack some. What is no manifest, such as a template, has none.
    """
    if values or optional_values:
        return _in_values(data, file, values, optional_values)
    places: list[ImagePlace] = []
    loaded = load_documents(data, file)
    is_kustomization = os.path.basename(file) in KUSTOMIZATIONS
    for document in loaded.documents:
        kinds = {found.get("kind") for found, _ in objects_in(document.value).found}
        if is_kustomization or kinds == {"Kustomization"}:
            places += _in_entries(document.index, document.value)
    if is_kustomization:
        return ImagesOfFile(tuple(places), loaded.errors)
    content = read_resources(data, file, explicit=explicit and not places, pod_specs=pod_specs)
    for resource in content.resources:
        if resource.workload is not None:
            for image in pod_images(resource.workload):
                if image.image:
                    pointer = resource.prefix + image.pointer
                    places.append(_reference(resource.document, pointer, image.image))
    return ImagesOfFile(tuple(places), content.errors)


def _in_values(
    data: bytes, file: str, needed: Sequence[str], optional: Sequence[str]
) -> ImagesOfFile:
    loaded = load_documents(data, file)
    places = []
    errors = list(loaded.errors)
    for pointer in dict.fromkeys((*needed, *optional)):
        found = False
        for document in loaded.documents:
            value = resolve(document.value, pointer)
            if isinstance(value, dict):
                places.append(_values_entry(document.index, pointer, value))
                found = True
            elif value is not None:
                places.append(_reference(document.index, pointer, value))
                found = True
        if not found and pointer in needed and not loaded.errors:
            errors.append(InputError(f"has nothing at {pointer}", file=file, pointer=pointer))
    return ImagesOfFile(tuple(places), tuple(errors))


def _in_entries(document: int, kustomization: Any) -> Iterator[ImagePlace]:
    """Yield the images that a kustomization sets a tag for."""
    listed = kustomization.get("images") if isinstance(kustomization, dict) else None
    for entry, pointer in items(listed, "/images"):
        tag = entry.get("newTag")
        if tag is not None:
            yield _entry(
                document,
                pointer,
                entry.get("newName") or entry.get("name"),
                tag,
                entry.get("digest"),
            )


def _values_entry(document: int, pointer: str, entry: dict[str, Any]) -> ImagePlace:
    repository = (
        text(entry.get("repository")) or text(entry.get("name")) or text(entry.get("image"))
    )
    registry = text(entry.get("registry"))
    name = f"{registry.rstrip('/')}/{repository}" if registry and repository else repository
    return _entry(document, pointer, name, entry.get("tag"), entry.get("digest"))


def _entry(document: int, pointer: str, name: object, tag: object, digest: object) -> ImagePlace:
    if not isinstance(tag, str) or not tag:
        why = (
            "no tag" if tag in (None, "") else f"the tag {quoted(tag)}, which is no text: quote it"
        )
        return ImagePlace(document, pointer, True, None, f"it has {why}")
    suffix = f"@{digest}" if digest else ""
    return _reference(document, pointer, f"{text(name)}:{tag}{suffix}", is_entry=True)


def _reference(
    document: int, pointer: str, stated: object, *, is_entry: bool = False
) -> ImagePlace:
    try:
        return ImagePlace(document, pointer, is_entry, parse_image(stated))
    except InvalidImage as error:
        return ImagePlace(document, pointer, is_entry, None, f"it cannot be read: {error}")
