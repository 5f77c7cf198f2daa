"""Which findings on an object are those of another: of its old version, or of the template it was made from.

Two findings are the same where the rule, the container, the field and the value agree. A field is told by its
pointer, in which an entry of a list goes by its name and not by its place; that of a pod stands for that of its
template. Of a value that is a mapping or a list, such as a container that lacks a probe, the message decides, as
what lies beside the missing field may change. An image is the same where its repository is: a new tag or digest
is what a release changes, and what signatures are for: to them another digest is another image. Each finding answers for one other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.finding import SEVERITIES, UNKNOWN
from tidewaiter.rules.manifest.fields import resolve
from tidewaiter.rules.manifest.image import InvalidImage, parse_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.manifest.resource import Resource

_IMAGE = "/image"


class AlreadyThere:
    """The findings on another object, each to be found again once."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Take in the findings that were there before, exempted ones too."""
        self._left: dict[tuple[str, str | None, str], list[Finding]] = {}
        for finding in findings:
            if finding.resource is not None:
                self._left.setdefault(_place(finding, finding.resource), []).append(finding)

    def take(self, finding: Finding) -> bool:
        """Tell whether a finding was there before and is not worse now, and count it off."""
        if finding.resource is None:
            return False
        candidates = self._left.get(_place(finding, finding.resource), [])
        for index, old in enumerate(candidates):
            if _is_no_worse(finding, old):
                del candidates[index]
                return True
        return False


def _is_no_worse(new: Finding, old: Finding) -> bool:
    if old.status == UNKNOWN and new.status != UNKNOWN:
        return False
    if SEVERITIES.index(new.severity) < SEVERITIES.index(old.severity):
        return False
    if new.status == UNKNOWN:
        return True
    return _has_same_value(new, old)


def _has_same_value(new: Finding, old: Finding) -> bool:
    if new.resource is None or old.resource is None:
        return False
    value = resolve(new.resource.object, new.pointer)
    before = resolve(old.resource.object, old.pointer)
    if isinstance(value, dict | list) or isinstance(before, dict | list):
        return _message(new, new.resource) == _message(old, old.resource)
    entry = entries().get(new.rule)
    is_image = new.pointer.endswith(_IMAGE) and not (entry is not None and entry.needs_images)
    if isinstance(value, str) and isinstance(before, str) and is_image:
        return _repository(value) == _repository(before)
    return type(value) is type(before) and bool(value == before)


def _message(finding: Finding, resource: Resource) -> str:
    """Return a message without the name of its object, which a pod and its template do not share."""
    return finding.message.replace(f"{resource.kind} {resource.name}", "")


def _repository(image: str) -> str:
    try:
        return parse_image(image).name
    except InvalidImage:
        return image


def _place(finding: Finding, resource: Resource) -> tuple[str, str | None, str]:
    """Return what tells a field of an object, whichever place in a list it has."""
    workload = resource.workload
    pointer, root = finding.pointer, ""
    if workload is not None and pointer.startswith(workload.pod_pointer):
        pointer, root = pointer[len(workload.pod_pointer) :], workload.pod_pointer
    value: Any = resolve(resource.object, root)
    steps = ["pod"] if root else []
    for part in pointer.split("/")[1:]:
        value = resolve(value, f"/{part}") if isinstance(value, dict | list) else None
        name = value.get("name") if isinstance(value, dict) and part.isdigit() else None
        if isinstance(name, str) and name:
            part = f"={name}"
        elif part.isdigit() and isinstance(value, str | int):
            part = f"={value}"
        steps.append(part)
    return finding.rule, finding.container, "/".join(steps)
