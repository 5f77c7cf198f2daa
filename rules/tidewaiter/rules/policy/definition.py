"""The CustomResourceDefinitions of policies, made from the schema of the policy file.

An API server takes structural schemas only: each place has a type, there are no references, and what a place may hold
stands outside of `oneOf` and its like. So references are written out. A combination of authorities within another one
is left open, since it has no end: the webhook checks it, as it does names of rules and parameters, globs and
expressions. Defaults are left out: what an object does not say is said by the policies before it.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from typing import Any

from tidewaiter.rules.policy.model import PolicyFile
from tidewaiter.rules.policy.narrowing import NARROWING
from tidewaiter.rules.policy.schema import without_nulls

Schema = dict[str, Any]

GROUP, VERSION = "tidewaiter.dev", "v1"
_OPEN: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_ENDLESS = "Authority"
_DEEPEST = 1
"""Combinations of authorities that are written out, one within the other."""
_KEPT = (
    "description",
    "enum",
    "format",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "type",
)
_FILES = "!has(self.admissionPolicies)"


def definitions() -> list[Schema]:
    """Return both definitions, ready to be applied."""
    return [
        _definition(
            "ClusterPolicy",
            "clusterpolicies",
            "twcp",
            "Cluster",
            "Which rules hold in the cluster; several are joined in the order of their names.",
        ),
        _definition(
            "Policy",
            "policies",
            "twp",
            "Namespaced",
            "What is stricter in one namespace; it cannot loosen what holds in the cluster.",
        ),
    ]


def _definition(kind: str, plural: str, short: str, scope: str, description: str) -> Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "tidewaiter"},
        },
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["tidewaiter"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": description,
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec_schema(kind),
                                "status": _status(),
                            },
                        }
                    },
                }
            ],
        },
    }


def _columns() -> list[Schema]:
    accepted = '.status.conditions[?(@.type=="Accepted")]'
    rows = (
        ("Accepted", f"{accepted}.status", "string"),
        ("Mode", ".spec.admission.mode", "string"),
        ("Profiles", ".spec.profile", "string"),
        ("Age", ".metadata.creationTimestamp", "date"),
        ("Message", f"{accepted}.message", "string"),
    )
    return [{"name": name, "type": kind, "jsonPath": path} for name, path, kind in rows]


def spec_schema(kind: str) -> Schema:
    """Return the structural schema of the spec of a kind."""
    schema = without_nulls(PolicyFile.model_json_schema())
    made = _structural(schema["$defs"]["PolicySpec"], schema["$defs"], 0)
    rules = [(_FILES, "an object of a cluster has no files beside it", "admissionPolicies")]
    if kind == "Policy":
        rules = [
            (
                f"!has(self.{key})",
                f"a Policy only makes rules stricter; {key} is for a ClusterPolicy",
                key,
            )
            for key in made["properties"]
            if key not in NARROWING
        ]
    made["x-kubernetes-validations"] = [
        {"rule": rule, "message": message, "fieldPath": f".{key}"} for rule, message, key in rules
    ]
    return made


def _structural(schema: Schema, known: dict[str, Schema], depth: int) -> Schema:
    """Return a schema of the file in the form that an API server takes."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name == _ENDLESS:
            depth += 1
        if depth > _DEEPEST:
            return {"type": "object", "description": schema.get("description", ""), **_OPEN}
        made = _structural(known[name], known, depth)
        return {**made, **{key: schema[key] for key in ("description",) if key in schema}}
    if "anyOf" in schema:
        return _one_or_list(schema)
    made = {key: schema[key] for key in _KEPT if key in schema}
    if "properties" in schema:
        made["properties"] = {
            name: _structural(each, known, depth) for name, each in schema["properties"].items()
        }
        made |= {key: schema[key] for key in ("required", "oneOf", "allOf") if key in schema}
    elif schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        if isinstance(inner, dict):
            made["additionalProperties"] = _structural(inner, known, depth)
        else:
            made |= _OPEN
    if "items" in schema:
        made["items"] = _structural(schema["items"], known, depth)
    if "type" not in made:
        made |= {"type": "string"} if "enum" in made else _OPEN
    return made


def _one_or_list(schema: Schema) -> Schema:
    """Return what takes a text of a choice or a list of such.

    Where a place has no one type the server applies each bound to values of its own type only, so what is neither is
    kept out by bounds that nothing keeps.
    """
    one, several = schema["anyOf"]
    a_list = {
        "minItems": 1,
        "items": {"enum": several["items"]["enum"]},
        "pattern": "^[^\\s\\S]$",
        "minimum": 1,
        "maximum": 0,
        "minProperties": 1,
        "maxProperties": 0,
        "not": {"enum": [True, False]},
    }
    return {
        **{key: schema[key] for key in ("description",) if key in schema},
        **_OPEN,
        "items": {**_OPEN},
        "anyOf": [{"enum": one["enum"]}, a_list],
    }


def _status() -> Schema:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "What the webhook makes of the policy.",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
                    "properties": {
                        "type": text,
                        "status": {**text, "enum": ["True", "False", "Unknown"]},
                        "reason": text,
                        "message": {**text, "maxLength": 32768},
                        "lastTransitionTime": {**text, "format": "date-time"},
                        "observedGeneration": {"type": "integer", "format": "int64"},
                    },
                },
            },
        },
    }
