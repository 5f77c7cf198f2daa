"""A whole pinning run: find the images, ask the registries for all their digests at once, edit the files.

Nothing is written here: the result holds each changed file as it was and as it should be.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from tidewaiter.cli.result import lint_error
from tidewaiter.rules.errors import InputError, RegistryError
from tidewaiter.rules.fixes.draft import Draft
from tidewaiter.rules.fixes.image_places import images_in
from tidewaiter.rules.fixes.value_edit import Refused
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.sources import STDIN, SourceFile, discover, read_file
from tidewaiter.rules.manifest.glob import matches_any
from tidewaiter.rules.record import record
from tidewaiter.rules.signatures.credentials import usual_keychain
from tidewaiter.rules.signatures.registry import RegistryClient, repository_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidewaiter.cli.result import LintError
    from tidewaiter.rules.fixes.edit import PlainFix
    from tidewaiter.rules.fixes.image_places import ImagePlace
    from tidewaiter.rules.loading.sources import Found
    from tidewaiter.rules.manifest.image import ImageReference
    from tidewaiter.rules.signatures.registry import RegistrySettings

    Tagged = tuple[str, str]
    """The image's name and tag."""
    Answers = Mapping[Tagged, str | RegistryError]

_AT_ONCE = 16
"""Questions that wait for registries at the same time."""

PINNED, MOVED, CURRENT, LEFT, FAILED = "pinned", "moved", "current", "left", "failed"


