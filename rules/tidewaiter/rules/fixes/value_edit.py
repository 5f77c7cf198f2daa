"""What a document's value is after an edit: what the edited text is measured by."""

from __future__ import annotations

from tidewaiter.rules.fixes.edit import APPEND, REMOVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidewaiter.rules.fixes.edit import Fix, PlainEdit


class Refused(Exception):
    """An edit that cannot be made; the message is a clause that says why."""


def parts_of(pointer: str) -> list[str]:
    """Take a JSON pointer apart (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def edited_value(value: Any, edit: PlainEdit) -> Any:
    """Return the value with one edit; what is not on the way to it is shared. Raises Refused."""
    operation, pointer, new = edit
    parts = parts_of(pointer)
    if not parts:
        raise Refused("the whole document cannot be replaced")
    return _edited(value, parts, operation, new)


def fits(fix: Fix, pointer: str, value: Any) -> bool:
    """Tell whether a fix can be made in a value at all: whether mappings are where it wants them."""
    try:
        for edit in fix.edits:
            value = edited_value(value, (edit.operation, edit.pointer or pointer, edit.value))
    except Refused:
        return False
    return True


def is_done(value: Any, edit: PlainEdit) -> bool:
    """Tell whether an edit would change nothing."""
    try:
        return same(edited_value(value, edit), value)
    except Refused:
        return False


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: true is not 1, and the order of keys does not matter."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _edited(value: Any, parts: list[str], operation: str, new: Any) -> Any:
    part, rest = parts[0], parts[1:]
    if value is None and operation != REMOVE:
        value = {}
    if isinstance(value, list):
        if not (part.isascii() and part.isdigit() and int(part) < len(value)):
            raise Refused(f"the list has no entry {part}")
        index = int(part)
        changed = [*value[:index]]
        if rest or operation != REMOVE:
            changed.append(_child(value[index], rest, operation, new))
        return [*changed, *value[index + 1 :]]
    if not isinstance(value, dict):
        raise Refused(f"what should hold {part} is no mapping")
    if operation == REMOVE and part not in value:
        raise Refused(f"there is no {part}")
    if operation == REMOVE and not rest:
        return {key: one for key, one in value.items() if key != part}
    return {**value, part: _child(value.get(part), rest, operation, new)}


def _child(value: Any, rest: list[str], operation: str, new: Any) -> Any:
    if rest:
        return _edited(value, rest, operation, new)
    if operation == APPEND:
        if value is not None and not isinstance(value, list):
            raise Refused("what should be a list is none")
        entries = value or []
        return entries if any(same(one, new) for one in entries) else [*entries, new]
    return new
