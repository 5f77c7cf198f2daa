"""What would mend a finding: small changes to its object, as data.

A rule puts a Fix beside its violation; what becomes of it is decided elsewhere. No text is made here: how an
edit is written into a manifest is `text_edit`'s to know.
"""

from __future__ import annotations

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    PlainEdit = tuple[str, str, Any]
    """Operation, pointer from the document's root, value."""
    PlainFix = tuple[bool, int, tuple[PlainEdit, ...]]
    """Whether it is safe, the index of its document, its edits: plain data that may be stored and sent."""

SET, REMOVE, APPEND = "set", "remove", "append"
HERE = ""
"""As an edit's pointer: that of its violation."""


@record
class Edit:
    """One change. SET makes what is missing on the way; APPEND leaves a list that holds the value as it is.

    `pointer` is a JSON pointer from the object's root, or HERE.
    """

    operation: str
    pointer: str
    value: Any = None


@record
class Fix:
    """Changes that belong together: all are made or none.

    A safe fix leaves what the workload does as it is, or takes away only what a workload in good order does not
    use; the others want somebody to look at the service first.
    """

    edits: tuple[Edit, ...]
    is_safe: bool = True


def set_here(value: object, *, safe: bool = True) -> Fix:
    """Give the violation's own field this value."""
    return Fix((Edit(SET, HERE, value),), safe)


def set_at(pointer: str, value: object, *, safe: bool = True) -> Fix:
    """Give another field of the object this value."""
    return Fix((Edit(SET, pointer, value),), safe)


def remove_at(pointer: str, *, safe: bool = True) -> Fix:
    """Take a field or an entry of a list away."""
    return Fix((Edit(REMOVE, pointer),), safe)


def plain_fix(fix: Fix, pointer: str, document: int, prefix: str) -> PlainFix:
    """Return a fix with its pointers from the document's root, as plain data.

    `pointer` is the violation's, `prefix` that of the object in its document.
    """
    edits = tuple(
        (edit.operation, prefix + (edit.pointer or pointer), edit.value) for edit in fix.edits
    )
    return fix.is_safe, document, edits
