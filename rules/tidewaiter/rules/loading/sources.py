"""Which files to read, and their bytes.

A folder is walked in a fixed order for `*.yaml`, `*.yml` and `*.json`, without what its `.gitignore`
files and `exclude` patterns leave out. Whatever is named outright is read. Anything that is no plain
file, cannot be opened or goes round in circles is an error of its own and holds nothing else up.
"""

from __future__ import annotations

import os
import stat
import sys

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.limits import DEFAULT_LIMITS, too_large
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pathspec import GitIgnoreSpec

    from tidewaiter.rules.loading.limits import Limits

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
CHART_FILE = "Chart.yaml"
KUSTOMIZATION_FILES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_NEVER_WALKED = frozenset({".git", "node_modules"})


@record
class SourceFile:
    """A file to read; `explicit` where the user named it rather than a folder above it."""

    path: str
    explicit: bool


@record
class Found:
    """The files in order, each once, and what could not be walked.

    `charts` are the walked folders with a `Chart.yaml`, `kustomizations` those that Kustomize builds, each with its
    file; both in order. Such a file that is named stands for its folder.
    """

    files: tuple[SourceFile, ...]
    errors: tuple[InputError, ...]
    charts: tuple[str, ...] = ()
    kustomizations: tuple[tuple[str, str], ...] = ()


def discover(paths: Iterable[str], exclude: Iterable[str] = ()) -> Found:
    """Find the files of the given files and folders; `-` is standard input.

    `exclude` are patterns as in a .gitignore, relative to the working directory; they leave out files
    that are named too. Paths are reported as they were given, without a leading `./`.
    """
    patterns = tuple(exclude)
    walk = _Walk(_patterns(patterns) if patterns else None)
    for path in paths:
        walk.add(path)
    return Found(
        tuple(walk.files), tuple(walk.errors), tuple(walk.charts), tuple(walk.kustomizations)
    )


