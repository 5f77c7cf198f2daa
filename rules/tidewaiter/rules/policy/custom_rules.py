"""Custom rules of a policy file, as the program of an admission policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.admission_policy.program import Mistake, compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.admission_policy.program import Program

_RULE = "/validations/0"


def program_of(row: Mapping[str, Any]) -> tuple[Program | None, list[Mistake]]:
    """Return a custom rule's program, or None and what is wrong; pointers are from the rule's own root."""
    validation = {
        key: row[key] for key in ("expression", "message", "messageExpression") if key in row
    }
    spec = {
        "variables": row.get("variables"),
        "matchConditions": row.get("matchConditions"),
        "validations": [validation],
    }
    program, mistakes = compiled(spec, params="params" in row)
    return program, [
        Mistake(each.pointer.removeprefix(_RULE), each.message, each.offset) for each in mistakes
    ]
