"""The CustomResourceDefinitions of reports, as the projects publish them but for their descriptions.

https://github.com/kubernetes-sigs/wg-policy-prototypes/tree/master/policy-report/crd/v1alpha2
https://github.com/openreports/reports-api/tree/main/crd/openreports.io/v1alpha1
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_COUNT: Schema = {"type": "integer"}


def _fields(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


_REFERENCE = _fields(
    **dict.fromkeys(
        ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"), _TEXT
    )
)
_REQUIREMENT = {
    **_fields(key=_TEXT, operator=_TEXT, values={"type": "array", "items": _TEXT}),
    "required": ["key", "operator"],
}
_SELECTOR = _fields(matchExpressions={"type": "array", "items": _REQUIREMENT}, matchLabels=_TEXTS)
_TIMESTAMP = {
    **_fields(
        nanos={"type": "integer", "format": "int32"}, seconds={"type": "integer", "format": "int64"}
    ),
    "required": ["nanos", "seconds"],
}
_SUMMARY = _fields(**dict.fromkeys(("error", "fail", "pass", "skip", "warn"), _COUNT))


def _schema(severities: list[str], **more: Schema) -> Schema:
    result = _fields(
        category=_TEXT,
        message=_TEXT,
        policy=_TEXT,
        properties=_TEXTS,
        resourceSelector=_SELECTOR,
        resources={"type": "array", "items": _REFERENCE},
        result={"type": "string", "enum": ["pass", "fail", "warn", "error", "skip"]},
        rule=_TEXT,
        scored={"type": "boolean"},
        severity={"type": "string", "enum": severities},
        source=_TEXT,
        timestamp=_TIMESTAMP,
    )
    return _fields(
        apiVersion=_TEXT,
        kind=_TEXT,
        metadata={"type": "object"},
        results={"type": "array", "items": {**result, "required": ["policy"]}},
        scope=_REFERENCE,
        scopeSelector=_SELECTOR,
        summary=_SUMMARY,
        **more,
    )


def _definition(group: str, version: str, kind: str, scope: str, schema: Schema) -> Schema:
    plural = f"{kind.lower()}s"
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": scope, "versions": [served]},
    }


# The first published v1alpha2 knows three severities; later ones more.
_OLD = _schema(["high", "low", "medium"])
_LIMITS = _fields(maxResults=_COUNT, statusFilter={"type": "array", "items": _TEXT})
_NEW = _schema(
    ["critical", "high", "low", "medium", "info"],
    source=_TEXT,
    configuration={**_fields(limits=_LIMITS), "required": ["limits"]},
)

POLICY_REPORTS = (
    _definition("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "Namespaced", _OLD),
    _definition("wgpolicyk8s.io", "v1alpha2", "ClusterPolicyReport", "Cluster", _OLD),
)
OPEN_REPORTS = (
    _definition("openreports.io", "v1alpha1", "Report", "Namespaced", _NEW),
    _definition("openreports.io", "v1alpha1", "ClusterReport", "Cluster", _NEW),
)
REPORT_DEFINITIONS = (*POLICY_REPORTS, *OPEN_REPORTS)
