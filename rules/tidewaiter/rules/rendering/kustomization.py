"""Kustomize folders, built by the user's kustomize or kubectl, with the place of every field.

Those of them that another one builds upon are not applied by themselves.
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.bounded import run_to_end
from tidewaiter.rules.rendering.build_trace import Sources, Trace
from tidewaiter.rules.rendering.rendered import (
    Place,
    RenderedFile,
    Rendering,
    SourceIgnore,
    lacks_namespace,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from tidewaiter.rules.rendering.gitops import Followed


_ORIGIN = "config.kubernetes.io/origin"
_CHANGES = "alpha.config.kubernetes.io/transformations"
_REMOTE = ("http://", "https://", "git@", "git::", "ssh://", "github.com/", "gitlab.com/")
_WHAT = "building the kustomization"
_LONGEST = 1000
"""Characters of an error that are shown."""
_REMOTE_HINT = "is remote, and nothing is downloaded here; what is in files is checked one by one"
_INFLATES = (
    "it has charts downloaded and rendered (helmCharts), which is not done here; build it by "
    "`kustomize build --enable-helm` and lint the result"
)
_RESOURCES = ("resources", "bases", "crds")
_MISSING = (
    "the kustomization is not built, and its files are checked one by one: neither kustomize nor kubectl is on the PATH; "
    "pip install 'tidewaiter[kustomize]', or leave out what is rendered by --no-render or --exclude"
)


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
    kustomization: Kustomization, program: Sequence[str], applier: Followed | None = None
) -> Rendering:
    """Build a kustomization. What goes wrong is in the errors of the rendering.

    Without a program that is an error too. `applier` is who applies it, and may lay something around it.
    """
    title = f"kustomization {kustomization.folder or '.'}"
    try:
        with tempfile.TemporaryDirectory(prefix="tidewaiter-kustomize-") as temporary:
            here = os.path.realpath(temporary)
            folder = os.path.realpath(kustomization.folder or ".")
            around = applier.around or {} if applier is not None else {}
            components = [
                os.path.relpath(os.path.join(folder, each), here)
                for each in sequence(around.get("components"))
                if isinstance(each, str)
            ]
            wrapped = {
                **around,
                **({"components": components} if components else {}),
                "resources": [os.path.relpath(folder, here)],
                "buildMetadata": ["originAnnotations", "transformerAnnotations"],
            }
            with open(os.path.join(here, "kustomization.yaml"), "w", encoding="utf-8") as file:
                json.dump(wrapped, file)
            ended = run_to_end([*program, here], b"", _WHAT) if program else None
            if ended is None:
                message = _MISSING
            elif ended.code == 0:
                return _rendering(title, kustomization, ended.output, here, applier)
            else:
                message = _told(ended.said.decode("utf-8", "replace"))
    except InputError as error:
        message = error.message
    failure = InputError(message, file=kustomization.file)
    return Rendering(title, kustomization.folder, (), (failure,))


def _told(said: str) -> str:
    """Say why a build failed, without the log line that it may stand in, and without what we have laid around."""
    if "must specify --enable-helm" in said:
        return f"{_WHAT} failed: {_INFLATES}"
    text = " ".join(said.split())
    logged = re.search(r'\b[EF]\d{4} [^"]*"command failed" err=(?:"(.*)"|<(.*)>)', text)
    if logged is not None:
        text = (logged[1] or logged[2]).strip()
    text = re.sub(r"^[Ee]rror: ", "", text)
    if "no 'git' program on path" in text or "proxyconnect" in text:
        urls = re.findall(r"accumulating resources from '([^']*)'", text)
        return f"{_WHAT} failed: {urls[-1] if urls else 'a resource'} {_REMOTE_HINT}"
    # Around it is only the folder that we had built.
    inner = re.match(
        r".*?must resolve to a file': (?:recursed accumulation of|couldn't make target for) path '[^']*': ",
        text,
    )
    return f"{_WHAT} failed: {text[inner.end() :] if inner else text or 'it says nothing'}"[
        :_LONGEST
    ]


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


def _rendering(
    title: str, kustomization: Kustomization, output: bytes, here: str, applier: Followed | None
) -> Rendering:
    if applier is not None and applier.variables is not None:
        output = applier.variables.put_into(output.decode("utf-8", "replace")).encode()
    namespace = applier.namespace if applier is not None else ""
    loaded = load_documents(output, kustomization.file)
    sources = Sources(here, _files_in)
    traces: dict[str, list[Trace]] = {}
    for document in loaded.documents:
        if isinstance(document.value, dict):
            obj, origin, changes = _without_notes(document.value)
            if namespace and lacks_namespace(obj):
                obj["metadata"]["namespace"] = namespace
            trace = Trace(sources, obj, origin, changes, kustomization.file)
            traces.setdefault(trace.file, []).append(trace)
    files = tuple(_file(file, together) for file, together in traces.items())
    return Rendering(title, kustomization.folder, files, tuple(loaded.errors))


def _files_in(kustomization: str) -> tuple[str, ...]:
    folder, file = os.path.split(kustomization)
    return read_kustomization(folder, file).files


def _file(file: str, traces: Sequence[Trace]) -> RenderedFile:
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


def roots(found: Iterable[Kustomization]) -> list[Kustomization]:
    """Return the kustomizations that no other one builds upon: what is applied.

    Of those that build upon each other in a circle one is among them, so that its build says so.
    """
    every = list(found)
    used = {os.path.normpath(folder) for each in every for folder in each.folders}
    chosen = [each for each in every if not each.is_component and _key(each) not in used]
    seen = reached(every, chosen)
    for each in every:
        if not each.is_component and _key(each) not in seen:
            chosen.append(each)
            seen |= reached(every, [each])
    return chosen


def reached(found: Iterable[Kustomization], built: Iterable[Kustomization]) -> set[str]:
    """Return the folders of all kustomizations that some are built upon, these among them."""
    by_folder = {_key(each): each for each in found}
    pending = [_key(each) for each in built]
    seen: set[str] = set()
    while pending:
        folder = pending.pop()
        if folder in seen:
            continue
        seen.add(folder)
        if folder in by_folder:
            pending += map(os.path.normpath, by_folder[folder].folders)
    return seen


def _key(kustomization: Kustomization) -> str:
    return os.path.normpath(kustomization.folder or ".")
