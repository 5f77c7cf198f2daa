"""The checklist for programs: the whole of it as one JSON object, in ASCII; see docs/checklist-schema.json."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def pieces(data: dict[str, Any]) -> Iterator[str]:
    """Yield the report as one text."""
    import json

    yield json.dumps(data, indent=1)
    yield "\n"
