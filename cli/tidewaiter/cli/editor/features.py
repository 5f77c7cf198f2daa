"""What editors tell the language server of their documents, and what they ask of it."""

from __future__ import annotations

import logging
import os
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING

from lsprotocol import types

from tidewaiter.cli.editor.explaining import finding_text, rule_at, rule_text
from tidewaiter.cli.editor.server import Server
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.policy.discovery import POLICY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.cli.editor.analysis import Options
    from tidewaiter.cli.editor.places import Places
    from tidewaiter.cli.result import LintFinding

FIX_ALL = "source.fixAll.tidewaiter"
_AT_ONCE, _SECONDS = 20, 3.0
"""Findings for which quick fixes are made at once, and how long that may take."""
_LARGE = 50_000
"""Characters of a document in which all fixes are made only on demand: an editor asks again at each move of the cursor."""
_WATCHED = "**/*.{yaml,yml,json}"


def serve(options: Options, address: tuple[str, int] | None) -> int:
    """Serve until the editor ends it, over standard input and output or at an address."""
    for name in ("pygls", "asyncio"):  # both print a traceback when an editor goes
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    server = make_server(options)
    if address is not None:
        try:
            server.start_tcp(*address)
        except OSError as error:
            place = ":".join(map(str, address))
            raise InputError(f"cannot wait at {place}: {error.strerror or error}") from None
        return 0
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not get between the messages
    server.start_io(sys.stdin.buffer, messages)
    return 0 if server.is_shut_down else 1


def make_server(options: Options) -> Server:
    """Return a server that knows what editors tell and ask."""
    server = Server(options)
    _follow_documents(server)
    _answer_questions(server)
    return server


def _follow_documents(server: Server) -> None:

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        await _watch(server)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.take(params.text_document.uri, params.text_document.language_id)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        if params.text_document.uri in server.owners:
            server.take(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        root = server.owners.get(params.text_document.uri)
        if root is not None:
            root.want(0.0, is_stale=True)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.drop(params.text_document.uri)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(_: types.DidChangeWatchedFilesParams) -> None:
        for root in server.roots.values():
            root.want(0.2, is_stale=True)


def _answer_questions(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(params: types.HoverParams) -> types.Hover | None:
        return _hover(server, params.text_document.uri, params.position)

    kinds = [types.CodeActionKind.QuickFix, FIX_ALL]

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(kinds))
    async def code_action(params: types.CodeActionParams) -> list[types.CodeAction] | None:
        return await _actions(server, params)

    @server.feature(types.SHUTDOWN)
    def shut_down(_: None) -> None:
        server.end()


async def _watch(server: Server) -> None:
    """Ask to be told of files that change, of an editor that can tell."""
    workspace = server.client_capabilities.workspace
    watching = workspace.did_change_watched_files if workspace is not None else None
    if watching is None or not watching.dynamic_registration:
        return
    options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(_WATCHED)])
    registration = types.Registration(
        "manifests", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options
    )
    await server.client_register_capability_async(types.RegistrationParams([registration]))


def _hover(server: Server, uri: str, position: types.Position) -> types.Hover | None:
    root = server.owners.get(uri)
    document = root.documents.get(uri) if root is not None else None
    if document is None:
        return None
    places = server.places(document.text)
    if position.line < len(places.lines):
        line = places.lines[position.line]
        is_policy = os.path.basename(document.path) == POLICY_FILE
        named = rule_at(line, places.character(position), is_policy=is_policy)
        if named is not None:
            name, begin, end = named
            shown = places.span(position.line + 1, begin + 1, position.line + 1, end + 1)
            return types.Hover(_markdown(rule_text(name)), shown)
    found = [
        (each, area)
        for each in document.shown
        if _holds(
            area := places.span(each.line, each.column, each.end_line, each.end_column), position
        )
    ]
    if not found:
        return None
    found.sort(key=lambda row: _size(row[0]))  # what is about this very place comes first
    texts = dict.fromkeys(finding_text(each) for each, _ in found)
    return types.Hover(_markdown("\n\n---\n\n".join(texts)), found[0][1])


def _size(finding: LintFinding) -> tuple[int, int]:
    return finding.end_line - finding.line, finding.end_column - finding.column


def _markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)


def _holds(area: types.Range, position: types.Position) -> bool:
    return area.start <= position <= area.end


async def _actions(server: Server, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    uri = params.text_document.uri
    root = server.owners.get(uri)
    if root is None:
        return None
    document = await root.settled(uri)
    if document is None:
        return None
    text, number = document.text, document.number
    places = server.places(text)
    only = params.context.only
    actions: list[types.CodeAction] = []

    def add(title: str, kind: str, new: str, about: Sequence[LintFinding], *, best: bool) -> None:
        edits = places.edits(new)
        if not edits:
            return
        target = types.OptionalVersionedTextDocumentIdentifier(uri, document.version)
        edit = (
            types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(target, list(edits))])
            if _takes_versions(server)
            else types.WorkspaceEdit(changes={uri: edits})
        )
        diagnostics = [server.diagnostic(root, each, places) for each in about]
        actions.append(
            types.CodeAction(
                title,
                kind=kind,
                diagnostics=diagnostics or None,
                is_preferred=best or None,
                edit=edit,
            )
        )

    if _is_wanted(types.CodeActionKind.QuickFix, only):
        until = time.monotonic() + _SECONDS
        for finding in islice(_in_range(document.shown, places, params.range), _AT_ONCE):
            if time.monotonic() > until:
                break
            if finding.fix is not None:
                new = await root.fixed(document, [finding.fix])
                note = "" if finding.fix[0] else " (may change what the workload does)"
                title = f"Fix {finding.rule}{note}"
                add(title, types.CodeActionKind.QuickFix, new, [finding], best=finding.fix[0])
            new = await root.silenced(document, finding.rule, finding.line)
            title = f"Ignore {finding.rule} here"
            add(title, types.CodeActionKind.QuickFix, new, [finding], best=False)
    safe = [each for each in document.shown if each.fix is not None and each.fix[0]]
    is_offered = only is not None or len(text) < _LARGE
    if safe and is_offered and _is_wanted(FIX_ALL, only):
        new = await root.fixed(document, [])
        add("Make all safe fixes of tidewaiter", FIX_ALL, new, (), best=False)
    return actions if document.number == number else None


def _in_range(
    findings: Sequence[LintFinding], places: Places, wanted: types.Range
) -> Iterator[LintFinding]:
    for each in findings:
        area = places.span(each.line, each.column, each.end_line, each.end_column)
        if area.start <= wanted.end and wanted.start <= area.end:
            yield each


def _is_wanted(kind: str, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    if only is None:
        return True
    wanted = [each.value if isinstance(each, types.CodeActionKind) else each for each in only]
    kind = kind.value if isinstance(kind, types.CodeActionKind) else kind
    return any(not each or kind == each or kind.startswith(f"{each}.") for each in wanted)


def _takes_versions(server: Server) -> bool:
    workspace = server.client_capabilities.workspace
    edit = workspace.workspace_edit if workspace is not None else None
    return bool(edit is not None and edit.document_changes)
