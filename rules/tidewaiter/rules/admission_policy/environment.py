"""What an expression of an admission policy may use: its variables, their types and the functions.

https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tidewaiter.rules.cel.check import Environment
from tidewaiter.rules.cel.library.catalogue import functions
from tidewaiter.rules.cel.types import BOOL, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidewaiter.rules.cel.function import Overload

REQUEST = Type("kubernetes.AdmissionRequest")
NAMESPACE = Type("kubernetes.Namespace")
VARIABLES = Type("kubernetes.variables")
AUTHORIZER = Type("kubernetes.authorization.Authorizer")
RESOURCE_CHECK = Type("kubernetes.authorization.ResourceCheck")

_KIND, _RESOURCE = Type("kubernetes.GroupVersionKind"), Type("kubernetes.GroupVersionResource")
_USER = Type("kubernetes.UserInfo")
_METADATA, _SPEC = Type("kubernetes.NamespaceMetadata"), Type("kubernetes.NamespaceSpec")
_STATUS, _CONDITION = Type("kubernetes.NamespaceStatus"), Type("kubernetes.NamespaceCondition")
_TEXTS = list_of(STRING)
_LABELS = map_of(STRING, STRING)

STRUCTS: Mapping[str, Mapping[str, Type]] = {
    REQUEST.name: {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
    _KIND.name: {"group": STRING, "version": STRING, "kind": STRING},
    _RESOURCE.name: {"group": STRING, "version": STRING, "resource": STRING},
    _USER.name: {
        "username": STRING,
        "uid": STRING,
        "groups": _TEXTS,
        "extra": map_of(STRING, _TEXTS),
    },
    NAMESPACE.name: {"metadata": _METADATA, "spec": _SPEC, "status": _STATUS},
    _METADATA.name: {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "labels": _LABELS,
        "annotations": _LABELS,
        "UID": STRING,
        "creationTimestamp": TIMESTAMP,
        "deletionGracePeriodSeconds": INT,
        "deletionTimestamp": TIMESTAMP,
        "generation": INT,
        "resourceVersion": STRING,
        "finalizers": _TEXTS,
    },
    _SPEC.name: {"finalizers": _TEXTS},
    _STATUS.name: {"conditions": list_of(_CONDITION), "phase": STRING},
    _CONDITION.name: {
        "status": STRING,
        "type": STRING,
        "lastTransitionTime": TIMESTAMP,
        "message": STRING,
        "reason": STRING,
    },
    AUTHORIZER.name: {"requestResource": RESOURCE_CHECK},
}
"""Fields of the types that admission adds; k8s.io/apiserver/pkg/admission/plugin/cel declares the same."""


@cache
def function_table() -> Mapping[tuple[str, bool], tuple[Overload, ...]]:
    """Return the functions by name and whether they are called on a value."""
    table: dict[tuple[str, bool], tuple[Overload, ...]] = {}
    for overload in functions():
        key = overload.name, overload.member
        table[key] = (*table.get(key, ()), overload)
    return table


def environment(
    *, params: bool = False, authorizer: bool = False, variables: Mapping[str, Type] | None = None
) -> Environment:
    """Return what an expression may use.

    params: whether the policy has parameters. variables: those of the policy that stand above the expression.
    """
    declared = {
        "object": DYN,
        "oldObject": DYN,
        "request": REQUEST,
        "namespaceObject": NAMESPACE,
    }
    if params:
        declared["params"] = DYN
    if authorizer:
        declared["authorizer"] = AUTHORIZER
    structs = STRUCTS
    if variables is not None:
        declared["variables"] = VARIABLES
        structs = {**STRUCTS, VARIABLES.name: variables}
    return Environment(declared, function_table(), structs)