def read_file(path: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read a whole file, or standard input for `-`.

    Raises InputError where it is no plain file, cannot be read or is larger than the limit; never
    waits for the other end of a pipe, except on standard input.
    """
    if path == STDIN:
        return _read_stdin(limits)
    try:
        # Without O_NONBLOCK opening a FIFO waits for a writer, perhaps for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _read_open(descriptor, path, limits)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(_reason(error), file=path) from None


def _read_open(descriptor: int, path: str, limits: Limits) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(_what_it_is(status.st_mode), file=path)
    if status.st_size > limits.file_bytes:
        raise too_large(path, status.st_size, limits)
    data = os.read(descriptor, status.st_size + 1)
    if len(data) != status.st_size:  # it is being written to, or is one of /proc without a size
        room = limits.file_bytes + 1 - len(data)
        data += _read_up_to(lambda size: os.read(descriptor, size), room)
        if len(data) > limits.file_bytes:
            raise too_large(path, len(data), limits)
    return data


def _read_stdin(limits: Limits) -> bytes:
    try:
        data = _read_up_to(sys.stdin.buffer.read, limits.file_bytes + 1)
    except (OSError, ValueError, AttributeError):
        raise InputError("standard input cannot be read", file=STDIN) from None
    if len(data) > limits.file_bytes:
        raise too_large(STDIN, len(data), limits)
    return data


def _read_up_to(read: Callable[[int], bytes | None], size: int) -> bytes:
    """Read until the end or until `size` bytes are there."""
    chunk = read(size) or b""
    data = chunk
    while chunk and len(data) < size:
        chunk = read(size - len(data)) or b""
        data += chunk
    return data


def _what_it_is(mode: int) -> str:
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return f"is {name}, not a file"
    return "is not a file"


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _reason(error: OSError) -> str:
    """Say in one clause why a file or folder cannot be read."""
    import errno

    reasons = {
        errno.ENOENT: "does not exist",
        errno.EACCES: "cannot be read: permission denied",
        errno.ELOOP: "is a symbolic link that leads back to itself",
        errno.ENXIO: "is a socket, not a file",
        errno.ENAMETOOLONG: "has a name that is too long",
        errno.ENOTDIR: "does not exist: a part of the path is no folder",
    }
    return reasons.get(error.errno or 0) or f"cannot be read: {error.strerror or error}"


class _Walk:
    def __init__(self, excluded: GitIgnoreSpec | None) -> None:
        self.files: list[SourceFile] = []
        self.errors: list[InputError] = []
        self.charts: list[str] = []
        self.kustomizations: list[tuple[str, str]] = []
        self._excluded = excluded
        self._seen: set[str] = set()
        self._folders: set[tuple[int, int]] = set()

    def add(self, path: str) -> None:
        """Add what the user named."""
        if path == STDIN:
            self._take(STDIN, explicit=True)
            return
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            reason = _reason(error) if isinstance(error, OSError) else "is no valid path"
            self.errors.append(InputError(reason, file=path))
            return
        shown = os.path.normpath(path)
        if stat.S_ISDIR(status.st_mode):
            rules = _rules_above(shown)
            self._walk(path, "" if shown == "." else shown, rules)
        elif not self._is_excluded(shown, is_folder=False):
            folder, name = os.path.split(shown)
            stands_for_folder = name == CHART_FILE or name in KUSTOMIZATION_FILES
            if stands_for_folder:
                self._note_rendered(name, folder, ())
            self._take(shown, explicit=not stands_for_folder)

    def _take(self, path: str, *, explicit: bool) -> None:
        if path not in self._seen:
            self._seen.add(path)
            self.files.append(SourceFile(path, explicit))

    def _walk(self, root: str, shown: str, rules: tuple[_IgnoreFile, ...]) -> None:
        """Walk a folder in order of names, a folder's files where its own name sorts."""
        pending: list[tuple[str, str, tuple[_IgnoreFile, ...]] | SourceFile] = [
            (root, shown, rules)
        ]
        while pending:
            entry = pending.pop()
            if isinstance(entry, SourceFile):
                self._take(entry.path, explicit=False)
                continue
            pending.extend(reversed(self._list(*entry)))

    def _list(
        self, folder: str, shown: str, rules: tuple[_IgnoreFile, ...]
    ) -> list[tuple[str, str, tuple[_IgnoreFile, ...]] | SourceFile]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.errors.append(InputError(_reason(error), file=shown or folder))
            return []
        if any(entry.name == ".gitignore" for entry in entries):
            rules = (*rules, *_ignore_file(os.path.join(folder, ".gitignore"), shown))
        inner: list[tuple[str, str, tuple[_IgnoreFile, ...]] | SourceFile] = []
        for entry in entries:
            name = entry.name
            path = f"{shown}/{name}" if shown else name
            try:
                if name == CHART_FILE or name in KUSTOMIZATION_FILES:
                    self._note_rendered(name, shown, rules)
                is_folder = entry.is_dir()
                if not is_folder and not name.lower().endswith(_SUFFIXES):
                    continue
                if self._leaves_out(name, path, rules, is_folder=is_folder):
                    continue
                if is_folder:
                    if self._is_new(entry, path):
                        inner.append((entry.path, path, rules))
                elif self._is_readable(entry, path):
                    inner.append(SourceFile(path, explicit=False))
            except OSError as error:
                self.errors.append(InputError(_reason(error), file=path))
        return inner

    def _note_rendered(self, name: str, folder: str, rules: tuple[_IgnoreFile, ...]) -> None:
        """Note a chart or kustomization, unless the file that makes it one is left out."""
        path = f"{folder}/{name}" if folder else name
        if self._leaves_out(name, path, rules, is_folder=False):
            return
        if name == CHART_FILE:
            self.charts.append(folder or ".")
        else:
            self.kustomizations.append((folder or ".", name))

    def _leaves_out(
        self, name: str, path: str, rules: tuple[_IgnoreFile, ...], *, is_folder: bool
    ) -> bool:
        if is_folder and name in _NEVER_WALKED:
            return True
        return self._is_excluded(path, is_folder=is_folder) or _is_ignored(path, rules, is_folder)

    def _is_excluded(self, path: str, *, is_folder: bool) -> bool:
        if self._excluded is None:
            return False
        return self._excluded.match_file(_matchable(path, is_folder=is_folder))

    def _is_new(self, entry: os.DirEntry[str], path: str) -> bool:
        """Follow a link to a folder once; say so where it leads back to a folder above it."""
        status = entry.stat()
        identity = (status.st_dev, status.st_ino)
        if entry.is_symlink() and _leads_up(entry.path):
            message = "is a symbolic link that leads back to a folder above it"
            self.errors.append(InputError(message, file=path))
            return False
        if identity in self._folders:
            return False
        self._folders.add(identity)
        return True

    def _is_readable(self, entry: os.DirEntry[str], path: str) -> bool:
        """Report what has the name of a manifest and is no plain file."""
        if entry.is_file():
            return True
        self.errors.append(InputError(_what_it_is(os.stat(entry.path).st_mode), file=path))
        return False


def _leads_up(link: str) -> bool:
    target = os.path.realpath(link)
    here = os.path.realpath(os.path.dirname(link) or ".")
    return here == target or here.startswith(target.rstrip("/") + "/")


@record
class _IgnoreFile:
    """The patterns of one .gitignore, and the folder in which they hold, as it is shown."""

    folder: str
    patterns: GitIgnoreSpec


def _patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(map(_whole, lines))


def _matchable(path: str, *, is_folder: bool) -> str:
    return _whole(f"{path}/" if is_folder else path)


def _whole(text: str) -> str:
    """Return a text without the bytes outside UTF-8 that a name may have: patterns take none of these."""
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


def _ignore_file(path: str, folder: str) -> tuple[_IgnoreFile, ...]:
    """Read a .gitignore; one that cannot be read ignores nothing."""
    try:
        lines = read_file(path, DEFAULT_LIMITS).decode("utf-8", "replace").splitlines()
    except InputError:
        return ()
    kept = []
    for line in lines:
        try:
            _patterns([line])
        except ValueError:
            continue  # git passes over a pattern that it cannot read
        kept.append(line)
    return (_IgnoreFile(folder, _patterns(kept)),) if kept else ()


def _is_ignored(path: str, rules: tuple[_IgnoreFile, ...], is_folder: bool) -> bool:
    """Ask the .gitignore files from the innermost out; the first with an opinion decides."""
    for ignore_file in reversed(rules):
        inner = _relative(path, ignore_file.folder)
        verdict = ignore_file.patterns.check_file(_matchable(inner, is_folder=is_folder))
        if verdict.include is not None:
            return bool(verdict.include)
    return False


def _relative(path: str, folder: str) -> str:
    if not folder:
        return path
    if path.startswith(folder + "/"):
        return path[len(folder) + 1 :]
    return os.path.relpath(path, folder)


def _rules_above(shown: str) -> tuple[_IgnoreFile, ...]:
    """Read the .gitignore files from the repository's root down to above the folder, and its excludes."""
    above = []
    here = os.path.abspath(shown)
    while True:
        if os.path.exists(os.path.join(here, ".git")):
            break
        parent = os.path.dirname(here)
        if parent == here:
            return ()
        here = parent
        above.append(here)
    root = os.path.relpath(here)
    root = "" if root == "." else root
    rules = _ignore_file(os.path.join(here, ".git", "info", "exclude"), root)
    for folder in reversed(above):
        relative = os.path.relpath(folder)
        rules = (
            *rules,
            *_ignore_file(os.path.join(folder, ".gitignore"), "" if relative == "." else relative),
        )
    return rules
