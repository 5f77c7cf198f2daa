"""Where each key and value of one document stands, as offsets in its text.

Built only for documents with a finding. An outline mirrors the value: a mapping or list is a Branch,
any other value a pair of offsets, start and end.
"""

from __future__ import annotations

from tidewaiter.rules.loading.libyaml import (
    ALIAS,
    MAPPING_END,
    MAPPING_START,
    SCALAR,
    SEQUENCE_END,
    SEQUENCE_START,
    SyntaxProblem,
    events,
)
from tidewaiter.rules.loading.scalars import (
    MERGE_KEY,
    MERGE_TAG,
    ScalarProblem,
    plain_key,
    tagged_key,
)
from tidewaiter.rules.manifest.fields import escape
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.loading.libyaml import Event

    Extent = tuple[int, int]
    Node = "Branch | Reference | Extent"


class Branch:
    """A mapping or list. `head` is its first key, or where its first item starts.

    `members` of a mapping gives for each key the key's extent and the value's node; `items` are
    those of a list. `merged` is the extent of `<<` and what is merged there.
    """

    __slots__ = ("end", "flow", "head", "is_list", "items", "members", "merged", "start")

    def __init__(self, start: int, end: int, *, is_list: bool, flow: bool) -> None:
        """Begin an empty mapping or list."""
        self.start = start
        self.end = end
        self.is_list = is_list
        self.flow = flow
        self.head: Extent | None = None
        self.members: dict[str, tuple[Extent, Any]] = {}
        self.items: list[Any] = []
        self.merged: tuple[Extent, Any] | None = None


class Reference:
    """An alias: where it stands and what it stands for."""

    __slots__ = ("end", "start", "target")

    def __init__(self, start: int, end: int, target: Any) -> None:
        """Refer to the node `target`."""
        self.start = start
        self.end = end
        self.target = target


@record
class RepeatedKey:
    """A key that its mapping has had before: the key's JSON pointer and both extents."""

    pointer: str
    key: str
    extent: Extent
    first: Extent


class Outline:
    """The root node of a document, its repeated keys, and the extents of quoted and block texts."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.root: Any = None
        self.repeated: list[RepeatedKey] = []
        self.quoted: list[Extent] = []


class _Frame:
    """A branch under construction: the key that waits for its value, and its path's last part."""

    __slots__ = ("branch", "key", "part")

    def __init__(self, branch: Branch, part: str) -> None:
        self.branch = branch
        self.part = part
        self.key: tuple[str | None, Extent] | None = None


def outline(text: str, *, is_json: bool = False) -> Outline:
    """Outline one document. What follows an error in it is left out; it never raises."""
    builder = _Builder()
    if is_json:
        from tidewaiter.rules.loading.json_events import json_events as read
    else:
        read = events
    try:
        for event in read(text):
            builder.take(event, text)
    except (SyntaxProblem, ScalarProblem):
        builder.close_all()
    return builder.outline


class _Builder:
    def __init__(self) -> None:
        self.outline = Outline()
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Any] = {}

    def take(self, event: Event, text: str) -> None:
        """Add one event."""
        kind, start, end = event[0], event[1].index, event[2].index
        if kind == SCALAR:
            style = event[7]
            if style in {"|", ">"}:
                end = start + len(text[start:end].rstrip())
            if style:
                self.outline.quoted.append((start, end))
            if self._awaits_key():
                self._take_key(event, (start, end))
            else:
                self._place((start, end))
            if event[4] is not None:
                self._anchors[event[4]] = (start, end)
        elif kind in {MAPPING_START, SEQUENCE_START}:
            branch = Branch(start, end, is_list=kind == SEQUENCE_START, flow=bool(event[5]))
            if event[3] is not None:
                self._anchors[event[3]] = branch
            part = self._next_part()
            self._place(branch)
            self._stack.append(_Frame(branch, part))
        elif kind in {MAPPING_END, SEQUENCE_END}:
            branch = self._stack.pop().branch
            if branch.flow:
                branch.end = end
            self._stretch(branch)
        elif kind == ALIAS:
            target = self._anchors.get(event[3])
            if self._awaits_key():
                self._stack[-1].key = (None, (start, end))
            else:
                self._place(Reference(start, end, target))

    def close_all(self) -> None:
        """End every open branch where its last child ends."""
        while self._stack:
            self._stretch(self._stack.pop().branch)

    def _awaits_key(self) -> bool:
        return bool(self._stack) and not self._stack[-1].branch.is_list and not self._stack[-1].key

    def _next_part(self) -> str:
        if not self._stack:
            return ""
        frame = self._stack[-1]
        if frame.branch.is_list:
            return str(len(frame.branch.items))
        return escape(frame.key[0] or "") if frame.key else ""

    def _take_key(self, event: Event, extent: Extent) -> None:
        text, tag, plain = event[3], event[5], event[6]
        frame = self._stack[-1]
        if frame.branch.head is None:
            frame.branch.head = extent
        if text == MERGE_KEY and (plain or tag == MERGE_TAG):
            frame.key = (MERGE_KEY, extent)
            frame.branch.merged = (extent, None)
            return
        if tag is not None:
            key = tagged_key(text, tag)
        else:
            key = plain_key(text) if plain else text
        frame.key = (key, extent)
        before = frame.branch.members.get(key)
        if before:
            path = "/".join([frame.part for frame in self._stack] + [escape(key)])
            self.outline.repeated.append(RepeatedKey(path, key, extent, before[0]))

    def _place(self, node: Any) -> None:
        """Put a finished or opened node where its parent waits for it."""
        if not self._stack:
            if self.outline.root is None:
                self.outline.root = node
            return
        frame = self._stack[-1]
        branch = frame.branch
        if branch.is_list:
            branch.items.append(node)
            if branch.head is None:
                branch.head = extent_of(node)
        elif frame.key:
            key, extent = frame.key
            frame.key = None
            if key == MERGE_KEY and branch.merged and branch.merged[0] == extent:
                branch.merged = (extent, node)
            elif key is not None:
                branch.members[key] = (extent, node)
        branch.end = max(branch.end, extent_of(node)[1]) if not branch.flow else branch.end

    def _stretch(self, branch: Branch) -> None:
        """Let the parent reach as far as a branch that has ended."""
        if self._stack and not self._stack[-1].branch.flow:
            parent = self._stack[-1].branch
            parent.end = max(parent.end, branch.end)


def extent_of(node: Any) -> Extent:
    """Start and end of any node."""
    return node if isinstance(node, tuple) else (node.start, node.end)
