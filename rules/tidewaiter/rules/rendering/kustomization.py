"""Kustomize folders, built by the user's kustomize or kubectl, with the place of every field.

The build notes of each object which file it comes from and which kustomizations have changed it. A field stands
where that file, or a patch, says what it is; else at the kustomization that changed it last.
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/buildmetadata/
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import IGNORE_MARK, load_documents
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.manifest.fields import escape, mapping, resolve, sequence, text
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.bounded import run_bounded
from tidewaiter.rules.rendering.rendered import Place, RenderedFile, Rendering, SourceIgnore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.loading.ignores import CommentIgnore
    from tidewaiter.rules.loading.positions import Locator

_ORIGIN = "config.kubernetes.io/origin"
_CHANGES = "alpha.config.kubernetes.io/transformations"
_REMOTE = ("http://", "https://", "git@", "git::", "ssh://", "github.com/", "gitlab.com/")
_RESOURCES = ("resources", "bases", "crds")
_MISSING = (
    "the kustomization is not built, and its files are checked one by one: neither kustomize nor kubectl is on the PATH; "
    "pip install 'tidewaiter[kustomize]', or leave out what is rendered by --no-render or --exclude"
)
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
class Kustomization:
    """A kustomization's file and what it refers to, as paths: folders, and files that are only parts of the build.

    Of these files the `resources` are manifests; the others change objects that stand elsewhere.
    """

    folder: str
    file: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    resources: tuple[str, ...]
    remote: tuple[str, ...]
    is_component: bool
    errors: tuple[InputError, ...] = ()


def find_program() -> tuple[str, ...]:
    """Return the command that builds a folder, empty where there is none: kustomize, else kubectl."""
    path = os.pathsep.join((os.environ.get("PATH", ""), os.path.dirname(sys.executable)))
    kustomize = shutil.which("kustomize", path=path)
    if kustomize:
        return kustomize, "build"
    kubectl = shutil.which("kubectl", path=path)
    return (kubectl, "kustomize") if kubectl else ()


def read_kustomization(folder: str, file: str) -> Kustomization:
    """Read what a kustomization refers to; what cannot be read is in its errors."""
    place = os.path.join(folder, file)
    nothing = Kustomization(folder, place, (), (), (), (), is_component=False)
    try:
        loaded = load_documents(read_file(place), place)
    except InputError as error:
        return nothing._replace(errors=(error,))  # type: ignore[attr-defined, no-any-return]
    if loaded.errors:
        return nothing._replace(errors=loaded.errors)  # type: ignore[attr-defined, no-any-return]
    value = mapping(loaded.documents[0].value if loaded.documents else None)
    folders: list[str] = []
    files: list[str] = []
    resources: list[str] = []
    remote: list[str] = []
    for field, entry in _entries(value):
        if entry.startswith(_REMOTE) or "?ref=" in entry:
            remote.append(entry)
            continue
        path = os.path.normpath(os.path.join(folder, entry))
        (folders if os.path.isdir(path) else files).append(path)
        if field in _RESOURCES:
            resources.append(path)
    return Kustomization(
        folder,
        place,
        tuple(folders),
        tuple(files),
        tuple(resources),
        tuple(remote),
        is_component=value.get("kind") == "Component",
    )


def build(
    kustomization: Kustomization, program: Sequence[str], around: Mapping[str, Any] | None = None
) -> Rendering:
    """Build a kustomization. What goes wrong is in the errors of the rendering.

    Without a program that is an error too. `around` are fields of a kustomization that is laid around it, as who
    applies it may do: `namespace`, `patches`.
    """
    title = f"kustomization {kustomization.folder or '.'}"
    if not program:
        error = InputError(_MISSING, file=kustomization.file)
        return Rendering(title, kustomization.folder, (), (error,))
    try:
        with tempfile.TemporaryDirectory(prefix="tidewaiter-kustomize-") as temporary:
            here = os.path.realpath(temporary)
            wrapped = {
                **(around or {}),
                "resources": [os.path.relpath(os.path.realpath(kustomization.folder or "."), here)],
                "buildMetadata": ["originAnnotations", "transformerAnnotations"],
            }
            with open(os.path.join(here, "kustomization.yaml"), "w", encoding="utf-8") as file:
                json.dump(wrapped, file)
            output = run_bounded([*program, here], b"", "building the kustomization")
            return _rendering(title, kustomization, output, here)
    except InputError as error:
        message = _told(error.message)
        for url in kustomization.remote:
            message += f"; {url} is remote, and nothing is downloaded here"
        return Rendering(
            title, kustomization.folder, (), (InputError(message, file=kustomization.file),)
        )


def _told(message: str) -> str:
    """Return an error of the build without the log line that it may stand in, and without what we have laid around."""
    what, failed, text = message.partition(" failed: ")
    logged = re.fullmatch(r'[EF]\d{4} .*? err="(.*)"', text)
    text = logged[1] if logged else text.removeprefix("error: ").removeprefix("Error: ")
    inner = re.search(r"recursed accumulation of path '[^']*': (.*)", text)
    return f"{what}{failed}{inner[1] if inner else text}"


def _entries(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each path that a kustomization names, with the field that does."""
    for field in (*_RESOURCES, "components", "configurations", "transformers"):
        yield from ((field, each) for each in sequence(value.get(field)) if isinstance(each, str))
    for field in ("generators", "validators", "patchesStrategicMerge"):
        for each in sequence(value.get(field)):
            if isinstance(each, str) and "\n" not in each:
                yield field, each
    for field in ("patches", "patchesJson6902", "replacements"):
        for each in sequence(value.get(field)):
            path = mapping(each).get("path")
            if isinstance(path, str):
                yield field, path
    for each in sequence(value.get("helmCharts")):
        values = mapping(each).get("valuesFile")
        if isinstance(values, str):
            yield "helmCharts", values


