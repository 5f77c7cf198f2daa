"""No object is defined twice.

An object's identity is its group, kind, namespace and name. Only what one command applies together
counts: objects of one file, or of the files beside each other in one folder. Other folders are other
places or stages of one thing (bases and overlays, one folder for each cluster). A manifest that lacks
what every workload must have is a patch of the object and no second one.
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

from tidewaiter.rules.finding import Violation
from tidewaiter.rules.rule import ANY, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rule import Context

    Identity = tuple[str, str, str | None, str]

RULE = Rule(
    name="no-duplicate-objects",
    section="hygiene",
    severity="error",
    profiles=("recommended",),
    summary="no object is defined twice",
    rationale=(
        "Of two objects with one identity the one that is applied last wins, and the order is that of "
        "file names. Each run changes the object to the one and back to the other."
    ),
    remediation="Delete one of them, or give it a name or a namespace of its own.",
    references=(
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/",
        "https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/",
    ),
    applies_to=(ANY,),
    needs_inventory=True,
)


@RULE.check
def check(resource: Resource, context: Context) -> Iterator[Violation]:
    """Yield a violation for an object that the same file or folder has defined before."""
    identity = _identity(resource)
    if identity is None:
        return
    first = context.inventory.once(_first_of_each).get(identity)
    if first is None or first.place == resource.place:
        return
    where = "in this file" if first.file == resource.file else f"in {first.file.rpartition('/')[2]}"
    nth = f"document {first.document + 1}" + (f", {first.prefix[1:]}" if first.prefix else "")
    yield Violation("/metadata/name", f"{resource!r} is defined already {where} ({nth})")


def _identity(resource: Resource) -> Identity | None:
    """Return what must be unique, or None where the object is not one that is applied by its name."""
    name = resource.name
    if not name or name.endswith("*") or not resource.file or _is_patch(resource):
        return None
    folder = resource.file.rpartition("/")[0]
    return folder, resource.kind_id, resource.namespace, name


def _is_patch(resource: Resource) -> bool:
    workload = resource.workload
    if "$patch" in resource.object:
        return True
    if workload is None:
        return resource.kind_id in {"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"}
    if resource.api_version == "apps/v1" and not resource.spec.get("selector"):
        return True
    regular = [container for container in workload.containers if container.is_regular]
    return not regular or any(not container.spec.get("image") for container in regular)


def _first_of_each(inventory: Inventory) -> dict[Identity, Resource]:
    """Index an inventory by identity and folder."""
    found: dict[Identity, Resource] = {}
    for resource in inventory.everything():
        identity = _identity(resource)
        if identity is not None:
            first = found.setdefault(identity, resource)
            if resource.place < first.place:
                found[identity] = resource
    return found
