"""The documents of one file as JSON values.

Every document is read on its own: one that is broken becomes an error, and those before and behind it
are still read.
"""

from __future__ import annotations

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.broken import TEMPLATE, explain
from tidewaiter.rules.loading.composer import ComposeProblem, Composer
from tidewaiter.rules.loading.libyaml import SyntaxProblem
from tidewaiter.rules.loading.limits import DEFAULT_LIMITS, too_large
from tidewaiter.rules.loading.pieces import pieces
from tidewaiter.rules.loading.text import LineIndex, decode
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.loading.limits import Limits
    from tidewaiter.rules.loading.pieces import Piece

IGNORE_MARK = "tidewaiter:"
"""What every ignore comment holds; a document without it has none."""


@record
class DuplicateKey:
    """A mapping key that the same mapping has already had; Kubernetes keeps the last value.

    `pointer` is the JSON pointer of the key in its document; the lines and the column count from 1.
    """

    pointer: str
    key: str
    line: int
    column: int
    first_line: int


@record
class Document:
    """One document of a file.

    `index` counts the documents of the file from 0, broken ones too; `value` is the JSON value, None
    for an empty document; `line` is the file's line on which its text begins. `may_ignore` is true
    where the text may hold ignore comments.
    """

    index: int
    value: Any
    line: int
    duplicates: tuple[DuplicateKey, ...] = ()
    may_ignore: bool = False


@record
class Loaded:
    """What a file holds: the documents that could be read and the errors of the others."""

    documents: tuple[Document, ...]
    errors: tuple[InputError, ...]


def load_documents(data: bytes, file: str, *, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Read all documents of a file, YAML or JSON, as Kubernetes does.

    `file` is the name to report. It raises nothing: what cannot be read is among the errors.
    """
    if len(data) > limits.file_bytes:
        return Loaded((), (too_large(file, len(data), limits),))
    try:
        text = decode(data)
    except InputError as error:
        return Loaded(
            (), (InputError(error.message, file=file, line=error.line, column=error.column),)
        )
    composer = Composer(limits)
    documents = []
    errors = []
    lines: LineIndex | None = None
    for index, piece in enumerate(pieces(text)):
        if index == limits.documents:
            message = f"holds more than {index} documents; split it into several files"
            errors.append(InputError(message, file=file, line=piece.line, column=1))
            break
        try:
            value, repeats = _read(piece, composer, limits)
        except _Unreadable as problem:
            lines = lines or LineIndex(text)
            line, column = lines.place(piece.start + problem.offset)
            errors.append(InputError(problem.message, file=file, line=line, column=column))
            if problem.ends_file:
                break
            continue
        duplicates: tuple[DuplicateKey, ...] = ()
        if repeats:
            lines = lines or LineIndex(text)
            duplicates = _duplicates(piece, lines)
        documents.append(Document(index, value, piece.line, duplicates, IGNORE_MARK in piece.text))
    return Loaded(tuple(documents), tuple(errors))


class _Unreadable(Exception):
    def __init__(self, message: str, offset: int, *, ends_file: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.ends_file = ends_file


def _read(piece: Piece, composer: Composer, limits: Limits) -> tuple[Any, bool]:
    """Read one document; tell also whether a key may be repeated in it."""
    if piece.is_json:
        from tidewaiter.rules.loading.json_text import JsonProblem, read_value

        try:
            return read_value(piece.text, limits.depth)
        except JsonProblem as problem:
            raise _Unreadable(str(problem), 0) from None
    try:
        return composer.compose(piece.text), composer.repeats
    except SyntaxProblem as problem:
        raise _Unreadable(*explain(problem, piece.text)) from None
    except ComposeProblem as problem:
        offset = problem.mark.index if problem.mark else 0
        for start in (max(offset - 1, 0), offset):
            if piece.text.startswith("{{", start):
                raise _Unreadable(TEMPLATE, start) from None
        raise _Unreadable(problem.message, offset, ends_file=problem.ends_file) from None


_ENOUGH_DUPLICATES = 1000  # of one document; more say nothing new and could fill the memory


def _duplicates(piece: Piece, lines: LineIndex) -> tuple[DuplicateKey, ...]:
    """Read a document again for the keys that it repeats."""
    from tidewaiter.rules.loading.outline import outline

    found = []
    for repeated in outline(piece.text, is_json=piece.is_json).repeated[:_ENOUGH_DUPLICATES]:
        line, column = lines.place(piece.start + repeated.extent[0])
        first_line, _ = lines.place(piece.start + repeated.first[0])
        found.append(DuplicateKey(repeated.pointer, repeated.key, line, column, first_line))
    return tuple(found)
