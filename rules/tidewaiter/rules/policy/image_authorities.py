"""Walking the authorities of an entry of the section `images`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any


def signing_parts(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield each single authority of an entry, those of its attestations among them."""
    yield from single_authorities(entry["authorities"])
    for row in entry.get("attestations", ()):
        if "authorities" in row:
            yield from single_authorities(row["authorities"])


def single_authorities(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the authorities that a combination is made of."""
    parts = [*row.get("anyOf", ()), *row.get("allOf", ()), *row.get("atLeast", {}).get("of", ())]
    for part in parts:
        yield from single_authorities(part)
    if not parts:
        yield row


def materials_of(authority: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the keys, certificates and trust roots of a single authority."""
    for name in ("key", "certificate", "trustedRoot"):
        if name in authority:
            yield authority[name]
    if "intermediates" in authority.get("certificate", {}):
        yield authority["certificate"]["intermediates"]
    yield from authority.get("timestamp", ())


def named_files(
    entries: Iterable[Mapping[str, Any]], settings: Mapping[str, Any] | None = None
) -> list[str]:
    """Return the files that entries read keys, certificates and trust roots from, and settings authorities."""
    authorities = (settings or {}).get("registryAuthorities", ())
    return [each["file"] for each in authorities if "file" in each] + [
        material["file"]
        for entry in entries
        for authority in signing_parts(entry)
        for material in materials_of(authority)
        if "file" in material
    ]
