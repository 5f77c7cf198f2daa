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
    """A document with `items`, taken apart: what is before them, each of them, what is behind each; and its layout.

    An object by itself has its `margin` in the place of its `mark`, the dash of a block, so that every column stays.
    """

    head: str
    items: tuple[str, ...]
    gaps: tuple[str, ...]
    margins: tuple[str, ...]
    mark: str
    style: Style | None

    def whole(self) -> str:
        """Return the document's text."""
        rows = (part for row in zip(self.items, self.gaps, strict=True) for part in row)
        return "".join((self.head, *rows))


def take_apart(text: str, value: Any, *, is_json: bool) -> ListText | None:
    """Take a document apart, None where its objects are no blocks of YAML or objects of JSON, or share anchors."""
    if not isinstance(value, dict) or not isinstance(value.get(_KEY), list) or len(value[_KEY]) < 2:
        return None
    root = outline(text, is_json=is_json).root
    member = root.members.get(_KEY) if isinstance(root, Branch) else None
    branch = member[1] if member is not None else None
    if not isinstance(branch, Branch) or len(branch.items) != len(value[_KEY]):
        return None
    if any(not isinstance(node, Branch) or node.is_list for node in branch.items):
        return None
    if is_json:
        return _objects(text, branch.items)
    return None if branch.flow or ("&" in text and "*" in text) else _blocks(text, root, branch)


def _objects(text: str, nodes: list[Branch]) -> ListText:
    ends = [*(node.start for node in nodes[1:]), len(text)]
    return ListText(
        text[: nodes[0].start],
        tuple(text[node.start : node.end] for node in nodes),
        tuple(text[node.end : end] for node, end in zip(nodes, ends, strict=True)),
        tuple(_indentation(text, node.start) for node in nodes),
        "",
        None,
    )


def _blocks(text: str, root: Branch, branch: Branch) -> ListText | None:
    dashes = [dash for node in branch.items if (dash := _dash(text, node)) is not None]
    columns = {dash - _line_start(text, dash) for dash in dashes}
    if len(dashes) != len(branch.items) or len(columns) != 1:
        return None
    (column,) = columns
    ends = [*dashes[1:], _end(text, branch.end, column)]
    return ListText(
        text[: dashes[0]],
        tuple(text[start:end] for start, end in zip(dashes, ends, strict=True)),
        (*("" for _ in dashes[1:]), text[ends[-1] :]),
        tuple(" " * (column + 1) for _ in dashes),
        "-",
        layout(root, text),
    )


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
    margin = parts.margins[index]
    text, changed = edited_text(
        margin + parts.items[index].removeprefix(parts.mark),
        value[_KEY][index],
        (operation, f"/{inner}", new),
        is_json=not parts.mark,
        style=parts.style,
    )
    if not text.startswith(margin):
        return None
    items, objects = list(parts.items), [*value[_KEY]]
    items[index] = parts.mark + text.removeprefix(margin)
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


def _indentation(text: str, at: int) -> str:
    line = text[_line_start(text, at) : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
