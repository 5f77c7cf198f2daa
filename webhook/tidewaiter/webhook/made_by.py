"""Objects that a controller made from a template: pods, the ReplicaSets of Deployments, the Jobs of CronJobs.

What is wrong with the template was said when it was applied. On what is made from it only what was added or
changed on the way counts: another webhook's sidecar, an image that somebody set.

The owner must be in the inventory, under the uid that the reference states, up to the one whose template is
known. Whoever may create pods can state that of an owner he can read, so the reference alone proves nothing. Two
things do: that one of the cluster's own controllers sends the request, which the API server has authenticated; or
that the object is the template, field by field, apart from what the API server itself adds.
https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidewaiter.rules.manifest.fields import dig, mapping, resolve, sequence, text
from tidewaiter.rules.manifest.template_record import RECORD, template_record
from tidewaiter.rules.manifest.workload import CONTAINER_FIELDS
from tidewaiter.webhook.exempt_requests import is_component

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.finding import Finding
    from tidewaiter.rules.live_inventory import LiveInventory
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.webhook.decision import ReviewedObject

_MOST_OWNERS = 4
"""Pod, ReplicaSet, Deployment, and what made that."""

_OWN_KINDS = frozenset(
    {
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "CronJob"),
        ("batch/v1", "Job"),
        ("v1", "ReplicationController"),
    }
)
"""Owners for which only the cluster's own controllers make objects."""

_DECIDED_BY_POD = {
    "securityContext": ("securityContext", "hostUsers", "os"),
    "ports": ("hostNetwork",),
    "resources": ("resources",),
}
"""Fields of a container whose meaning depends on fields of the pod."""

_ADDED_LABELS = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "controller-revision-hash",
        "controller-uid",
        "job-name",
        "pod-template-generation",
        "pod-template-hash",
        "statefulset.kubernetes.io/pod-name",
    }
)


class Made:
    """A made object beside the template it was made from."""

    def __init__(self, resource: Resource, mine: Mapping[str, str], template: Mapping[str, str]):
        """Hold the object and the records of it and of the template."""
        self._resource = resource
        self._mine = mine
        self._template = template

    def is_template(self) -> bool:
        """Tell whether nothing but labels of the controller and resources was added or changed."""
        return all(
            self._mine.get(key) == self._template.get(key)
            for key in self._mine.keys() | self._template.keys()
            if not _is_added(key)
        )

    def has_in_template(self, finding: Finding) -> bool:
        """Tell whether a finding stands at a field that the template has just so."""
        workload = self._resource.workload
        if workload is None:
            return False
        pointer = finding.pointer
        if pointer == workload.pod_pointer or pointer.startswith(f"{workload.pod_pointer}/"):
            steps = pointer[len(workload.pod_pointer) :].split("/")[1:]
            return self._has_field(workload, steps)
        metadata = f"{workload.template_pointer}/metadata/"
        if pointer.startswith(metadata):
            return self._has_metadata(pointer[len(metadata) :])
        if self._resource.kind_id == "Job.batch" and pointer.startswith("/spec/"):
            return self._is_same(f"job/{pointer.split('/')[2]}")
        return False

    def _has_field(self, workload: Workload, steps: list[str]) -> bool:
        if not steps:
            return self.is_template()
        field = steps[0]
        if field not in {*CONTAINER_FIELDS, "volumes"}:
            return self._is_same(field)
        if len(steps) == 1:
            return self._is_same_below(f"{field}/")
        entry = resolve(workload.pod_spec, f"/{field}/{steps[1]}")
        name = text(dig(entry, "name"))
        if field == "volumes":
            return self._is_same(f"volumes/{name}")
        start = f"{field}/{name}/"
        if f"{start}name" not in self._template:
            return False
        if len(steps) == 2:
            return self._is_same_below(start)
        others = _DECIDED_BY_POD.get(steps[2], ())
        return self._is_same(f"{start}{steps[2]}") and all(map(self._is_same, others))

    def _has_metadata(self, rest: str) -> bool:
        part, _, key = rest.partition("/")
        if key:
            return self._is_same(f"{part}/{key.replace('~1', '/').replace('~0', '~')}")
        return all(
            self._mine.get(name) == value
            for name, value in self._template.items()
            if name.startswith(f"{part}/")
        )

    def _is_same(self, key: str) -> bool:
        return self._mine.get(key) == self._template.get(key)

    def _is_same_below(self, start: str) -> bool:
        keys = self._mine.keys() | self._template.keys()
        return all(self._is_same(key) for key in keys if key.startswith(start))


def made(resource: Resource, subject: ReviewedObject, inventory: LiveInventory) -> Made | None:
    """Return a made object beside its template, or None where it is not certain that there is one."""
    if resource.workload is None or not dig(resource.object, "metadata", "ownerReferences"):
        return None
    template = _template_of(resource, inventory)
    if template is None:
        return None
    mine = template_record(resource.object, resource.workload.pod_pointer)
    found = Made(resource, mine, template)
    # What runs in a pod was reviewed when it was made, and can be changed in its images only.
    is_running = subject.operation == "UPDATE" and subject.kind == "Pod"
    return found if is_running or is_component(subject.username) or found.is_template() else None


def without_false_owner(
    obj: dict[str, Any], old: dict[str, Any] | None, username: str
) -> dict[str, Any]:
    """Return an object without a user's new claim that one of the cluster's own controllers made it."""
    metadata = mapping(obj.get("metadata"))
    owners = sequence(metadata.get("ownerReferences"))
    if not owners or is_component(username):
        return obj
    known = sequence(dig(old, "metadata", "ownerReferences"))
    true = [owner for owner in owners if owner in known or not _is_false(mapping(owner))]
    if len(true) == len(owners):
        return obj
    return {**obj, "metadata": {**metadata, "ownerReferences": true}}


def _is_false(owner: Mapping[str, Any]) -> bool:
    return (
        owner.get("controller") is True
        and (text(owner.get("apiVersion")), text(owner.get("kind"))) in _OWN_KINDS
    )


def _template_of(resource: Resource, inventory: LiveInventory) -> Mapping[str, str] | None:
    """Return the record of the nearest owner that has a template."""
    owner = inventory.owner_of(resource)
    for _ in range(_MOST_OWNERS):
        if owner is None:
            return None
        kept = owner.object.get(RECORD)
        if isinstance(kept, dict):
            return kept
        if owner.workload is not None:
            return template_record(owner.object, owner.workload.pod_pointer)
        owner = inventory.owner_of(owner)
    return None


def _is_added(key: str) -> bool:
    part, _, name = key.partition("/")
    if part == "labels":
        return name in _ADDED_LABELS
    return part in CONTAINER_FIELDS and key.endswith("/resources")
