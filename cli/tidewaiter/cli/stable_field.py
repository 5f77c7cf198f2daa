"""The field of a finding by names instead of numbers, so that it stays the same when entries move.

`/spec/containers/1/env/0/value` becomes `/spec/containers[api]/env[LEVEL]/value`: an entry of a list is
told by the key that Kubernetes merges such lists by, and by `[*]` where it has none.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYS = (
    "name", "mountPath", "devicePath", "containerPort", "port", "key", "topologyKey", "host", "ip", "type",
)  # fmt: skip
"""The merge keys of the lists in Kubernetes' API, the most telling first."""


def stable_field(obj: object, pointer: str) -> str:
    """Return a finding's pointer into an object with the entries of lists by name.

    What the object does not have keeps the pointer's own words; without an object numbers become `*`.
    """
    if not pointer:
        return ""
    found: list[str] = []
    here: Any = obj
    for part in pointer.split("/")[1:]:
        if isinstance(here, list):
            entry = here[int(part)] if _is_index(part) and int(part) < len(here) else None
            found.append(f"[{_name(entry)}]")
            here = entry
        elif isinstance(here, dict):
            found.append(f"/{part}")
            here = here.get(part.replace("~1", "/").replace("~0", "~"))
        else:
            found.append("[*]" if _is_index(part) else f"/{part}")
    return "".join(found)


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < 10


def _name(entry: object) -> str:
    """Name an entry of a list; its other values may be secret, and change."""
    if isinstance(entry, dict):
        for key in _KEYS:
            value = entry.get(key)
            if isinstance(value, str) and value:
                return value.replace("~", "~0").replace("/", "~1")
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
    return "*"
