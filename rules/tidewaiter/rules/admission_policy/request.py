"""The request under review, as an expression sees it: `request`, `object`, `oldObject`, `namespaceObject`.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cel.values import Unknown
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.manifest.api_resource import CLUSTER_SCOPED, is_builtin_group, plural_of
from tidewaiter.rules.manifest.fields import dig, mapping, text
from tidewaiter.rules.schema.definitions import NEWEST as LATEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.inventory import Inventory
    from tidewaiter.rules.manifest.resource import Asked, Resource

_DEFINITION = "CustomResourceDefinition.apiextensions.k8s.io"
NAME_LABEL = "kubernetes.io/metadata.name"
"""What the API server labels every namespace with."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the API server.

    group, version, resource: of the object, such as apps, v1, deployments. namespace: empty where the kind lies in
    none. namespaced: None where that is not known. old: the object as it was, None when it is created. labels:
    those of its namespace, None where they are not known; those of the object itself where it is a Namespace. cluster: the version of Kubernetes.
    user and dry_run: who asks, and whether nothing is to be stored; None where that is not known.
    """

    group: str
    version: str
    kind: str
    resource: str
    name: str
    namespace: str
    namespaced: bool | None
    operation: str
    object: Any
    old: Any
    labels: Mapping[str, str] | None
    namespace_object: Any
    cluster: tuple[int, int] = LATEST
    user: Mapping[str, Any] | None = None
    dry_run: bool | None = None

    def values(self) -> dict[str, Any]:
        """Return the variables of an expression."""
        kind = {"group": self.group, "version": self.version, "kind": self.kind}
        resource = {"group": self.group, "version": self.version, "resource": self.resource}
        seen: dict[str, Any] = {
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": self.name,
            "operation": self.operation,
            "userInfo": Unknown("who sends the request") if self.user is None else self.user,
            "dryRun": Unknown("whether the request is a dry run")
            if self.dry_run is None
            else self.dry_run,
            "options": Unknown("the options of the request"),
        }
        if self.namespace:
            seen["namespace"] = self.namespace
        return {
            "object": self.object,
            "oldObject": self.old,
            "request": seen,
            "namespaceObject": self.namespace_object,
            "authorizer": Unknown("what the sender of the request may do"),
        }


def creation(
    resource: Resource, admitted: Any, inventory: Inventory, cluster: tuple[int, int]
) -> Request:
    """Return the request that creates an object of the run. admitted: the object as admission sees it."""
    group, _, version = resource.api_version.rpartition("/")
    definition = _definition(resource, inventory)
    namespaced = _is_namespaced(resource, group, definition)
    namespace = "" if namespaced is False else namespace_of(resource)
    labels, namespace_object = _namespace(resource, namespace, admitted, inventory)
    return Request(
        group=group,
        version=version,
        kind=resource.kind,
        resource=text(dig(definition, "names", "plural")) or plural_of(resource.kind),
        name=resource.name,
        namespace=resource.name if resource.kind_id == "Namespace" else namespace,
        namespaced=namespaced,
        operation="CREATE",
        object=admitted,
        old=None,
        labels=labels,
        namespace_object=namespace_object,
        cluster=cluster,
    )


def with_asked(request: Request, asked: Asked, seen: dict[str, Any]) -> Request:
    """Return the request as it was made in truth, at admission.

    seen: its object, filled in; what the object says itself of uid, status and the like is known there.
    """
    metadata = {**mapping(seen.get("metadata")), **mapping(asked.object.get("metadata"))}
    seen = {**seen, "metadata": metadata}
    if "status" in asked.object:
        seen["status"] = asked.object["status"]
    user = {"username": asked.username, "groups": list(asked.groups)}
    return replace(
        request,
        operation=asked.operation,
        object=seen,
        old=asked.old,
        user=user,
        dry_run=asked.dry_run,
    )


def _definition(resource: Resource, inventory: Inventory) -> Mapping[str, Any]:
    """Return the spec of the run's definition of a custom resource, empty where there is none."""
    for definition in inventory.lookup(_DEFINITION, None, _kind_defined, resource.kind_id):
        return mapping(definition.spec)
    return {}


def _kind_defined(definition: Resource) -> tuple[object, ...]:
    spec = mapping(definition.spec)
    return (f"{text(dig(spec, 'names', 'kind'))}.{text(spec.get('group'))}",)


def _is_namespaced(resource: Resource, group: str, definition: Mapping[str, Any]) -> bool | None:
    if definition:
        return definition.get("scope") == "Namespaced"
    if resource.kind_id in CLUSTER_SCOPED:
        return False
    return True if is_builtin_group(group) or resource.namespace else None


def _namespace(
    resource: Resource, namespace: str, admitted: Any, inventory: Inventory
) -> tuple[Mapping[str, str] | None, Any]:
    """Return the labels that a namespaceSelector asks about, and what `namespaceObject` is."""
    if resource.kind_id == "Namespace":
        return _labels(admitted, resource.name), None
    if not namespace:
        return None, None
    found = inventory.find("Namespace", namespace)
    if found is None:
        # Every cluster has this one, and as far as a manifest can tell without labels of anybody's own.
        return None, Unknown(f"the Namespace {namespace}")
    labels = _labels(found.object, namespace)
    metadata = {**mapping(found.object.get("metadata")), "labels": labels, "name": namespace}
    for unset in ("generateName", "namespace"):
        metadata.setdefault(unset, "")
    for given in ("UID", "creationTimestamp", "resourceVersion", "generation"):
        metadata[given] = Unknown(f"the {given} of Namespace {namespace}")
    spec = {"finalizers": ["kubernetes"], **mapping(found.object.get("spec"))}
    return labels, {"metadata": metadata, "spec": spec, "status": {"phase": "Active"}}


def _labels(namespace: Any, name: str) -> dict[str, str]:
    labels = mapping(mapping(mapping(namespace).get("metadata")).get("labels"))
    return {**{key: str(value) for key, value in labels.items()}, NAME_LABEL: name}
