"""A manifest file on which fixes are tried one after another."""

from __future__ import annotations

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.fixes.edit import APPEND, REMOVE
from tidewaiter.rules.fixes.list_items import ListText, edited_item, take_apart
from tidewaiter.rules.fixes.text_edit import edited_text, read_value
from tidewaiter.rules.fixes.value_edit import Refused, is_done, same
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.pieces import pieces
from tidewaiter.rules.loading.text import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tidewaiter.rules.fixes.edit import PlainFix

    State = tuple[
        dict[int, tuple[str | ListText, Any]], set[tuple[int, str]], dict[tuple[int, str], int]
    ]


class Draft:
    """The content of one file and what fixes have made of it."""

    def __init__(self, data: bytes) -> None:
        """Take a file's bytes. Raises Refused where they cannot be written back as they are."""
        self._data = data
        try:
            self._text = decode(data)
        except InputError as error:
            raise Refused(error.message) from None
        if encode(self._text, data) != data:
            raise Refused("its bytes cannot be written back as they are")
        self._pieces = pieces(self._text)
        self._begins: dict[int, tuple[str | ListText, Any]] = {}
        self._edited: dict[int, tuple[str | ListText, Any]] = {}
        self._touched: set[tuple[int, str]] = set()
        self._moved: dict[tuple[int, str], int] = {}

    def apply(self, fix: PlainFix, also: Iterable[PlainFix] = ()) -> bool:
        """Make all of a fix's edits, or none. `also` are other fixes that are wanted; see `edited_text`.

        Nothing has changed where it raises Refused. Returns False where an earlier fix has already changed one of the places: then the object has to be
        judged again first.
        """
        _, index, edits = fix
        if index >= len(self._pieces):
            raise Refused("the file has changed")
        piece = self._pieces[index]
        parts, value = self._edited.get(index) or self._begun(index)
        if any(self._collides(index, pointer) for _, pointer, _ in edits):
            # Another finding may have asked for the very same.
            return not self._moved and all(is_done(value, edit) for edit in edits)
        wanted = [edit for _, document, others in also if document == index for edit in others]
        for edit in edits:
            within = edited_item(parts, value, edit) if isinstance(parts, ListText) else None
            if within is not None:
                parts, value = within
                continue
            text = _whole(parts)
            parts, value = edited_text(text, value, edit, is_json=piece.is_json, also=wanted)
        self._edited[index] = (parts, value)
        for operation, pointer, _ in edits:
            above, _, part = pointer.rpartition("/")
            if operation != APPEND:
                self._touched.add((index, pointer))
            if operation == REMOVE and part.isdigit():
                self._moved[index, above] = int(part)
        return True

    def _begun(self, index: int) -> tuple[str | ListText, Any]:
        """Return the text and the value of a document on which no fix was tried yet."""
        if index not in self._begins:
            piece = self._pieces[index]
            value = read_value(piece.text)
            taken = take_apart(piece.text, value, is_json=piece.is_json)
            self._begins[index] = (taken or piece.text, value)
        return self._begins[index]

    def state(self) -> State:
        """Return what has been done so far, to go back to."""
        return dict(self._edited), set(self._touched), dict(self._moved)

    def restore(self, state: State) -> None:
        """Go back to an earlier state."""
        self._edited, self._touched, self._moved = state

    def _collides(self, document: int, pointer: str) -> bool:
        """Tell whether a place has been changed, or has moved behind an entry that is gone."""
        here = pointer
        while here:
            above, _, part = here.rpartition("/")
            gone = self._moved.get((document, above))
            if (document, here) in self._touched:
                return True
            if gone is not None and part.isdigit() and int(part) >= gone:
                return True
            here = above
        return False

    def data(self) -> bytes:
        """Return the file's bytes with every fix that was applied. Raises Refused."""
        if not self._edited:
            return self._data
        parts: list[str] = []
        at = 0
        for index, piece in enumerate(self._pieces):
            parts.append(self._text[at : piece.start])
            is_edited = index in self._edited
            parts.append(_whole(self._edited[index][0]) if is_edited else piece.text)
            at = piece.start + len(piece.text)
        parts.append(self._text[at:])
        data = encode("".join(parts), self._data)
        self._check(data)
        return data

    def _check(self, data: bytes) -> None:
        """Read the whole file again: each document must be what it was, or what its fixes make of it."""
        before, after = load_documents(self._data, ""), load_documents(data, "")
        wanted = {document.index: document.value for document in before.documents}
        wanted |= {index: value for index, (_, value) in self._edited.items()}
        found = {document.index: document.value for document in after.documents}
        if not same(found, wanted) or len(before.errors) != len(after.errors):
            raise Refused("the file would not read as it should")


def _whole(parts: str | ListText) -> str:
    return parts if isinstance(parts, str) else parts.whole()