@record
class PinJob:
    """What to pin. `values` are pointers to images in files of values, by file.

    `value_globs` are pairs of globs of such files, relative to `root`, and pointers, of which a file may lack some.
    `excepted` are globs of images that are left alone; `follows` says that pinned tags are looked up as well, and
    `pins` that those without a digest get one.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    value_globs: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    root: str
    excepted: tuple[str, ...]
    pod_specs: dict[str, str]
    follows: bool
    pins: bool


@record
class ImageOutcome:
    """What became of one image: pinned, moved (its tag leads elsewhere now), current, left or failed."""

    file: str
    line: int
    image: str
    outcome: str
    digest: str = ""
    reason: str = ""


@record
class PinResult:
    """What became of every image. `changed` has the old and the new content of each file, by path.

    `charts` are the Helm charts of which nobody has said where their values hold images.
    """

    images: tuple[ImageOutcome, ...]
    changed: dict[str, tuple[bytes, bytes]]
    errors: tuple[LintError, ...]
    charts: tuple[str, ...] = ()


@record
class _File:
    path: str
    data: bytes
    places: tuple[ImagePlace, ...]


def pin(
    job: PinJob, settings: RegistrySettings, contents: Mapping[str, bytes] | None = None
) -> PinResult:
    """Pin the images of a job, as far as their registries answer; it raises nothing for what it reads."""
    found = discover([*job.paths, *job.values], job.exclude)
    files, errors = _read(found, job, contents or {})
    asked = {
        (place.image.name, place.tag): place.image
        for file in files
        for place in file.places
        if place.image is not None and place.tag and _is_asked(place.image, job)
    }
    answers = asyncio.run(_resolve(asked, settings)) if asked else {}
    images: list[ImageOutcome] = []
    changed: dict[str, tuple[bytes, bytes]] = {}
    for file in files:
        outcomes, after = _pin_file(file, job, answers)
        images += outcomes
        if after != file.data:
            changed[file.path] = (file.data, after)
    charts = tuple(
        chart
        for chart in found.charts
        if not any(file.path.startswith(f"{chart}/") or chart == "." for file in files)
    )
    return PinResult(tuple(images), changed, tuple(map(lint_error, errors)), charts)


def _is_asked(image: ImageReference, job: PinJob) -> bool:
    if matches_any(image.name, job.excepted):
        return False
    return job.follows if image.is_pinned else job.pins


def _read(
    found: Found, job: PinJob, contents: Mapping[str, bytes]
) -> tuple[list[_File], list[InputError]]:
    values = {os.path.realpath(path): pointers for path, pointers in job.values.items()}
    errors = list(found.errors)
    files = []
    listed = {source.path for source in found.files}
    # One without a suffix is no file that a walk takes for a manifest.
    kustomizations = [
        SourceFile(path, explicit=False)
        for folder, name in found.kustomizations
        if (path := os.path.normpath(os.path.join(folder, name))) not in listed
    ]
    for source in (*found.files, *kustomizations):
        try:
            stated = contents.get(source.path)
            data = read_file(source.path) if stated is None else stated
        except InputError as error:
            errors.append(error)
            continue
        pointers = values.get(os.path.realpath(source.path), ()) if source.path != STDIN else ()
        images = images_in(
            data,
            source.path,
            values=pointers,
            optional_values=_by_glob(source.path, job),
            explicit=source.explicit,
            pod_specs=job.pod_specs,
        )
        errors += images.errors
        if images.places:
            files.append(_File(source.path, data, images.places))
    return files, errors


def _by_glob(path: str, job: PinJob) -> tuple[str, ...]:
    if path == STDIN or not job.value_globs:
        return ()
    shown = os.path.relpath(os.path.realpath(path), job.root)
    return tuple(
        pointer
        for globs, pointers in job.value_globs
        if matches_any(shown, globs)
        for pointer in pointers
    )


async def _resolve(
    asked: Mapping[Tagged, ImageReference], settings: RegistrySettings
) -> dict[Tagged, str | RegistryError]:
    """Ask for the digest of each tag: that of the index where the image is for several platforms."""
    room = asyncio.Semaphore(_AT_ONCE)
    async with RegistryClient(settings, usual_keychain()) as client:

        async def digest(image: ImageReference, tag: str) -> str | RegistryError:
            async with room:
                try:
                    return (await client.manifest(repository_of(image), tag)).digest
                except RegistryError as error:
                    return error

        found = await asyncio.gather(*(digest(image, tag) for (_, tag), image in asked.items()))
    return dict(zip(asked, found, strict=True))


def _pin_file(file: _File, job: PinJob, answers: Answers) -> tuple[list[ImageOutcome], bytes]:
    locator = Locator(file.data)
    outcomes = []
    try:
        draft: Draft | None = Draft(file.data)
    except Refused:
        draft = None
    wanted: dict[int, list[PlainFix]] = {}
    for place in file.places:
        fix = _fix(place, answers)
        if fix is not None:
            wanted.setdefault(place.document, []).append(fix)
    for place in file.places:
        line = locator.document(place.document).at(place.pointer).line
        outcome, digest, reason = _pin_place(
            place, job, answers, draft, wanted.get(place.document, ())
        )
        image = place.image.original if place.image is not None else ""
        outcomes.append(ImageOutcome(file.path, line, image, outcome, digest, reason))
    try:
        return outcomes, draft.data() if draft is not None else file.data
    except Refused as problem:
        return _failed(outcomes, str(problem)), file.data


def _pin_place(
    place: ImagePlace,
    job: PinJob,
    answers: Answers,
    draft: Draft | None,
    wanted: Sequence[PlainFix],
) -> tuple[str, str, str]:
    """Return what becomes of one image: outcome, digest and reason."""
    image, tag = place.image, place.tag
    if image is None:
        return LEFT, "", place.problem
    if matches_any(image.name, job.excepted):
        return LEFT, "", "it is excepted"
    if tag is None:
        return CURRENT, image.digest or "", ""
    answer = answers.get((image.name, tag))
    if answer is None:
        return (CURRENT if image.is_pinned else LEFT), image.digest or "", "it has no digest"
    if isinstance(answer, RegistryError):
        return FAILED, "", answer.message
    if answer == image.digest:
        return CURRENT, answer, ""
    if draft is None:
        return FAILED, answer, "the file cannot be written back as it is"
    try:
        draft.apply((True, place.document, (place.pinned(answer),)), wanted)
    except Refused as problem:
        return FAILED, answer, str(problem)
    return (MOVED if image.is_pinned else PINNED), answer, ""


def _fix(place: ImagePlace, answers: Answers) -> PlainFix | None:
    """Return what pins an image, where its registry has answered."""
    if place.image is None or place.tag is None:
        return None
    answer = answers.get((place.image.name, place.tag))
    return (True, place.document, (place.pinned(answer),)) if isinstance(answer, str) else None


def _failed(outcomes: Sequence[ImageOutcome], reason: str) -> list[ImageOutcome]:
    return [
        one
        if one.outcome not in {PINNED, MOVED}
        else ImageOutcome(one.file, one.line, one.image, FAILED, one.digest, reason)
        for one in outcomes
    ]


def count(images: Iterable[ImageOutcome], outcome: str) -> int:
    """Count the images that something became of."""
    return sum(one.outcome == outcome for one in images)
