"""A language client that starts `tidewaiter lsp` and remembers what it is told."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

SECONDS = 40.0


class Editor:
    """An editor with a folder open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("editor", "1")
        self.diagnostics: dict[str, types.PublishDiagnosticsParams] = {}
        self.log: list[str] = []
        self.watching: list[Any] = []
        self._told = asyncio.Event()
        self._versions: dict[str, int] = {}

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.diagnostics[params.uri] = params
            self._told.set()

        @self.client.feature(types.WINDOW_LOG_MESSAGE)  # type: ignore[untyped-decorator]
        def logged(params: types.LogMessageParams) -> None:
            self.log.append(params.message)
            self._told.set()

        @self.client.feature(types.CLIENT_REGISTER_CAPABILITY)  # type: ignore[untyped-decorator]
        def registered(params: types.RegistrationParams) -> None:
            self.watching += params.registrations

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def document(self, name: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(name))

    async def open(self, name: str, text: str | None = None) -> list[types.Diagnostic]:
        """Open a document and return what is found in it."""
        if text is None:
            text = (self.folder / name).read_text(encoding="utf-8")
        self._versions[name] = 1
        item = types.TextDocumentItem(self.uri(name), "yaml", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.found(name)

    async def change(self, name: str, text: str) -> list[types.Diagnostic]:
        """Change a document and return what is found in it then."""
        self.type(name, text)
        return await self.found(name)

    def type(self, name: str, text: str) -> None:
        self._versions[name] += 1
        identifier = types.VersionedTextDocumentIdentifier(
            uri=self.uri(name), version=self._versions[name]
        )
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(identifier, [change])
        )

    async def found(self, name: str) -> list[types.Diagnostic]:
        """Return what is found in the document as it is now."""
        uri = self.uri(name)
        await self.until(
            lambda: (
                uri in self.diagnostics and self.diagnostics[uri].version == self._versions[name]
            )
        )
        return list(self.diagnostics[uri].diagnostics)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not is_so():
                self._told.clear()
                await self._told.wait()

    async def actions(
        self, name: str, area: types.Range, only: list[types.CodeActionKind | str] | None = None
    ) -> list[types.CodeAction]:
        params = types.CodeActionParams(
            self.document(name), area, types.CodeActionContext([], only=only)
        )
        found = await self.client.text_document_code_action_async(params)
        return [each for each in found or () if isinstance(each, types.CodeAction)]

    async def hover(self, name: str, line: int, character: int) -> str:
        params = types.HoverParams(self.document(name), types.Position(line, character))
        found = await self.client.text_document_hover_async(params)
        if found is None:
            return ""
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value


@asynccontextmanager
async def editor(
    folder: Path, *options: str, encodings: list[types.PositionEncodingKind] | None = None
) -> AsyncIterator[Editor]:
    """Start the server for a folder, and end it as the protocol asks."""
    one = Editor(folder)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.parent / "cache")}
    command = (sys.executable, "-m", "tidewaiter.cli.main", "lsp", *options)
    await one.client.start_io(*command, env=environment, cwd=str(folder.parent))
    capabilities = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(
            did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(
                dynamic_registration=True
            )
        ),
        general=types.GeneralClientCapabilities(position_encodings=encodings),
    )
    await one.client.initialize_async(
        types.InitializeParams(
            capabilities=capabilities,
            root_uri=folder.as_uri(),
            workspace_folders=[types.WorkspaceFolder(folder.as_uri(), "folder")],
        )
    )
    one.client.initialized(types.InitializedParams())
    try:
        yield one
    finally:
        async with asyncio.timeout(SECONDS):
            await one.client.shutdown_async(None)
            one.client.exit(None)
            server = one.client._server
            assert server is not None
            code = await server.wait()
            errors = await server.stderr.read() if server.stderr is not None else b""
    assert errors.decode() == "", errors.decode()
    assert code == 0, code


def run(session: Awaitable[None]) -> None:
    """Run a session to its end."""

    async def whole() -> None:
        await session

    asyncio.run(whole())
