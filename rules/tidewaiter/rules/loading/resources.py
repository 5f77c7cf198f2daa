"""From the bytes of a file to the Kubernetes objects in it."""

from __future__ import annotations

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.broken import TEMPLATE
from tidewaiter.rules.loading.classify import objects_in
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.loading.documents import Document, DuplicateKey
    from tidewaiter.rules.loading.ignores import CommentIgnore
    from tidewaiter.rules.loading.positions import Locator


@record
class FileContent:
    """What one file holds.

    `resources` are its objects in order and `errors` what could not be read. `skipped` tells why
    the file was passed over, empty where it was not: it has no object, or is a template.
    """

    resources: tuple[Resource, ...]
    errors: tuple[InputError, ...]
    skipped: str = ""


def read_resources(
    data: bytes,
    file: str,
    *,
    explicit: bool = False,
    pod_specs: dict[str, str] | None = None,
) -> FileContent:
    """Read the objects of a file's bytes; `file` is the name to report.

    What is no manifest is skipped, and is an error where the user named the file (`explicit`).
    `pod_specs` are further kinds with a pod spec, as `Resource` takes them. It raises nothing.
    """
    loaded = load_documents(data, file)
    if loaded.errors and not explicit and any(error.message == TEMPLATE for error in loaded.errors):
        return FileContent((), (), _TEMPLATE)
    errors = list(loaded.errors)
    resources: list[Resource] = []
    is_manifest = False
    locator: Locator | None = None
    for document in loaded.documents:
        objects = objects_in(document.value)
        is_manifest = is_manifest or objects.is_manifest
        if objects.is_template:
            if not explicit:
                return FileContent((), (), _TEMPLATE)
            errors.append(InputError(TEMPLATE, file=file, line=document.line, column=1))
        if objects.problem:
            locator = locator or _locator(data)
            errors.append(
                _misplaced(objects.problem, objects.problem_pointer, document, file, locator)
            )
        if not objects.found:
            continue
        ignores: tuple[CommentIgnore, ...] = ()
        if document.may_ignore:
            from tidewaiter.rules.loading.ignores import comment_ignores

            locator = locator or _locator(data)
            ignores = comment_ignores(locator.document(document.index))
        for obj, prefix in objects.found:
            duplicates = _within(document.duplicates, prefix)
            resources.append(
                Resource(obj, file, document.index, prefix, duplicates, ignores, pod_specs)
            )
    errors.sort(key=lambda error: (error.line or 0, error.column or 0))
    skipped = "" if is_manifest or errors else "no Kubernetes manifest"
    if skipped and explicit:
        message = "holds no Kubernetes object: none of its documents has an apiVersion and a kind"
        errors.append(InputError(message, file=file))
    return FileContent(tuple(resources), tuple(errors), skipped)


_TEMPLATE = "a template"


def _locator(data: bytes) -> Locator:
    from tidewaiter.rules.loading.positions import Locator

    return Locator(data)


def _misplaced(
    message: str, pointer: str, document: Document, file: str, locator: Locator
) -> InputError:
    span = locator.document(document.index).at(pointer)
    return InputError(message, file=file, line=span.line, column=span.column, pointer=pointer)


def _within(duplicates: tuple[DuplicateKey, ...], prefix: str) -> tuple[Any, ...]:
    """Select the repeated keys of one object of a document."""
    if not prefix or not duplicates:
        return duplicates
    return tuple(each for each in duplicates if each.pointer.startswith(prefix + "/"))
