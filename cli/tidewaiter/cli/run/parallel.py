"""Several parts of a run side by side, each in a forked process.

`os.fork` costs under a millisecond where a pool of `multiprocessing` costs a hundred. Each child reads
its share of the files, sends its objects to the parent, which passes them on to the others, and then
sends its answer. Messages are `marshal` data behind their length. The answer does not depend on how the
files are shared out: every index is in the order of the files, and findings are sorted at the end.
"""

from __future__ import annotations

import marshal
import os
import select
import sys

from tidewaiter.cli.result import LintError, LintFinding
from tidewaiter.cli.run.part import Part, PartAnswer
from tidewaiter.rules.record import fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tidewaiter.cli.run.part import PlainResource
    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.loading.sources import SourceFile

    Share = list[tuple[int, SourceFile]]
    FindOut = Callable[[list[str]], Mapping[str, ImageAnswer]]

FORK_ABOVE_BYTES = 400_000
"""Below this much input a second process costs more than it saves."""

_PROGRESS = b"p"
_MESSAGE = b"m"


class _Child:
    """A forked part: its process id and the pipes to and from it."""

    __slots__ = ("files", "pid", "reader", "writer")

    def __init__(self, pid: int, reader: int, writer: int, files: Share) -> None:
        self.pid = pid
        self.reader = reader
        self.writer = writer
        self.files = files


def run_parts(
    make_part: Callable[[], Part],
    shares: Sequence[Share],
    extra: list[PlainResource],
    *,
    complete: bool,
    progress: Callable[[int], None] | None,
    find_out: FindOut | None = None,
    read_rows: list[PlainResource] | None = None,
) -> list[PartAnswer]:
    """Run one part for each share of the files, in processes of their own where there are several.

    `extra` are objects of the inventory that are not linted. `progress` is told of files as they are
    done. `find_out` is asked once about the images of all parts. A process that dies is an error on each of its
    files; the others' answers still count. The objects that were read are put into `read_rows`.
    """
    if len(shares) == 1:
        part = make_part()
        part.read(shares[0], progress)
        if read_rows is not None:
            read_rows += part.plain_resources()
        if find_out is not None:
            part.hear(find_out(part.images()))
        part.meet(extra, complete=complete and not part.has_errors)
        return [part.conclude()]
    sys.stdout.flush()
    sys.stderr.flush()
    children: list[_Child] = []
    try:
        for share in shares:
            wanted = progress is not None, find_out is not None
            children.append(_start(make_part, share, children, *wanted))
        objects = _receive_all(children, progress)
        read = {pid: message for pid, message in objects.items() if isinstance(message, tuple)}
        whole = (
            complete and len(read) == len(children) and not any(bad for _, bad, _ in read.values())
        )
        if read_rows is not None:
            read_rows += (row for rows, _, _ in read.values() for row in rows)
        answers_of_images = {}
        if find_out is not None:
            images = dict.fromkeys(image for _, _, found in read.values() for image in found)
            answers_of_images = _plain_answers(find_out(list(images)))
        for child in children:
            others = [rows for pid, (rows, _, _) in read.items() if pid != child.pid]
            _send(child, ([extra, *others], whole, answers_of_images))
        answers = _receive_all(children, progress)
    finally:
        for child in children:
            os.close(child.reader)
            os.close(child.writer)
            _reap(child.pid)
    return [_answer(answers[child.pid] or objects[child.pid], child) for child in children]


def share_out(files: Share, sizes: Sequence[int], count: int) -> list[Share]:
    """Split the files into `count` shares of about the same number of bytes, the largest first."""
    order = sorted(range(len(files)), key=lambda index: (-sizes[index], index))
    loads = [0] * count
    owner = [0] * len(files)
    for index in order:
        lightest = loads.index(min(loads))
        loads[lightest] += sizes[index] + 200
        owner[index] = lightest
    shares: list[Share] = [[] for _ in range(count)]
    for index, row in enumerate(files):
        shares[owner[index]].append(row)
    return [share for share in shares if share]


