"""Where the fields of what a kustomization builds come from: the resource, a patch, or a setting.

The build notes of each object which file it comes from and which kustomizations have changed it. A field stands
where that file, or a patch, says what it is; else at the kustomization that changed it last.
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/buildmetadata/
"""

from __future__ import annotations

import os

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import IGNORE_MARK, load_documents
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.manifest.fields import escape, mapping, resolve, sequence, text
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.rendered import Place, SourceIgnore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from tidewaiter.rules.loading.ignores import CommentIgnore
    from tidewaiter.rules.loading.positions import Locator

_SETTINGS = {
    "image": "images",
    "namespace": "namespace",
    "name": "namePrefix",
    "replicas": "replicas",
    "labels": "labels",
    "annotations": "commonAnnotations",
}
"""The field of a kustomization that sets a field of objects."""


@record
class _Patch:
    """A patch: a part of an object, or a list of operations; `at` turns a pointer into it into a place."""

    value: Any
    at: Callable[[str], Place]


class Sources:
    """The files that a build has read, each read once more to look places up in it."""

    def __init__(self, here: str, files_in: Callable[[str], Sequence[str]]) -> None:
        """Read what was built by a kustomization in the folder `here`; `files_in` tells what one refers to."""
        self._here = here
        self._files_in = files_in
        self._read: dict[str, tuple[list[tuple[dict[str, Any], int, str]], Locator | None]] = {}
        self._files: dict[str, tuple[str, ...]] = {}
        self._patches: dict[str, list[_Patch]] = {}
        self._comments: dict[str, tuple[CommentIgnore, ...]] = {}

    def path(self, note: object) -> str:
        """Turn a path in a note of the build, which is relative to where it ran, into one from here."""
        stated = text(note)
        if not stated:
            return ""
        real = os.path.realpath(os.path.join(self._here, stated))
        relative = os.path.relpath(real)
        return real if relative.startswith("..") else relative

    def objects(self, path: str) -> list[tuple[dict[str, Any], int, str]]:
        """Return the objects of a file with their document and prefix; those of a patch are parts of one."""
        return self._content(path)[0]

    def files_of(self, kustomization: str) -> tuple[str, ...]:
        """Return the files that a kustomization refers to, its patches among them."""
        if kustomization not in self._files:
            self._files[kustomization] = tuple(self._files_in(kustomization))
        return self._files[kustomization]

    def patches_of(self, kustomization: str) -> list[_Patch]:
        """Return the patches of a kustomization: those in files, and those in its own text."""
        if kustomization not in self._patches:
            files = [
                patch for path in self.files_of(kustomization) for patch in self._patches_in(path)
            ]
            self._patches[kustomization] = [*files, *self._inline_patches(kustomization)]
        return self._patches[kustomization]

    def _patches_in(self, path: str) -> Iterator[_Patch]:
        for value, document, prefix in self.objects(path):
            yield _Patch(value, _placing(self, path, document, prefix))
        if self._content(path)[1] is not None:
            for each in load_documents(read_file(path), path).documents:
                if isinstance(each.value, list):
                    yield _Patch(each.value, _placing(self, path, each.index, ""))

    def _inline_patches(self, kustomization: str) -> Iterator[_Patch]:
        for value, document, _ in self.objects(kustomization):
            for pointer, stated in _stated_patches(value):
                whole = self.line(kustomization, document, pointer)
                for each in load_documents(stated.encode(), "").documents:
                    if isinstance(each.value, (dict, list)):
                        yield _Patch(each.value, _placing_inside(stated, each.index, whole))

    def comments(self, path: str) -> tuple[CommentIgnore, ...]:
        """Return the ignore comments of a file."""
        if path not in self._comments:
            self._comments[path] = tuple(_comments_in(path))
        return self._comments[path]

    def line(self, path: str, document: int, pointer: str) -> Place:
        """Return the place of a field."""
        locator = self._content(path)[1]
        if locator is None:
            return Place(path, 1)
        try:
            span = locator.document(document).at(pointer)
        except (InputError, IndexError):
            return Place(path, 1)
        return Place(path, span.line, span.column, span.end_line, span.end_column)

    def _content(self, path: str) -> tuple[list[tuple[dict[str, Any], int, str]], Locator | None]:
        if path not in self._read:
            from tidewaiter.rules.loading.positions import Locator

            try:
                data = read_file(path)
                rows = [
                    (each.object, each.document, each.prefix)
                    for each in read_resources(data, path).resources
                ]
                if not rows:
                    rows = [
                        (document.value, document.index, "")
                        for document in load_documents(data, path).documents
                        if isinstance(document.value, dict)
                    ]
                self._read[path] = rows, Locator(data)
            except InputError:
                self._read[path] = [], None
        return self._read[path]


