"""Files that hold no object of their own though they look like it: they are never edited.

A patch of a kustomization changes an object that stands elsewhere, and what is in a chart's `templates` is Helm's.
"""

from __future__ import annotations

import os

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.manifest.fields import dig, sequence, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.rules.loading.sources import Found

PATCH = "the file is a patch of a kustomization"
TEMPLATE = "the file is one of a chart's templates"

_ENTRIES = ("patches", "patchesJson6902", "replacements")
_PATHS = ("patchesStrategicMerge", "transformers", "generators", "configurations")


class Untouchable:
    """Which of the files of a run are not to be edited."""

    def __init__(self, found: Found) -> None:
        """Read the kustomizations among what was found; one that cannot be read names no patches."""
        self._templates = tuple(
            os.path.join(os.path.realpath(folder), "templates", "") for folder in found.charts
        )
        self._patches = frozenset(_patches(found.kustomizations))

    def why(self, path: str) -> str:
        """Say why a file is not to be edited, "" where it may be."""
        real = os.path.realpath(path)
        if real in self._patches:
            return PATCH
        return TEMPLATE if real.startswith(self._templates) else ""


def _patches(kustomizations: Iterable[tuple[str, str]]) -> Iterator[str]:
    for folder, name in kustomizations:
        path = os.path.join(folder, name)
        try:
            loaded = load_documents(read_file(path), path)
        except InputError:
            continue
        for document in loaded.documents:
            for stated in _named(document.value):
                if stated and "\n" not in stated and "\0" not in stated:
                    yield os.path.realpath(os.path.join(folder, stated))


def _named(kustomization: object) -> Iterator[str]:
    for field in _ENTRIES:
        for entry in sequence(dig(kustomization, field)):
            yield text(dig(entry, "path"))
    for field in _PATHS:
        yield from map(text, sequence(dig(kustomization, field)))
