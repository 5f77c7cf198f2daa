"""An edit written into a document's text, everything else left as it is to the byte.

The edited text is read again by our own loader and compared with the value that the edit asks for. Whatever
the layout, a text that does not come out right is thrown away and the edit is refused.
"""

from __future__ import annotations

from tidewaiter.rules.fixes import rendering
from tidewaiter.rules.fixes.edit import APPEND, REMOVE, SET
from tidewaiter.rules.fixes.rendering import Style
from tidewaiter.rules.fixes.value_edit import Refused, edited_value, is_done, parts_of, same
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.outline import Branch, Reference, extent_of, outline
from tidewaiter.rules.loading.text import next_line
from tidewaiter.rules.manifest.fields import escape, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from tidewaiter.rules.fixes.edit import PlainEdit
    from tidewaiter.rules.loading.outline import Extent

_LAYOUT = "its text is laid out in a way that no edit fits in"


def read_value(text: str) -> Any:
    """Return the value of a text that is one document. Raises Refused."""
    loaded = load_documents(text.encode("utf-8"), "")
    if loaded.errors or len(loaded.documents) != 1:
        raise Refused(_LAYOUT)
    return loaded.documents[0].value


def edited_text(
    text: str,
    value: Any,
    edit: PlainEdit,
    *,
    is_json: bool,
    also: Iterable[PlainEdit] = (),
    style: Style | None = None,
) -> tuple[str, Any]:
    """Return a document's text and value after one edit, given both before it. Raises Refused.

    `also` are edits that are wanted too: what stands under an anchor may change where each of its uses is to change
    in the same way. `style` is the layout of the document that the text is a part of.
    """
    wanted = edited_value(value, edit)
    if same(wanted, value):
        return text, value
    sheet = _Sheet(text, is_json=is_json, style=style)
    for candidate in sheet.candidates(value, edit):
        try:
            found = read_value(candidate)
        except Refused:
            continue
        if same(found, wanted) or _is_wanted(found, value, (edit, *also)):
            return candidate, found
    raise Refused(sheet.reason)


def _is_wanted(found: Any, value: Any, edits: tuple[PlainEdit, ...]) -> bool:
    """Tell whether the first of the edits, and some of the others, and nothing else, make the value found."""
    if len(edits) == 1 or not is_done(found, edits[0]):
        return False
    for edit in edits:
        if edit[0] != REMOVE and is_done(found, edit):
            value = edited_value(value, edit)
    return same(found, value)