def _placing(sources: Sources, path: str, document: int, prefix: str) -> Callable[[str], Place]:
    return lambda pointer: sources.line(path, document, prefix + pointer)


def _placing_inside(stated: str, document: int, whole: Place) -> Callable[[str], Place]:
    """Return places in a patch that is a text of a kustomization; those of a block text have lines of their own."""
    from tidewaiter.rules.loading.positions import Locator

    def at(pointer: str) -> Place:
        try:
            line = Locator(stated.encode()).document(document).at(pointer).line
            rows = read_file(whole.file).decode("utf-8", "replace").split("\n")
            row, own = rows[whole.line - 1 + line], stated.split("\n")[line - 1]
        except (InputError, IndexError):
            return whole
        if not own.strip() or row.strip() != own.strip():
            return whole
        column = len(row) - len(row.lstrip()) + 1
        return Place(whole.file, whole.line + line, column, whole.line + line, len(row) + 1)

    return at


def _stated_patches(kustomization: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the patches that stand in a kustomization itself, with their pointers."""
    for field in ("patches", "patchesJson6902"):
        for index, each in enumerate(sequence(kustomization.get(field))):
            patch = mapping(each).get("patch")
            if isinstance(patch, str):
                yield f"/{field}/{index}/patch", patch
    for index, each in enumerate(sequence(kustomization.get("patchesStrategicMerge"))):
        if isinstance(each, str) and "\n" in each:
            yield f"/patchesStrategicMerge/{index}", each


def _in_operations(operations: Sequence[Any], pointer: str, value: object, obj: object) -> str:
    """Return where operations on JSON say a field, "" where they do not; `obj` is what they made.

    https://www.rfc-editor.org/rfc/rfc6902
    """
    for index, each in enumerate(operations):
        operation = mapping(each)
        path, said = text(operation.get("path")), operation.get("value")
        if path.endswith("/-"):  # the entry that it appended
            entries = resolve(obj, path[:-2])
            place = sequence(entries).index(said) if said in sequence(entries) else 0
            path = f"{path[:-1]}{place}"
        rest = pointer.removeprefix(path)
        if rest == pointer or (rest and not rest.startswith("/")):
            continue
        if operation.get("op") in {"add", "replace"} and resolve(said, rest) == value:
            return f"/{index}/value{rest}"
    return ""


def _comments_in(path: str) -> Iterator[CommentIgnore]:
    from tidewaiter.rules.loading.ignores import comment_ignores
    from tidewaiter.rules.loading.positions import Locator

    try:
        data = read_file(path)
        if IGNORE_MARK.encode() not in data:
            return
        locator = Locator(data)
        for document in load_documents(data, path).documents:
            if document.may_ignore:
                yield from comment_ignores(locator.document(document.index))
    except (InputError, IndexError):
        return  # the build has read it, and nothing of it is silenced


class Trace:
    """Where the fields of one built object come from."""

    def __init__(
        self,
        sources: Sources,
        obj: dict[str, Any],
        origin: dict[str, Any],
        changes: Sequence[Any],
        built: str,
    ) -> None:
        self._sources = sources
        self.object = obj
        made = sources.path(origin.get("path"))
        self._changed = [sources.path(mapping(each).get("configuredIn")) for each in changes]
        self.file = made or sources.path(origin.get("configuredIn")) or built
        self._source = self._same_object(made) if made else None

    def place_of(self, pointer: str, key: str) -> Place:
        """Return the place of a field; see `RenderedFile`."""
        value = resolve(self.object, pointer)
        if self._source is not None:
            found = self._pointer_in(self._source[0], pointer)
            if found is not None and resolve(self._source[0], found) == value:
                return self._at(self.file, self._source, found)
        for kustomization in dict.fromkeys(reversed(self._changed)):
            place = self._in_patches(kustomization, pointer, value)
            if place is not None:
                return place
        for kustomization in dict.fromkeys(reversed(self._changed)):
            place = self._in_setting(kustomization, key)
            if place is not None:
                return place
        if self._source is not None:
            return self._at(self.file, self._source, self._nearest(self._source[0], pointer))
        return Place(self.file, 1)

    def ignores(self) -> tuple[SourceIgnore, ...]:
        """Return the comments in the files that made the object."""
        files = [self.file, *self._changed]
        for kustomization in self._changed:
            files += self._sources.files_of(kustomization)
        return tuple(
            SourceIgnore(file, comment, self._silencing)
            for file in dict.fromkeys(files)
            for comment in self._sources.comments(file)
        )

    def _silencing(self, pointer: str) -> tuple[Place, ...]:
        """Return the places whose comments speak of a field: its own, and what it is in where a patch has put it there.

        A comment on the very field of the base speaks of the value there, not of what a patch makes of it.
        """
        own = self.place_of(pointer, pointer.rpartition("/")[2])
        if self._source is None or own.file == self.file:
            return (own,)
        above = self._nearest(self._source[0], pointer.rpartition("/")[0])
        return own, self._at(self.file, self._source, above)

    def _at(self, file: str, source: tuple[dict[str, Any], int, str], pointer: str) -> Place:
        _, document, prefix = source
        return self._sources.line(file, document, prefix + pointer)

    def _same_object(self, path: str) -> tuple[dict[str, Any], int, str] | None:
        """Return the object of a file that this one was; the build may have put something round its name."""
        name = text(mapping(self.object.get("metadata")).get("name"))
        kind = self.object.get("kind")
        best: tuple[dict[str, Any], int, str] | None = None
        length = -1
        for row in self._sources.objects(path):
            own = text(mapping(row[0].get("metadata")).get("name"))
            if row[0].get("kind") == kind and own in name and len(own) > length:
                best, length = row, len(own)
        return best

    def _pointer_in(self, source: dict[str, Any], pointer: str) -> str | None:
        """Return the pointer of the same field in another state of the object: entries of lists go by name."""
        here: Any = self.object
        there: Any = source
        result = ""
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, list) and isinstance(there, list) and key.isdigit():
                if int(key) >= len(here):
                    return None
                here = here[int(key)]
                index = _index_of(there, here, int(key))
                if index is None:
                    return None
                there = there[index]
                result += f"/{index}"
            elif isinstance(here, dict) and isinstance(there, dict) and key in there:
                here, there = here.get(key), there[key]
                result += f"/{escape(key)}"
            else:
                return None
        return result

    def _nearest(self, source: dict[str, Any], pointer: str) -> str:
        """Return the pointer of the innermost field above this one that the source has."""
        while pointer:
            found = self._pointer_in(source, pointer)
            if found is not None:
                return found
            pointer = pointer.rpartition("/")[0]
        return ""

    def _in_patches(self, kustomization: str, pointer: str, value: object) -> Place | None:
        for patch in self._sources.patches_of(kustomization):
            if isinstance(patch.value, list):
                found = _in_operations(patch.value, pointer, value, self.object)
            else:
                found = self._in_merge(patch.value, pointer, value)
            if found:
                return patch.at(found)
        return None

    def _in_merge(self, patch: dict[str, Any], pointer: str, value: object) -> str:
        """Return where a patch that is a part of the object says a field, "" where it does not."""
        if patch.get("kind") not in {self.object.get("kind"), None}:
            return ""
        found = self._pointer_in(patch, pointer)
        return found if found and resolve(patch, found) == value else ""

    def _in_setting(self, kustomization: str, key: str) -> Place | None:
        """Return the place of the setting of a kustomization that sets such a field."""
        setting = _SETTINGS.get(key)
        for value, document, _ in self._sources.objects(kustomization):
            if setting is not None and setting in value:
                return self._sources.line(kustomization, document, f"/{setting}")
        return None


def _index_of(entries: Sequence[Any], wanted: Any, index: int) -> int | None:
    name = mapping(wanted).get("name")
    if name is None:
        return index if index < len(entries) else None
    return next((i for i, each in enumerate(entries) if mapping(each).get("name") == name), None)
