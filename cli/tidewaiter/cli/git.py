"""What is asked of git: nothing that writes, and nothing that runs a command of the repository's."""

from __future__ import annotations

import os
import subprocess

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPTIONS = ("--no-pager", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")


@record
class Change:
    """A path that differs from a commit: what is there now may be gone or new.

    `blob` is the identity of what the commit has there, "" where it has nothing.
    """

    path: str
    blob: str
    is_there: bool


@record
class TreeFile:
    """A file of a commit, by its path from the root; `is_link` says that its content is a link's target."""

    path: str
    blob: str
    is_link: bool


class Repository:
    """The repository around a folder."""

    def __init__(self, folder: str = ".") -> None:
        """Find the repository. Raises InputError where there is none, or no git."""
        self.root = folder
        self.root = self._text("rev-parse", "--show-toplevel")
        if not self.root:
            raise InputError("git has no files here: the repository is bare")

    def commit(self, ref: str) -> str:
        """Return the commit that a name means. Raises InputError where there is none."""
        found = self._run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
        )
        if found.returncode == 0 and ref:
            return os.fsdecode(found.stdout).strip()
        raise InputError(f"git knows no commit {ref!r}{self._near(ref)}")

    def merge_base(self, ref: str) -> str:
        """Return where the history of HEAD has parted from that of another commit. Raises InputError."""
        other = self.commit(ref)
        found = self._run("merge-base", other, "HEAD")
        if found.returncode == 0:
            return os.fsdecode(found.stdout).strip()
        why = "they have no history in common"
        if self.is_shallow:
            why = (
                "this clone is shallow and does not reach back to where they part: "
                "`git fetch --unshallow` (actions/checkout: `fetch-depth: 0`; GitLab: `GIT_DEPTH: 0`)"
            )
        raise InputError(f"what has changed since {ref!r} is not known: {why}")

    @property
    def is_shallow(self) -> bool:
        """True where the clone has only the newest commits."""
        return self._text("rev-parse", "--is-shallow-repository") == "true"

    def changes(self, commit: str) -> list[Change]:
        """Return what differs between a commit and the files that are there, the untracked ones not among it."""
        raw = self._output(
            "diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-relative",
            "--ignore-submodules", "--end-of-options", commit,
        )  # fmt: skip
        parts = raw.split(b"\0")
        found = []
        for head, path in zip(parts[::2], parts[1::2], strict=False):
            _, mode, blob, _, _ = os.fsdecode(head).split(" ")
            known = "" if set(blob) == {"0"} else blob
            found.append(Change(os.fsdecode(path), known, mode != "000000"))
        return found

    def tracked(self) -> set[str]:
        """Return the paths in the index."""
        return {os.fsdecode(path) for path in self._output("ls-files", "-z").split(b"\0") if path}

    def files(self, commit: str, below: str) -> Iterator[TreeFile]:
        """Yield the files of a commit below a path, or the one at it; "" is the root."""
        raw = self._output("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit)
        for row in raw.split(b"\0"):
            head, _, name = row.partition(b"\t")
            path = os.fsdecode(name)
            if not name or (below and path != below and not path.startswith(f"{below}/")):
                continue
            mode, kind, blob = os.fsdecode(head).split(" ")
            if kind == "blob":
                yield TreeFile(path, blob, mode == "120000")

    def blobs(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the content of each blob by its identity."""
        if not names:
            return {}
        asked = "".join(f"{name}\n" for name in names).encode()
        answer = self._output("cat-file", "--batch", given=asked)
        found: dict[str, bytes] = {}
        at = 0
        for name in names:
            end = answer.index(b"\n", at)
            head = answer[at:end].split(b" ")
            if len(head) != 3:
                raise InputError(f"git has lost the content {name}")
            size = int(head[2])
            found[name] = answer[end + 1 : end + 1 + size]
            at = end + size + 2
        return found

    def _near(self, ref: str) -> str:
        from tidewaiter.rules.names import nearest_name

        found = self._run("for-each-ref", "--format=%(refname:short)")
        names = os.fsdecode(found.stdout).split("\n")
        remote = next((name for name in names if name.endswith(f"/{ref}")), "") if ref else ""
        near = remote or nearest_name(ref, names)
        if near:
            return f"; did you mean {near!r}?"
        return "; in a shallow or single-branch clone it has to be fetched first" if ref else ""

    def _text(self, *words: str) -> str:
        return os.fsdecode(self._output(*words)).rstrip("\n")

    def _output(self, *words: str, given: bytes | None = None) -> bytes:
        done = self._run(*words, given=given)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
            raise InputError(said.removeprefix("fatal: ") or f"git {words[0]} failed")
        return done.stdout

    def _run(self, *words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - the words are ours; names come behind --end-of-options
                ["git", *_OPTIONS, "-C", self.root, *words],  # noqa: S607 - the user's own git
                input=given if given is not None else b"",
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise InputError("git is needed for this, and it is not installed") from None