class _Sheet:
    """One document's text and where everything in it stands."""

    def __init__(self, text: str, *, is_json: bool, style: Style | None) -> None:
        self.text = text
        self._stated_style = style
        self.is_json = is_json
        self.root = outline(text, is_json=is_json).root
        self.reason = _LAYOUT

    def candidates(self, value: Any, edit: PlainEdit) -> Iterator[str]:
        """Yield the texts that may be what the edit asks for, the one that reads best first."""
        operation, pointer, new = edit
        parts = parts_of(pointer)
        node, key, in_flow = self.root, None, False
        for depth, part in enumerate(parts):
            self._look_out_for_anchor(node)
            if isinstance(node, Reference):
                self._refuse_alias(node)
            child = _child(node, part)
            if child is None:
                is_last = depth == len(parts) - 1 and operation == SET
                if isinstance(node, Branch) and part in _keys(value) and not is_last:
                    raise Refused("it comes in by the merge key << and is not this object's alone")
                yield from self._add_below(node, key, in_flow, value, parts[depth:], operation, new)
                return
            if depth == len(parts) - 1 and operation == REMOVE:
                yield from self._without(node, key, part)
                return
            in_flow = isinstance(node, Branch) and node.flow
            key, node = child
            value = resolve(value, f"/{escape(part)}")
        self._look_out_for_anchor(node)
        if isinstance(node, Reference):
            self._refuse_alias(node)
        if operation == APPEND:
            if value is not None and not (value == [] and not in_flow and _is_empty(node)):
                yield from self._appended(node, new)
                return
            new = [new]
        yield from self._replaced(node, key, in_flow, new)

    def _refuse_alias(self, node: Reference) -> None:
        alias = self.text[node.start : node.end]
        raise Refused(f"it comes in by the alias {alias} and is not this object's alone")

    def _look_out_for_anchor(self, node: Any) -> None:
        start = extent_of(node)[0] if node is not None else 0
        if self.text.startswith("&", start):
            anchor = self.text[start:].split(maxsplit=1)[0]
            self.reason = f"it stands under the anchor {anchor}, so that other places would change"

    # Adding

    def _add_below(
        self,
        node: Any,
        key: Extent | None,
        in_flow: bool,
        value: Any,
        parts: list[str],
        operation: str,
        new: Any,
    ) -> Iterator[str]:
        """Add what the rest of a pointer leads to below the last node that is there."""
        if operation == REMOVE:
            return
        if operation == APPEND:
            new = [new]
        for part in reversed(parts[1:]):
            new = {part: new}
        if isinstance(node, Branch) and not node.is_list and not (_is_empty(node) and not in_flow):
            yield from self._with_member(node, parts[0], new)
        elif value is None or value == {}:
            yield from self._replaced(node, key, in_flow, {parts[0]: new})

    def _with_member(self, branch: Branch, key: str, new: Any) -> Iterator[str]:
        if branch.flow:
            yield from self._into_flow(branch, key, new)
            return
        if branch.head is None:
            return
        style = self._style()
        column = self._column(branch.head[0])
        lines = rendering.entry_lines(key, new, column, style)
        yield from self._behind_comments(branch.end, column, lines)
        for end in self._ends(branch):
            yield self._after_line(end, lines)
        start = self._line_start(branch.head[0])
        if not self.text[start : branch.head[0]].strip(" "):
            newline = self._newline(start)
            added = "".join(line + newline for line in lines)
            yield self.text[:start] + added + self.text[start:]

    def _appended(self, node: Any, new: Any) -> Iterator[str]:
        if not isinstance(node, Branch) or not node.is_list:
            return
        if node.flow:
            yield from self._into_flow(node, None, new)
            return
        first = extent_of(node.items[0])[0]
        dash = self.text.rfind("-", 0, first)
        gap = first - dash - 1
        if dash < 0 or self.text[dash + 1 : first].strip(" "):
            gap = 1
        lines = rendering.item_lines(new, self._column(dash), self._style(), gap)
        yield from self._behind_comments(node.end, self._column(dash), lines)
        yield self._after_line(node.end, lines)

    def _into_flow(self, branch: Branch, key: str | None, new: Any) -> Iterator[str]:
        """Add a member, or an item where there is no key, to what stands in braces or brackets."""
        text, close = self.text, branch.end - 1
        is_json = self.is_json or text[branch.head[0]] == '"' if branch.head else self.is_json
        nodes = [*branch.items, *(one for _, one in branch.members.values())]
        if branch.merged:
            nodes.append(branch.merged[1])
        if not nodes:
            opening = text.rfind("[" if branch.is_list else "{", 0, close)
            yield text[: opening + 1] + self._member(key, new, is_json, 0, 0) + text[close:]
            return
        last = max(extent_of(node)[1] for node in nodes)
        line_end = self._line_end(last)
        if close <= line_end or branch.head is None:
            yield text[:last] + ", " + self._member(key, new, is_json, 0, 0) + text[last:]
            return
        start = self._line_start(branch.head[0])
        indent = len(text[start:]) - len(text[start:].lstrip(" \t"))
        lead = text[start : start + indent]
        step = self._json_step(branch, indent) if is_json and not lead.strip(" ") else 0
        newline = self._newline(last)
        member = self._member(key, new, is_json, indent, step).replace("\n", newline)
        added = newline + lead + member
        if text[last:close].lstrip().startswith(","):
            yield text[:line_end] + added + "," + text[line_end:]
        else:
            yield text[:last] + "," + text[last:line_end] + added + text[line_end:]

    def _member(self, key: str | None, new: Any, is_json: bool, indent: int, step: int) -> str:
        if key is not None:
            return rendering.member(key, new, is_json=is_json, indent=indent, step=step)
        return rendering.spread(new, indent, step) if is_json else rendering.flow(new)

    def _json_step(self, branch: Branch, indent: int) -> int:
        start = self._line_start(branch.start)
        outer = len(self.text[start:]) - len(self.text[start:].lstrip(" "))
        return max(indent - outer, 0)

    # Replacing

    def _replaced(self, node: Any, key: Extent | None, in_flow: bool, new: Any) -> Iterator[str]:
        """Put another value in the place of a scalar, of nothing, or of what stands in braces."""
        start, end = extent_of(node) if node is not None else (0, 0)
        if isinstance(node, Branch) and not node.flow:
            return
        while self.text.startswith(("&", "!"), start) and start < end:
            # An anchor or a tag stays; what else it names is checked like everything.
            word = self.text[start:end].split(maxsplit=1)
            start = start + self.text[start:end].index(word[1]) if len(word) > 1 else end
        text, old = self.text, self.text[start:end]
        is_deep = isinstance(new, dict | list) and bool(new) and not in_flow and not self.is_json
        if isinstance(new, list) and not any(isinstance(one, dict | list) for one in new):
            is_deep = False
        if is_deep and key is not None and "\n" not in old:
            colon = text.find(":", key[1])
            lines = rendering.entry_lines("", new, self._column(key[0]), self._style())[1:]
            bare = text[: colon + 1] + text[end:] if end > start else text
            line_end = self._line_end(colon, bare)
            newline = self._newline(colon)
            added = "".join(newline + line for line in lines)
            yield bare[:line_end].rstrip(" \t") + added + bare[line_end:]
            return
        written = rendering.requoted(new, old) if not self.is_json else ""
        written = rendering.flow(new, is_json=True) if self.is_json else written
        space = "" if end > start else " "
        yield text[:start] + space + written + text[end:]

    # Removing

    def _without(self, branch: Any, own_key: Extent | None, part: str) -> Iterator[str]:
        if not isinstance(branch, Branch):
            return
        nodes = branch.items if branch.is_list else list(branch.members.values())
        if len(nodes) == 1 and not branch.merged:
            yield from self._emptied(branch, own_key)
        elif branch.flow:
            yield from self._without_in_flow(branch, part)
        else:
            yield from self._without_lines(branch, part)

    def _emptied(self, branch: Branch, own_key: Extent | None) -> Iterator[str]:
        """Take the last thing out: an empty mapping or list stays, and so do comments."""
        text, nothing = self.text, "[]" if branch.is_list else "{}"
        if branch.flow:
            opening = text.find(nothing[0], branch.start)
            yield text[:opening] + nothing + text[branch.end :]
        elif own_key is not None:
            colon = text.find(":", own_key[1])
            first, *others = text[colon + 1 : branch.end].splitlines()
            kept = [first.rstrip()] if first.lstrip().startswith("#") else [""]
            kept += [line for line in others if line.lstrip().startswith("#")]
            comments = self._newline(colon).join(kept)
            yield f"{text[: colon + 1]} {nothing}{comments}{text[branch.end :]}"

    def _without_in_flow(self, branch: Branch, part: str) -> Iterator[str]:
        extents = self._extents(branch)
        names = (
            [str(index) for index in range(len(extents))] if branch.is_list else [*branch.members]
        )
        at = names.index(part)
        start, end = extents[at]
        if at + 1 < len(extents):
            yield self.text[:start] + self.text[extents[at + 1][0] :]
        else:
            yield self.text[: extents[at - 1][1]] + self.text[end:]

    def _without_lines(self, branch: Branch, part: str) -> Iterator[str]:
        text = self.text
        if branch.is_list:
            start, end = extent_of(branch.items[int(part)])
            start = text.rfind("-", 0, start)
        else:
            key, node = branch.members[part]
            start, end = key[0], max(key[1], extent_of(node)[1])
        line = self._line_start(start)
        if not text[line:start].strip(" "):
            yield text[:line] + text[next_line(text, end) :]
            return
        # It shares its line with a dash: what comes next moves up to it.
        following = min((one for one, _ in self._extents(branch) if one > end), default=None)
        if following is not None and "#" not in text[end:following]:
            yield text[:start] + text[following:]

    # Places

    def _extents(self, branch: Branch) -> list[Extent]:
        """From where to where each entry stands, its key with it."""
        if branch.is_list:
            return [extent_of(node) for node in branch.items]
        return [(key[0], max(key[1], extent_of(node)[1])) for key, node in branch.members.values()]

    def _ends(self, branch: Branch) -> Iterator[int]:
        """Where entries end after which another may stand, the last first."""
        yield branch.end
        for _, end in sorted(self._extents(branch), reverse=True):
            if end != branch.end:
                yield end

    def _behind_comments(self, end: int, column: int, lines: list[str]) -> Iterator[str]:
        """Add lines behind the comments that follow a block and are indented as its entries are: they are its own.

        Those at the margin may be about what follows.
        """
        last = end
        start = next_line(self.text, end)
        while start < len(self.text):
            stop = self._line_end(start)
            line = self.text[start:stop]
            if line.lstrip(" ").startswith("#") and line.index("#") >= max(column, 1):
                last = stop
            elif line.strip():
                break
            start = next_line(self.text, start)
        if last != end:
            yield self._after_line(last, lines)

    def _after_line(self, at: int, lines: list[str]) -> str:
        end, newline = self._line_end(at), self._newline(at)
        return self.text[:end] + "".join(newline + line for line in lines) + self.text[end:]

    def _line_start(self, at: int) -> int:
        return max(self.text.rfind("\n", 0, at), self.text.rfind("\r", 0, at)) + 1

    def _line_end(self, at: int, text: str | None = None) -> int:
        """Where the line of an offset ends, before its line end."""
        text = self.text if text is None else text
        end = next_line(text, at)
        while end > at and text[end - 1] in "\r\n":
            end -= 1
        return end

    def _newline(self, at: int) -> str:
        """The line end of the line of an offset, or of the first line where the text ends there."""
        end = self._line_end(at)
        if end == len(self.text):
            end = self._line_end(0)
        return self.text[end : next_line(self.text, end)] or "\n"

    def _column(self, at: int) -> int:
        return at - self._line_start(at)

    def _style(self) -> Style:
        return self._stated_style or layout(self.root, self.text)


def layout(root: Any, text: str) -> Style:
    """Return how a document indents, by the first mapping and the first list below a key."""

    def column(at: int) -> int:
        return at - max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) - 1

    steps: list[int] = []
    dashes: list[int] = []
    pending = [root]
    while pending and not (steps and dashes):
        branch = pending.pop()
        if not isinstance(branch, Branch) or branch.flow:
            continue
        for key, node in branch.members.values():
            if isinstance(node, Branch) and not node.flow and node.head:
                offset = column(node.head[0]) - column(key[0])
                if node.is_list:
                    dash = text.rfind("-", 0, extent_of(node.items[0])[0])
                    dashes.append(column(dash) - column(key[0]))
                elif offset > 0:
                    steps.append(offset)
        pending += reversed([*branch.items, *(node for _, node in branch.members.values())])
    step = steps[0] if steps else 2
    dash = dashes[0] if dashes else step
    return Style(step, dash if 0 <= dash <= 8 else step)


def _child(node: Any, part: str) -> tuple[Extent | None, Any] | None:
    """Go down by one part of a pointer: the child's key, if it has one, and the child."""
    if not isinstance(node, Branch):
        return None
    if not node.is_list:
        return node.members.get(part)
    if part.isascii() and part.isdigit() and int(part) < len(node.items):
        return None, node.items[int(part)]
    return None


def _is_empty(node: Any) -> bool:
    return (
        isinstance(node, Branch) and node.flow and not (node.items or node.members or node.merged)
    )


def _keys(value: Any) -> Any:
    return value if isinstance(value, dict) else ()
