"""What is kept of a pod template so that what is made from it is known again: a hash of each field.

An inventory of a cluster cannot hold every template whole, and must hold no secret. The hashes are keyed by the
process, so that nobody can try values against them, and mean nothing in another process.

A field is named as `containers/api/image`, `volumes/data`, `securityContext`, `labels/app`, `annotations/…`, and of
a Job's own spec `job/backoffLimit`. What the API server or a controller adds to every pod is left out.
"""

from __future__ import annotations

from hashlib import blake2b
from os import urandom

from tidewaiter.rules.manifest.fields import mapping, resolve, sequence, text
from tidewaiter.rules.manifest.token_volume import without_token_volume
from tidewaiter.rules.manifest.workload import CONTAINER_FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = "templateRecord"
"""The key of an object in an inventory that holds its record."""

FILLED_IN = frozenset(
    {
        "hostname",
        "nodeName",
        "preemptionPolicy",
        "priority",
        "serviceAccount",
        "subdomain",
        "tolerations",
    }
)
"""Fields of a pod that the API server or its controller sets, none of which changes what runs in it."""
_FILLED_IN_OF_CONTAINER = frozenset({"imagePullPolicy", "terminationMessagePath"})
"""The admission plugin AlwaysPullImages sets the first."""
_KEY = urandom(16)
_DEEPEST = 60
"""Levels of a value; deeper ones, which the API server refuses, have no hash and equal nothing."""


def template_record(obj: dict[str, Any], pod_pointer: str) -> dict[str, str]:
    """Return the hashes of the fields of an object's pod template, or of a pod."""
    found: dict[str, str] = {}
    template = mapping(resolve(obj, pod_pointer.rpartition("/")[0]))
    metadata = mapping(template.get("metadata"))
    for part in ("labels", "annotations"):
        for key, value in mapping(metadata.get(part)).items():
            found[f"{part}/{key}"] = _hash(value)
    _add_pod(found, without_token_volume(mapping(template.get(pod_pointer.rpartition("/")[2]))))
    job = _job_spec(obj)
    for key, value in job.items():
        if key not in {"template", "selector"}:
            found[f"job/{key}"] = _hash(value)
    return found


def _add_pod(found: dict[str, str], spec: dict[str, Any]) -> None:
    for key, value in spec.items():
        if key in CONTAINER_FIELDS:
            for container in map(mapping, sequence(value)):
                name = text(container.get("name"))
                for field, inner in container.items():
                    if field not in _FILLED_IN_OF_CONTAINER:
                        found[f"{key}/{name}/{field}"] = _hash(inner)
        elif key == "volumes":
            for volume in map(mapping, sequence(value)):
                found[f"volumes/{text(volume.get('name'))}"] = _hash(volume)
        elif key not in FILLED_IN:
            found[key] = _hash(value)


def _job_spec(obj: dict[str, Any]) -> dict[str, Any]:
    if obj.get("kind") == "Job":
        return mapping(obj.get("spec"))
    if obj.get("kind") == "CronJob":
        return mapping(resolve(obj, "/spec/jobTemplate/spec"))
    return {}


def _hash(value: object) -> str:
    return blake2b(repr(_ordered(value, 0)).encode(), digest_size=8, key=_KEY).hexdigest()


def _ordered(value: object, depth: int) -> object:
    """Return a value with its mappings as lists in the order of their keys."""
    if depth > _DEEPEST:
        return urandom(16)
    if isinstance(value, dict):
        return ("{", sorted((str(key), _ordered(each, depth + 1)) for key, each in value.items()))
    if isinstance(value, list):
        return [_ordered(each, depth + 1) for each in value]
    return value
