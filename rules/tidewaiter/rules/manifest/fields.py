"""Reading fields of objects whose shape nobody has checked yet.

A manifest may hold any YAML where Kubernetes wants a mapping or a list. Rules read through these
functions, so that an odd shape reads as "not there" and never raises; the schema rule reports it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_NOTHING: dict[str, Any] = {}


def mapping(value: object) -> dict[str, Any]:
    """Return the value where it is a mapping, else an empty one. Never write to the result."""
    return value if isinstance(value, dict) else _NOTHING


def sequence(value: object) -> list[Any]:
    """Return the value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Return the value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def whole_number(value: object) -> int | None:
    """Return the value where it is an integer, which true and false are not, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def dig(value: object, *path: str) -> Any:
    """Return what stands below nested mappings at `path`, or None where any step is missing."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


_LEAST_MASKED = 8
_LONGEST_MASKED = 1000
"""Beyond that a text is cut before it is looked through, and of what is left little is quoted."""


def quoted(value: object) -> str:
    """Return a value as a message quotes it: `true`, `8080`, `'web'`, "a list"; what is a credential is masked."""
    if isinstance(value, str):
        if len(value) >= _LEAST_MASKED:
            from tidewaiter.rules.manifest.credential import masked

            value = masked(value[:_LONGEST_MASKED])
        return repr(value if len(value) <= 60 else f"{value[:59]}…")
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value)[:60]


def items(value: object, pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each mapping of a list with its JSON pointer; other entries are passed over."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield item, f"{pointer}/{index}"


def escape(key: str) -> str:
    """Escape one key for a JSON pointer (RFC 6901 section 3)."""
    if "~" in key or "/" in key:
        return key.replace("~", "~0").replace("/", "~1")
    return key


def resolve(value: object, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points at, or None where it points at nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