def _start(
    make_part: Callable[[], Part],
    share: Share,
    earlier: Sequence[_Child],
    with_progress: bool,
    with_images: bool,
) -> _Child:
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    pid = os.fork()
    if pid:
        os.close(to_parent)
        os.close(from_parent)
        return _Child(pid, from_child, to_child, share)
    status = 1
    try:
        for child in earlier:  # else a pipe of a sibling would stay open when the parent is gone
            os.close(child.reader)
            os.close(child.writer)
        os.close(from_child)
        os.close(to_child)
        _work(make_part(), share, from_parent, to_parent, with_progress, with_images)
        status = 0
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except BaseException as error:  # noqa: BLE001 - the parent reports what happened; no traceback
        _write(to_parent, _MESSAGE, f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


def _work(
    part: Part, share: Share, reader: int, writer: int, with_progress: bool, with_images: bool
) -> None:
    def tick(files: int) -> None:
        _write(writer, _PROGRESS, files)

    part.read(share, tick if with_progress else None)
    images = part.images() if with_images else []
    _write(writer, _MESSAGE, (part.plain_resources(), part.has_errors, images))
    received = _read(reader)
    if received is None:
        return
    others, whole, answers = received[1]
    if with_images:
        part.hear(_read_answers(answers))
    part.meet([row for rows in others for row in rows], complete=whole)
    answer = part.conclude()
    plain = (
        answer.resources,
        answer.skipped,
        [fields_of(finding) for finding in answer.findings],
        [fields_of(error) for error in answer.errors],
        answer.used,
        answer.lines,
    )
    _write(writer, _MESSAGE, plain)


def _plain_answers(answers: Mapping[str, ImageAnswer]) -> dict[str, Any]:
    return {
        image: (
            answer.digest,
            *([fields_of(each) for each in part] for part in fields_of(answer)[1:]),
        )
        for image, answer in answers.items()
    }


def _read_answers(plain: dict[str, Any]) -> dict[str, ImageAnswer]:
    from tidewaiter.rules.image_answers import ImageAnswer, ImageProblem

    return {
        image: ImageAnswer(digest, *(tuple(ImageProblem(*row) for row in part) for part in parts))
        for image, (digest, *parts) in plain.items()
    }


def _answer(plain: Any, child: _Child) -> PartAnswer:
    """Make an answer of what a child sent, or an error on each file where it sent none."""
    if isinstance(plain, tuple) and len(plain) == 6:
        resources, skipped, findings, errors, used, lines = plain
        return PartAnswer(
            resources,
            skipped,
            tuple(LintFinding(*row) for row in findings),
            tuple(LintError(*row) for row in errors),
            used,
            lines,
        )
    reason = plain if isinstance(plain, str) else "its process ended early, perhaps out of memory"
    message = f"was not checked: {reason}"
    errors = tuple(LintError(file.path, None, None, message) for _, file in child.files)
    return PartAnswer(0, (), (), errors, (), {})


def _receive_all(
    children: Sequence[_Child], progress: Callable[[int], None] | None
) -> dict[int, Any]:
    """Wait for one message of each child; a child that has died gives an empty one."""
    received: dict[int, Any] = {}
    waiting = {child.reader: child for child in children}
    while waiting:
        for reader in select.select(list(waiting), [], [])[0]:
            message = _read(reader)
            if message is None:
                received[waiting.pop(reader).pid] = []
            elif message[0] == _PROGRESS:
                if progress is not None:
                    progress(message[1])
            else:
                received[waiting.pop(reader).pid] = message[1]
    return received


def _send(child: _Child, message: Any) -> None:
    try:
        _write(child.writer, _MESSAGE, message)
    except BrokenPipeError:
        pass  # it has died; `_answer` says so


def _write(descriptor: int, kind: bytes, value: Any) -> None:
    content = marshal.dumps(value)
    _write_bytes(descriptor, kind + len(content).to_bytes(8, "little"))
    _write_bytes(descriptor, content)


def _write_bytes(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(descriptor: int) -> tuple[bytes, Any] | None:
    head = _read_bytes(descriptor, 9)
    if head is None:
        return None
    content = _read_bytes(descriptor, int.from_bytes(head[1:], "little"))
    return None if content is None else (head[:1], marshal.loads(content))  # noqa: S302 - our own child


def _read_bytes(descriptor: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass
