"""The objects of a List, each edited as a text of its own.

After an edit the text is read again. A List holds as many objects as somebody asked a cluster for, and reading all of
them again for each edit of one would take the square of their number.
"""

from __future__ import annotations

from tidewaiter.rules.fixes.text_edit import edited_text, layout
from tidewaiter.rules.fixes.value_edit import Refused
from tidewaiter.rules.loading.outline import Branch, outline
from tidewaiter.rules.loading.text import next_line
from tidewaiter.rules.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.fixes.edit import PlainEdit
    from tidewaiter.rules.fixes.rendering import Style

_KEY = "items"


@record
class ListText:
    """A document with `items`, taken apart: what is before them, each from its dash on, what is behind; and its layout."""

    head: str
    items: tuple[str, ...]
    tail: str
    column: int
    style: Style

    def whole(self) -> str:
        """Return the document's text."""
        return "".join((self.head, *self.items, self.tail))


def take_apart(text: str, value: Any) -> ListText | None:
    """Take a document apart, None where its objects are not such blocks or share anchors."""
    if not isinstance(value, dict) or not isinstance(value.get(_KEY), list) or len(value[_KEY]) < 2:
        return None
    if "&" in text and "*" in text:
        return None
    root = outline(text).root
    member = root.members.get(_KEY) if isinstance(root, Branch) else None
    branch = member[1] if member is not None else None
    if not isinstance(branch, Branch) or branch.flow or len(branch.items) != len(value[_KEY]):
        return None
    dashes = [_dash(text, node) for node in branch.items]
    columns = {dash - _line_start(text, dash) for dash in dashes if dash is not None}
    if None in dashes or len(columns) != 1:
        return None
    (column,) = columns
    starts = [dash for dash in dashes if dash is not None]
    ends = [*starts[1:], _end(text, branch.end, column)]
    items = tuple(text[start:end] for start, end in zip(starts, ends, strict=True))
    return ListText(text[: starts[0]], items, text[ends[-1] :], column, layout(root, text))


def edited_item(parts: ListText, value: Any, edit: PlainEdit) -> tuple[ListText, Any] | None:
    """Return the List's parts and value after an edit within one of its objects, None for any other. Raises Refused."""
    operation, pointer, new = edit
    name, _, rest = pointer[1:].partition("/")
    number, _, inner = rest.partition("/")
    if name != _KEY or not inner or not (number.isascii() and number.isdigit()):
        return None
    index = int(number)
    if index >= len(parts.items):
        raise Refused(f"the list has no entry {number}")
    # The object by itself: its dash gives way to a blank, so that every column stays.
    margin = " " * (parts.column + 1)
    text, changed = edited_text(
        margin + parts.items[index][1:],
        value[_KEY][index],
        (operation, f"/{inner}", new),
        is_json=False,
        style=parts.style,
    )
    if not text.startswith(margin):
        return None
    items = list(parts.items)
    items[index] = f"-{text[len(margin) :]}"
    objects = [*value[_KEY]]
    objects[index] = changed
    return replace(parts, items=tuple(items)), {**value, _KEY: objects}


def _dash(text: str, node: Any) -> int | None:
    """Return where the dash of an object stands, None where more than blanks is around it or it is no mapping."""
    if not isinstance(node, Branch) or node.is_list or node.flow or node.head is None:
        return None
    dash = text.rfind("-", 0, node.head[0])
    is_alone = not text[_line_start(text, dash) : dash].strip(" ")
    return dash if is_alone and not text[dash + 1 : node.head[0]].strip() else None


def _end(text: str, at: int, column: int) -> int:
    """Return where the last object ends, with the comments that are indented as its fields are."""
    end = start = next_line(text, at)
    while start < len(text):
        line = text[start : next_line(text, start)]
        start += len(line)
        if line.lstrip(" ").startswith("#") and line.index("#") > column:
            end = start
        elif line.strip():
            break
    return end


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
