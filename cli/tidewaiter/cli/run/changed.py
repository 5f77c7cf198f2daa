"""Which findings are on objects that have changed since a commit, for `lint --changed-since`.

The whole tree is linted, so that what objects ask of one another is answered; then only the findings on
changed objects are kept. An object has not changed where the commit has the same text of an object in the
same file; it may have moved within the file. What is new, renamed or untracked has changed whole. Of a chart or
kustomization every object has changed where its values, helpers, patches or settings have.
"""

from __future__ import annotations

import os

from tidewaiter.cli.git import Repository
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import read_file
from tidewaiter.rules.loading.text import decode
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidewaiter.cli.git import Change
    from tidewaiter.cli.result import LintFinding

_MANIFESTS = (".yaml", ".yml", ".json")


@record
class Touched:
    """The findings on changed objects and the others, and the objects that the commit has and the files not."""

    changed: tuple[LintFinding, ...]
    others: tuple[LintFinding, ...]
    deleted: tuple[str, ...]


def touched(findings: Sequence[LintFinding], ref: str) -> Touched:
    """Part findings by whether their object has changed since HEAD parted from a commit.

    The findings have the extent of their object. Raises InputError where git cannot tell.
    """
    repository = Repository()
    commit = repository.merge_base(ref)
    tree = _Tree(repository, repository.changes(commit))
    changed: list[LintFinding] = []
    others: list[LintFinding] = []
    for finding in findings:
        (changed if tree.has_changed(finding) else others).append(finding)
    return Touched(tuple(changed), tuple(others), tuple(tree.deleted()))


class _Tree:
    """The files of the working tree beside what the commit has of them."""

    def __init__(self, repository: Repository, changes: Iterable[Change]) -> None:
        self._root = os.path.realpath(repository.root)
        self._tracked = repository.tracked()
        self._changes = {change.path: change for change in changes}
        wanted = {
            change.blob
            for change in self._changes.values()
            if change.blob and change.path.endswith(_MANIFESTS)
        }
        self._blobs = repository.blobs(sorted(wanted))
        self._before: dict[str, set[str]] = {}
        self._now: dict[str, list[str]] = {}

    def has_changed(self, finding: LintFinding) -> bool:
        """Tell whether a finding's object differs from all that the commit has in its file."""
        if any(map(self._is_changed, finding.made_of)):
            return True
        path = self._path(finding.file)
        change = self._changes.get(path)
        if change is None:
            return path not in self._tracked
        first, last = finding.extent
        if not change.blob or not first or change.blob not in self._blobs:
            return True
        if path not in self._before:
            data = self._blobs[change.blob]
            self._before[path] = {_plain(text) for _, text in _objects(data, path)}
            self._now[path] = _lines(_data(finding.file))
        text = "\n".join(self._now[path][first - 1 : last])
        return _plain(text) not in self._before[path]

    def _path(self, file: str) -> str:
        return os.path.relpath(os.path.realpath(file), self._root)

    def _is_changed(self, source: str) -> bool:
        """Tell whether a file has changed, or anything in a folder but the templates: these tell by themselves."""
        path = self._path(source)
        if not source.endswith("/"):
            is_new = path not in self._tracked and os.path.isfile(source)
            return path in self._changes or (is_new and not path.startswith(".."))
        inside = "" if path == "." else f"{path}/"
        return any(
            changed.startswith(inside) and not _is_template(changed) for changed in self._changes
        )

    def deleted(self) -> Iterator[str]:
        """Yield the names of objects that are in a changed file of the commit and in no changed file now."""
        before: dict[str, None] = {}
        now: set[str] = set()
        for path, change in sorted(self._changes.items()):
            if change.blob in self._blobs:
                before |= {name: None for name, _ in _objects(self._blobs[change.blob], path)}
            if change.is_there and path.endswith(_MANIFESTS):
                data = _data(os.path.join(self._root, path))
                now.update(name for name, _ in _objects(data, path))
        yield from (name for name in before if name not in now)


def _is_template(path: str) -> bool:
    return "templates" in path.split("/")[:-1] and path.endswith(_MANIFESTS)


def _objects(data: bytes, path: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each object in a file and the text of its lines."""
    found = read_resources(data, path).resources
    if not found:
        return
    try:
        locator = Locator(data)
        lines = _lines(data)
        for resource in found:
            first, last = locator.document(resource.document).lines_of(resource.prefix)
            yield repr(resource), "\n".join(lines[first - 1 : last])
    except (InputError, IndexError):
        return


def _lines(data: bytes) -> list[str]:
    try:
        return decode(data).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    except InputError:
        return []


def _data(path: str) -> bytes:
    try:
        return read_file(path)
    except InputError:
        return b""


def _plain(text: str) -> str:
    """Return an object's text without the blanks and markers around it, which move with its neighbours."""
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and lines[0] in {"", "---"}:
        del lines[0]
    while lines and lines[-1] in {"", "---", "..."}:
        del lines[-1]
    return "\n".join(lines)
