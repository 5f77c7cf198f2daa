"""What people attest by annotation where manifests cannot tell: who, when, and on what evidence.

`tidewaiter.dev/attest.<item>: "<who>, <date>, <evidence>"` on a workload, its pod template or its
Namespace. The date is YYYY-MM-DD and not in the future.
"""

from __future__ import annotations

from tidewaiter.rules.checklist.items import ATTEST, ITEM_IDS
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.fields import escape, quoted
from tidewaiter.rules.names import nearest_name
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.checklist.services import CheckedService
    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource

_TEMPLATE_METADATA = "{}/metadata/annotations"
_DATE_SHAPE = "dddd-dd-dd"


@record
class Attestation:
    """One valid attestation and where it stands; `date` is YYYY-MM-DD."""

    who: str
    date: str
    evidence: str
    resource: Resource
    pointer: str


@record
class Malformed:
    """An annotation that is meant as an attestation and is none, with what is wrong with it."""

    resource: Resource
    pointer: str
    message: str


def parse(value: object, today: str) -> tuple[str, str, str] | str:
    """Return who, date and evidence of an annotation's value, or what is wrong with it.

    `today` is YYYY-MM-DD.
    """
    if not isinstance(value, str):
        return f'is {quoted(value)}; it must be "<who>, <date>, <evidence>"'
    parts = [part.strip() for part in value.split(",", 2)]
    for part, what in zip((*parts, "", ""), ("who", "a date", "evidence"), strict=False):
        if not part:
            return f'has no {what.removeprefix("a ")}; it must be "<who>, <date>, <evidence>"'
    who, date, evidence = parts
    if not is_date(date):
        return f"has {quoted(date)} where a date as 2026-01-31 must stand"
    if date > today:
        return f"is of {date}, which is in the future"
    return who, date, evidence


def is_date(value: str) -> bool:
    """Tell whether a text is a date of the calendar in the form YYYY-MM-DD."""
    shape = "".join("d" if each in "0123456789" else each for each in value)
    if shape != _DATE_SHAPE:
        return False
    from datetime import date

    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def attestations(
    service: CheckedService, item: str, inventory: Inventory, today: str
) -> tuple[Attestation, ...] | None:
    """Return the attestations of an item, one for each member of a service; None where one has none."""
    found: list[Attestation] = []
    for member in service.members:
        own = next(_valid(_places(member, inventory), item, today), None)
        if own is None:
            return None
        found.append(own)
    return tuple({(each.resource.place, each.pointer): each for each in found}.values())


def malformed(
    services: Iterable[CheckedService], inventory: Inventory, today: str
) -> list[Malformed]:
    """Return every attestation that does not count, each once."""
    found: dict[tuple[object, ...], Malformed] = {}
    for service in services:
        for member in service.members:
            for resource, stated, pointer in _places(member, inventory):
                for key, value in stated.items():
                    if not key.startswith(ATTEST):
                        continue
                    problem = _problem(key.removeprefix(ATTEST), value, today)
                    if problem:
                        place = f"{pointer}/{escape(key)}"
                        message = f"annotation {key} {problem}"
                        row = Malformed(resource, place, message)
                        found[(resource.place, place)] = row
    return list(found.values())


def _problem(item: str, value: object, today: str) -> str:
    if item not in ITEM_IDS:
        nearest = nearest_name(item, ITEM_IDS)
        hint = f"did you mean {ATTEST}{nearest}?" if nearest else f"there are {', '.join(ITEM_IDS)}"
        return f"names no item; {hint}"
    parsed = parse(value, today)
    return parsed if isinstance(parsed, str) else ""


def _valid(
    places: Iterable[tuple[Resource, Mapping[str, Any], str]], item: str, today: str
) -> Iterator[Attestation]:
    key = f"{ATTEST}{item}"
    for resource, stated, pointer in places:
        if key in stated:
            parsed = parse(stated[key], today)
            if not isinstance(parsed, str):
                yield Attestation(*parsed, resource, f"{pointer}/{escape(key)}")


def _places(
    member: Resource, inventory: Inventory
) -> Iterator[tuple[Resource, Mapping[str, Any], str]]:
    """Yield where a member's attestations may stand, the nearest first."""
    yield member, member.annotations, "/metadata/annotations"
    workload = member.workload
    if workload is not None and workload.template_pointer:
        pointer = _TEMPLATE_METADATA.format(workload.template_pointer)
        yield member, workload.pod_annotations, pointer
    around = inventory.find("Namespace", namespace_of(member))
    if around is not None:
        yield around, around.annotations, "/metadata/annotations"
