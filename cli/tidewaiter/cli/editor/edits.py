"""The texts that quick fixes make: a document with fixes, or with a comment that silences a finding."""

from __future__ import annotations

import time

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.fixes.draft import Draft
from tidewaiter.rules.fixes.edit import REMOVE
from tidewaiter.rules.fixes.value_edit import Refused, same
from tidewaiter.rules.loading.documents import IGNORE_MARK, load_documents
from tidewaiter.rules.loading.ignores import comment_ignores
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.text import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.fixes.edit import PlainFix

SECONDS = 5.0
"""How long fixes are made for one document."""
REASON = "say why"
"""Stands where the author is to give the reason for an exemption."""


def fixed(data: bytes, fixes: Sequence[PlainFix]) -> bytes:
    """Return a file's content with all of the fixes that can be made in time, the same content where none can."""
    until = time.monotonic() + SECONDS
    try:
        draft = Draft(data)
    except Refused:
        return data
    # What removes entries comes last and from behind, so that the others keep their numbers.
    adding = [fix for fix in fixes if all(edit[0] != REMOVE for edit in fix[2])]
    removing = [fix for fix in fixes if fix not in adding]
    for fix in (*adding, *reversed(removing)):
        if time.monotonic() > until:
            break
        kept = draft.state()
        try:
            beside = [other for other in fixes if other[1] == fix[1]]
            draft.apply(fix, beside)
        except Refused:
            draft.restore(kept)
    try:
        return draft.data()
    except Refused:
        return data


def silenced(data: bytes, rule: str, line: int) -> bytes:
    """Return a file's content with a comment that covers a rule's findings on a line.

    It is the same content where no comment can stand, as in JSON or inside a text over several lines.
    """
    try:
        text = decode(data)
    except InputError:
        return data
    values = _values(data)
    for candidate, moved in _candidates(text, rule, line):
        content = encode(candidate, data)
        found = _values(content)
        if found is None or values is None or not same(found, values):
            continue
        if _covers(content, rule, line + moved):
            return content
    return data


def _values(data: bytes) -> list[object] | None:
    loaded = load_documents(data, "")
    return None if loaded.errors else [each.value for each in loaded.documents]


def _covers(data: bytes, rule: str, line: int) -> bool:
    locator = Locator(data)
    for document in load_documents(data, "").documents:
        for ignore in comment_ignores(locator.document(document.index)):
            if rule in ignore.rules and ignore.covers_line(line):
                return True
    return False


def _candidates(text: str, rule: str, line: int) -> Iterator[tuple[str, int]]:
    """Yield texts with a comment, each with the number of lines that the finding has moved by."""
    lines = split_lines(text)
    if not 1 <= line <= len(lines):
        return
    here = lines[line - 1]
    body = here.rstrip("\r\n")
    end = here[len(body) :]
    for at in (line - 1, line - 2):
        if at >= 0 and IGNORE_MARK in lines[at] and "ignore[" in lines[at]:
            yield _replaced(lines, at, lines[at].replace("ignore[", f"ignore[{rule}, ", 1)), 0
    comment = f"# {IGNORE_MARK} ignore[{rule}] {REASON}"
    yield _replaced(lines, line - 1, f"{body.rstrip()}  {comment}{end}"), 0
    newline = end or "\n"
    indent = body[: len(body) - len(body.lstrip(" "))]
    yield _replaced(lines, line - 1, f"{indent}{comment}{newline}{here}"), 1


def _replaced(lines: Sequence[str], at: int, new: str) -> str:
    return "".join([*lines[:at], new, *lines[at + 1 :]])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their ends: LF, CRLF and a lone CR end one, nothing else does."""
    lines = []
    for part in text.split("\n"):
        *inner, last = part.split("\r")
        if inner and not last:
            # The return belongs to the feed that follows.
            *inner, last = [*inner[:-1], f"{inner[-1]}\r"]
        lines += [f"{each}\r" for each in inner]
        lines.append(f"{last}\n")
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
