"""The language server: what an editor asks and is told, in its own terms.

Positions follow https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/.
Documents come whole, so that editor and server never differ about where a line ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer

from tidewaiter.cli.editor.explaining import href
from tidewaiter.cli.editor.places import Places
from tidewaiter.cli.editor.root import Root
from tidewaiter.cli.output.shared import cleaned_lines
from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.cli.editor.analysis import Options
    from tidewaiter.cli.editor.root import Document
    from tidewaiter.cli.result import LintError, LintFinding

NAME = "tidewaiter"

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
}


class Server(LanguageServer):
    """Holds the folders of an editor's workspace in which documents are open."""

    def __init__(self, options: Options) -> None:
        """Serve nothing yet."""
        super().__init__(NAME, __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.roots: dict[str, Root] = {}
        self.owners: dict[str, Root] = {}
        self.is_shut_down = False
        self._options = options
        self._published: dict[str, set[str]] = {}

    def report_server_error(self, error: Exception, source: Any) -> None:  # noqa: ARG002
        """Log an error; the editor's user can do nothing about it."""
        self.note(f"{type(error).__name__}: {error}")

    def note(self, sentence: str) -> None:
        """Write a sentence into the editor's log."""
        params = types.LogMessageParams(types.MessageType.Warning, cleaned_lines(sentence))
        self.window_log_message(params)

    def take(self, uri: str, language: str = "") -> None:
        """Judge a document as it is in the editor."""
        root = self.owners.get(uri) or self._root_for(uri, language)
        if root is None:
            return
        self.owners[uri] = root
        document = self.workspace.get_text_document(uri)
        path = self._path(uri)
        name = os.path.relpath(path, root.folder) if path else uri.rpartition(":")[2]
        root.put(uri, name, document.version, document.source)

    def drop(self, uri: str) -> None:
        """Forget a document that was closed."""
        root = self.owners.pop(uri, None)
        if root is None:
            return
        root.drop(uri)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))
        if not root.documents:
            root.end()
            self.roots.pop(root.folder, None)
            for path in self._published.pop(root.folder, ()):
                self._publish_elsewhere(root, path, [])

    def end(self) -> None:
        """End the processes that judge."""
        self.is_shut_down = True
        for root in self.roots.values():
            root.end()
        self.roots.clear()

    def places(self, text: str) -> Places:
        """Return the places of a text as the editor counts them."""
        return Places(text, self.workspace.position_encoding or types.PositionEncodingKind.Utf16)

    def _path(self, uri: str) -> str:
        return (uris.to_fs_path(uri) or "") if uri.startswith("file:") else ""

    def _root_for(self, uri: str, language: str) -> Root | None:
        path = self._path(uri)
        if not path and (not uri.startswith("untitled:") or language not in {"yaml", "json"}):
            return None
        folders = [self._path(each) for each in self.workspace.folders]
        if not any(folders) and self.workspace.root_path:
            folders = [self.workspace.root_path]
        folders = [os.path.normpath(each) for each in folders if each and os.path.isdir(each)]
        if path:
            around = [each for each in folders if path.startswith(each.rstrip(os.sep) + os.sep)]
        else:
            around = folders[:1]
        folder = max(around, key=len) if around else _existing(os.path.dirname(path))
        root = self.roots.get(folder)
        if root is None:
            root = self.roots[folder] = Root(
                folder,
                self._options,
                walks=bool(around),
                publish=self._publish,
                note=self.note,
            )
        return root

    def _publish(self, root: Root) -> None:
        for document in root.documents.values():
            if document.judged == document.number:
                self.text_document_publish_diagnostics(
                    types.PublishDiagnosticsParams(
                        document.uri, self._diagnostics(root, document), document.version
                    )
                )
        # A policy that is not open may have mistakes too.
        told = self._published.setdefault(root.folder, set())
        for path in told - set(root.elsewhere):
            self._publish_elsewhere(root, path, [])
        for path, errors in root.elsewhere.items():
            self._publish_elsewhere(root, path, errors)
        self._published[root.folder] = set(root.elsewhere)

    def _publish_elsewhere(self, root: Root, path: str, errors: Sequence[LintError]) -> None:
        uri = uris.from_fs_path(os.path.join(root.folder, path))
        if uri is None or uri in self.owners:
            return
        try:
            with open(os.path.join(root.folder, path), encoding="utf-8", errors="replace") as file:
                text = file.read(1_000_000)
        except OSError:
            text = ""
        places = self.places(text)
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri, [_of_error(each, places) for each in errors])
        )

    def _diagnostics(self, root: Root, document: Document) -> list[types.Diagnostic]:
        places = self.places(document.text)
        found = [_of_error(each, places) for each in document.problems]
        for finding in document.shown:
            found.append(self.diagnostic(root, finding, places))
        return found

    def diagnostic(self, root: Root, finding: LintFinding, places: Places) -> types.Diagnostic:
        """Return a finding as the editor marks it."""
        more = href(finding.rule)
        related = None
        if finding.value_from is not None:
            file, line = finding.value_from
            place = types.Position(max(line - 1, 0), 0)
            uri = uris.from_fs_path(os.path.join(root.folder, file)) or ""
            related = [
                types.DiagnosticRelatedInformation(
                    types.Location(uri, types.Range(place, place)), "the value comes from here"
                )
            ]
        return types.Diagnostic(
            places.span(finding.line, finding.column, finding.end_line, finding.end_column),
            cleaned_lines(finding.message),
            severity=_SEVERITIES.get(finding.severity, types.DiagnosticSeverity.Error),
            code=finding.rule,
            code_description=types.CodeDescription(more) if more else None,
            source=NAME,
            related_information=related,
        )


def _of_error(error: LintError, places: Places) -> types.Diagnostic:
    area = places.rest_of_line(error.line or 1, error.column or 1)
    return types.Diagnostic(
        area,
        cleaned_lines(error.message),
        severity=types.DiagnosticSeverity.Error,
        source=NAME,
    )


def _existing(folder: str) -> str:
    """Return a folder, or the nearest one above it that is there: a document need not be saved yet."""
    folder = folder or os.getcwd()
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return os.path.normpath(folder)
