"""One folder of an editor's workspace: its open documents, and what is known of them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidewaiter.cli.editor.analysis import OTHER, RESOURCE
from tidewaiter.cli.editor.channel import Channel, WorkerLostError
from tidewaiter.cli.editor.worker import BUILD, FIX, JUDGE, SILENCE
from tidewaiter.cli.result import LintError, LintFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidewaiter.cli.editor.analysis import Options
    from tidewaiter.rules.fixes.edit import PlainFix

_PAUSE = 0.2
_LONGEST_PAUSE = 1.0
"""Seconds after a change until it is judged, and until it is judged even if more changes follow."""
_FIRST, _LATER, _RENDERING = 60.0, 20.0, 120.0
"""Seconds that an answer may take: the first one reads the folder, and charts take their time."""


@dataclass
class Document:
    """An open document: `number` counts its changes, `judged` is that of the change whose findings these are.

    `part` says what it is of a chart or kustomization, "" where it is of none. What is built of it as it is saved
    has the findings and errors of `built`, at the change of its number.
    """

    uri: str
    path: str
    version: int | None
    text: str
    number: int
    judged: int = 0
    findings: list[LintFinding] = field(default_factory=list)
    errors: list[LintError] = field(default_factory=list)
    part: str = ""
    built: Built | None = None
    relieved: frozenset[tuple[str, ...]] = frozenset()

    @property
    def shown(self) -> list[LintFinding]:
        """The findings that count: of a part of something, those of what is built of it."""
        if self.built is None:
            return [] if self.part else self.findings  # soon to be known
        built = self.built.findings if self.built.number == self.number else []
        if self.part == OTHER:
            return built
        own = [each for each in self.findings if _subject(each) not in self.relieved]
        places = {_place(each) for each in own}
        return [*own, *(each for each in built if _place(each) not in places)]

    @property
    def problems(self) -> list[LintError]:
        """What could not be read or built."""
        if self.part and self.built is not None and self.built.number == self.number:
            return [*self.errors, *self.built.errors]
        return self.errors

    def compare(self) -> None:
        """Learn from the saved document what is made good where it is built: that stays so while it changes."""
        built = self.built
        if self.part != RESOURCE or built is None:
            return
        if not built.is_built:
            self.relieved = frozenset()
        elif built.number == self.number == self.judged:
            places = {_place(each) for each in built.findings}
            kept = {_subject(each) for each in self.findings if _place(each) in places}
            self.relieved = frozenset(map(_subject, self.findings)) - kept


@dataclass(frozen=True)
class Built:
    """What is found in a document as it was at a change, where it is built into something; nothing unless `is_built`."""

    number: int
    findings: list[LintFinding]
    errors: list[LintError]
    is_built: bool


def _subject(finding: LintFinding) -> tuple[str, ...]:
    return finding.rule, finding.kind, finding.name, finding.container or ""


def _place(finding: LintFinding) -> tuple[str, int, str]:
    return finding.rule, finding.line, finding.container or ""


class Root:
    """Judges the documents of a folder shortly after they change."""

    def __init__(
        self,
        folder: str,
        options: Options,
        *,
        walks: bool,
        publish: Callable[[Root], None],
        note: Callable[[str], None],
    ) -> None:
        """Start to wait for changes. `publish` is called with new findings, `note` with sentences for the log."""
        self.folder = folder
        self.documents: dict[str, Document] = {}
        self.elsewhere: dict[str, list[LintError]] = {}
        self._publish = publish
        self._note = note
        self._told: set[str] = set()
        self._changes = 0
        self._is_stale = True
        self._limit = _FIRST
        self._channel = Channel(folder, options, walks=walks, texts=self._texts)
        self._renderer = Channel(folder, options, walks=walks, texts=dict, renders=True)
        self._rendering: asyncio.Task[None] | None = None
        self._is_unrendered = False
        self._is_outdated = False
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._hurry = asyncio.Event()
        self._first_change = self._due = 0.0
        self._task = asyncio.ensure_future(self._run())

    def put(self, uri: str, path: str, version: int | None, text: str) -> None:
        """Take a document as it is now."""
        self._changes += 1
        document = self.documents.get(uri)
        if document is None:
            self.documents[uri] = Document(uri, path, version, text, self._changes)
            self.want(0.0)
            self._is_outdated = True
        elif document.text != text:
            document.text, document.version, document.number = text, version, self._changes
            self.want(_PAUSE)
        else:
            document.version = version
            self.want(0.0)

    def drop(self, uri: str) -> None:
        """Forget a document that was closed; the last one ends the work."""
        self.documents.pop(uri, None)
        if self.documents:
            self.want(_PAUSE)

    def want(self, pause: float, *, is_stale: bool = False) -> None:
        """Have everything judged after a pause. `is_stale` says that files on the disk have changed."""
        now = asyncio.get_running_loop().time()
        if not self._wanted.is_set():
            self._first_change = now
        self._due = min(now + pause, self._first_change + _LONGEST_PAUSE)
        self._is_stale = self._is_stale or is_stale
        self._is_outdated = self._is_outdated or is_stale
        self._idle.clear()
        self._wanted.set()

    def end(self) -> None:
        """End the work."""
        self._task.cancel()
        self._channel.end()
        self._renderer.end()

    async def settled(self, uri: str) -> Document | None:
        """Return a document once its text as it is has been judged, None where that cannot be."""
        if self._wanted.is_set():
            self._due = 0.0
            self._hurry.set()
        await self._idle.wait()
        document = self.documents.get(uri)
        return document if document is not None and document.judged == document.number else None

    async def fixed(self, document: Document, fixes: Sequence[PlainFix]) -> str:
        """Return a document's text with these fixes, or with every safe one where none is named."""
        return await self._text(document, FIX, list(fixes))

    async def silenced(self, document: Document, rule: str, line: int) -> str:
        """Return a document's text with a comment that covers a rule's findings on a line."""
        return await self._text(document, SILENCE, rule, line)

    async def _text(self, document: Document, kind: str, *rest: object) -> str:
        try:
            _, content = await self._channel.ask(kind, document.path, *rest, seconds=_LATER)
        except WorkerLostError as lost:
            self._note(f"{document.path}: {lost}")
            return document.text
        return bytes(content).decode("utf-8", "surrogatepass")

    def _texts(self) -> dict[str, tuple[int, bytes]]:
        return {
            each.path: (each.number, each.text.encode("utf-8", "surrogatepass"))
            for each in self.documents.values()
        }

    async def _run(self) -> None:
        try:
            while True:
                await self._next_change()
                try:
                    await self._judge()
                except Exception as error:  # noqa: BLE001 - the session goes on
                    self._note(f"{self.folder}: {type(error).__name__}: {error}")
                if not self._wanted.is_set():
                    self._idle.set()
        finally:
            self._channel.end()
            self._renderer.end()

    async def _next_change(self) -> None:
        """Wait for a change, and then until no other follows for a moment."""
        await self._wanted.wait()
        loop = asyncio.get_running_loop()
        while (pause := self._due - loop.time()) > 0:
            self._hurry.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                pass
        self._wanted.clear()

    async def _judge(self) -> None:
        numbers = {each.uri: each.number for each in self.documents.values()}
        paths = [each.path for each in self.documents.values()]
        is_stale, self._is_stale = self._is_stale, False
        try:
            answer = await self._channel.ask(JUDGE, paths, is_stale, seconds=self._limit)
        except WorkerLostError as lost:
            self._is_stale = True
            self._fail(numbers, str(lost))
            return
        self._limit = _LATER
        _, findings, errors, notes, parts, builds = answer
        for note in notes:
            self._tell(note)
        own = {document.path for document in self.documents.values()}
        for document in self.documents.values():
            if numbers.get(document.uri) != document.number:
                continue
            document.findings = [LintFinding(*row) for row in findings.get(document.path, ())]
            document.errors = [LintError(*row) for row in errors.get(document.path, ())]
            document.part = parts.get(document.path, "")
            document.judged = document.number
            document.compare()
        if self._is_outdated:
            self._is_outdated = False
            if builds:
                self._want_rendering()
        self.elsewhere = {
            path: [LintError(*row) for row in rows]
            for path, rows in errors.items()
            if path and path not in own
        }
        self._publish(self)

    def _want_rendering(self) -> None:
        self._is_unrendered = True
        if self._rendering is None or self._rendering.done():
            self._rendering = asyncio.ensure_future(self._render())

    async def _render(self) -> None:
        """Have charts and kustomizations built as they are saved, until nothing has changed meanwhile."""
        while self._is_unrendered:
            self._is_unrendered = False
            try:
                answer = await self._renderer.ask(BUILD, seconds=_RENDERING)
            except WorkerLostError as lost:
                self._note(f"{self.folder}: charts and kustomizations were not built: {lost}")
                answer = ("built", (), (), ())
            findings = [LintFinding(*row) for row in answer[1]]
            errors = [LintError(*row) for row in answer[2]]
            files = set(answer[3])
            for error in errors:
                self._tell(f"{error.file}: {error.message}")
            for document in self.documents.values():
                if document.text == self._saved(document):
                    document.built = Built(
                        document.number,
                        [each for each in findings if each.file == document.path],
                        [each for each in errors if each.file == document.path],
                        document.path in files,
                    )
                elif document.built is None:
                    document.built = Built(0, [], [], is_built=False)
                document.compare()
            self._publish(self)

    def _saved(self, document: Document) -> str | None:
        try:
            path = os.path.join(self.folder, document.path)
            with open(path, encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, ValueError):
            return None

    def _tell(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            self._note(note)

    def _fail(self, numbers: dict[str, int], why: str) -> None:
        """Say at what has changed since the last answer that it was not checked, and do not try it again."""
        for document in self.documents.values():
            if document.judged != document.number == numbers.get(document.uri):
                document.findings = []
                document.errors = [LintError(document.path, 1, 1, f"was not checked: {why}")]
                document.judged = document.number
        self._publish(self)
