"""Labels and annotations that a policy wants on objects of some kinds.

https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

from __future__ import annotations

from tidewaiter.rules.manifest.fields import dig, items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidewaiter.rules.manifest.resource import Resource

EVERY_KIND = "*"
"""Among the kinds: every object there is."""


def is_judged(resource: Resource, kinds: Sequence[str]) -> bool:
    """Tell whether an object needs metadata: a workload or one of `kinds`, by kind or kind id.

    What a controller owns has the metadata that its owner gave it, so the owner is judged alone.
    """
    is_meant = (
        resource.workload is not None
        or EVERY_KIND in kinds
        or resource.kind_id in kinds
        or resource.kind in kinds
    )
    return is_meant and not _is_controlled(resource)


def missing_keys(present: Mapping[str, object], wanted: Sequence[str]) -> list[str]:
    """Return the keys of `wanted` that are not there, or are empty, in the order of the policy."""
    return [key for key in wanted if _is_empty(present.get(key))]


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_controlled(resource: Resource) -> bool:
    owners = dig(resource.object, "metadata", "ownerReferences")
    return any(owner.get("controller") is True for owner, _ in items(owners, ""))
