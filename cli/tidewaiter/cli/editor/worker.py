"""The process that reads and judges the documents of one folder, its working directory.

It is apart from the server so that a document that takes too long, or too much memory, costs a restart and not the
editor's session. Requests come on standard input, each answered on standard output before the next; both are
`marshal` data behind their length.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from tidewaiter.cli.editor.analysis import Folder, Options
from tidewaiter.cli.editor.edits import SECONDS, fixed, silenced
from tidewaiter.cli.surroundings import today
from tidewaiter.rules.record import fields_of

if TYPE_CHECKING:
    from typing import BinaryIO

HEAD = 8
"""Bytes that give a message's length."""
JUDGE, BUILD, FIX, SILENCE = "judge", "build", "fix", "silence"

_MEMORY = 2 * 1024**3


def frame(message: Any) -> bytes:
    """Return a message as it is sent."""
    content = marshal.dumps(message)
    return len(content).to_bytes(HEAD, "little") + content


def main() -> int:
    """Answer until standard input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not get between the answers
    options = marshal.loads(_next(requests) or b"")  # noqa: S302 - from the server that started it
    policy, profiles, version, walks, renders = options
    if not renders:
        _limit_memory()  # what renders is bounded by itself
    folder = Folder(Options(policy, tuple(profiles), version), walks=walks)
    while (content := _next(requests)) is not None:
        request = marshal.loads(content)  # noqa: S302
        try:
            answer = _answer(folder, request)
        except Exception as error:  # noqa: BLE001 - a defect costs one answer and not the session
            answer = ("failed", f"{type(error).__name__}: {error}")
        answers.write(frame(answer))
        answers.flush()
    return 0


def _answer(folder: Folder, request: tuple[Any, ...]) -> tuple[Any, ...]:
    kind, changed, *rest = request
    for path, text in changed.items():
        if text is None:
            folder.texts.pop(path, None)
        else:
            folder.texts[path] = text
    if kind == JUDGE:
        paths, is_stale = rest
        if is_stale:
            folder.forget_files()
        judged = folder.judge(paths, today())
        findings = {
            path: [fields_of(each) for each in found] for path, found in judged.findings.items()
        }
        errors = {
            path: [fields_of(each) for each in found] for path, found in judged.errors.items()
        }
        return "judged", findings, errors, judged.notes, judged.parts, judged.builds
    if kind == BUILD:
        built = folder.judge_built(today())
        return (
            "built",
            [fields_of(each) for each in built.findings],
            [fields_of(one) for one in built.errors],
            built.files,
        )
    path, *rest = rest
    before = folder.texts.get(path, b"")
    if kind == FIX:
        if folder.is_untouchable(path):
            return "text", before
        return "text", fixed(before, rest[0]) if rest[0] else _all_fixed(folder, path)
    if path.endswith(".json"):
        return "text", before  # what reads it elsewhere takes no comment
    return "text", silenced(before, *rest)


def _all_fixed(folder: Folder, path: str) -> bytes:
    """Return a document with every safe fix; one may make another possible, so that it is judged again after each round."""
    before = folder.texts.get(path)
    if before is None:
        return b""  # closed meanwhile
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            found = folder.judge(list(folder.texts), today()).findings.get(path, ())
            fixes = [each.fix for each in found if each.fix is not None and each.fix[0]]
            text = folder.texts.get(path, b"")
            folder.texts[path] = fixed(text, fixes)
            if folder.texts[path] == text:
                break
        return folder.texts[path]
    finally:
        folder.texts[path] = before


def _next(stream: BinaryIO) -> bytes | None:
    head = stream.read(HEAD)
    if len(head) < HEAD:
        return None
    size = int.from_bytes(head, "little")
    content = stream.read(size)
    return content if len(content) == size else None


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > _MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, hard))


if __name__ == "__main__":
    sys.exit(main())