def _rendering(title: str, kustomization: Kustomization, output: bytes, here: str) -> Rendering:
    loaded = load_documents(output, kustomization.file)
    sources = _Sources(here)
    traces: dict[str, list[_Trace]] = {}
    for document in loaded.documents:
        if isinstance(document.value, dict):
            obj, origin, changes = _without_notes(document.value)
            trace = _Trace(sources, obj, origin, changes, kustomization.file)
            traces.setdefault(trace.file, []).append(trace)
    files = tuple(_file(file, together) for file, together in traces.items())
    return Rendering(title, kustomization.folder, files, tuple(loaded.errors))


def _file(file: str, traces: Sequence[_Trace]) -> RenderedFile:
    """Write the objects of one source file as one text, each on a line of its own."""

    def place_of(line: int, pointer: str, key: str) -> Place:
        return traces[min((line - 1) // 2, len(traces) - 1)].place_of(pointer, key)

    def ignores_of(document: int) -> tuple[SourceIgnore, ...]:
        return traces[document].ignores()

    text = "\n---\n".join(json.dumps(trace.object) for trace in traces)
    return RenderedFile(file, text.encode(), place_of, ignores_of)


def _without_notes(obj: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Return an object without the notes of the build, and these: where it is from, and what changed it."""
    metadata = mapping(obj.get("metadata"))
    annotations = dict(mapping(metadata.get("annotations")))
    origin = _parsed(annotations.pop(_ORIGIN, ""))
    changes = _parsed(annotations.pop(_CHANGES, ""))
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    if annotations:
        rest["annotations"] = annotations
    return {**obj, "metadata": rest}, mapping(origin), sequence(changes)


def _parsed(note: object) -> object:
    documents = load_documents(text(note).encode(), "").documents
    return documents[0].value if documents else None


class _Sources:
    """The files that a build has read, each read once more to look places up in it."""

    def __init__(self, here: str) -> None:
        self._here = here
        self._read: dict[str, tuple[list[tuple[dict[str, Any], int, str]], Locator | None]] = {}
        self._files: dict[str, tuple[str, ...]] = {}
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
            folder, file = os.path.split(kustomization)
            self._files[kustomization] = read_kustomization(folder, file).files
        return self._files[kustomization]

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


class _Trace:
    """Where the fields of one built object come from."""

    def __init__(
        self,
        sources: _Sources,
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
        for path in self._sources.files_of(kustomization):
            for row in self._sources.objects(path):
                if row[0].get("kind") not in {self.object.get("kind"), None}:
                    continue
                found = self._pointer_in(row[0], pointer)
                if found and resolve(row[0], found) == value:
                    return self._at(path, row, found)
        return None

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


def roots(found: Iterable[Kustomization]) -> list[Kustomization]:
    """Return the kustomizations that no other one builds upon: what is applied."""
    every = list(found)
    used = {os.path.normpath(folder) for each in every for folder in each.folders}
    return [
        each
        for each in every
        if os.path.normpath(each.folder or ".") not in used and not each.is_component
    ]
