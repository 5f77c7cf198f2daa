"""Further schemas from a folder of the user's: CustomResourceDefinitions and JSON Schemas.

A JSON Schema says by its path which kind it is for, as catalogues of schemas lay them out:
`GROUP/KIND_VERSION.json` (the kind in small letters) or `KIND-GROUP-VERSION.json`, where the group is its
first part only, for example `networking.istio.io/virtualservice_v1.json`.
"""

from __future__ import annotations

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.schema.custom_resources import CRD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def definitions_in(data: bytes, path: str) -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of a file, or its JSON Schema in the form of one.

    Raises InputError for a file that can be read as neither.
    """
    content = read_resources(data, path)
    if content.errors:
        raise content.errors[0]
    found = [one.object for one in content.resources if one.kind_id == CRD]
    if found or content.resources:
        return found
    schema = _json_schema(data)
    if schema is None:
        return []
    name = path.replace("\\", "/").rpartition(".")[0].split("/")
    folder = name[-2] if len(name) > 1 else ""
    kind, _, version = name[-1].rpartition("_")
    if kind and "." in folder:
        return [_definition(folder, kind, version, schema)]
    parts = name[-1].split("-")
    if len(parts) == 3:
        return [_definition(parts[1], parts[0], parts[2], schema)]
    raise InputError("its name does not say which kind it is for", file=path)


def _json_schema(data: bytes) -> dict[str, Any] | None:
    import json

    try:
        schema = json.loads(data)
    except ValueError:
        return None
    is_schema = isinstance(schema, dict) and ("properties" in schema or "$schema" in schema)
    return schema if is_schema else None


def _definition(group: str, kind: str, version: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a definition as a manifest would have it; its kind is in small letters."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind},
            "versions": [{"name": version, "served": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
