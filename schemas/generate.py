"""Write the compact form of Kubernetes' OpenAPI schemas that the rule valid-schema reads.

    python -m pip install kubernetes-validate && python schemas/generate.py

The package carries the definitions of each Kubernetes version as JSON, 108 MB installed. What a manifest can
be checked against is left of them: field names, types, which are required, and the versions that have them.
The form is described in `tidewaiter.rules.schema.definitions`, which reads it.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent.parent / "rules/tidewaiter/rules/schema/kubernetes.txt"
VERSIONS = range(25, 38)
Json = dict[str, Any]
Lines = dict[str, set[int]]
"""Text of a line to the minor versions that have it."""

_ANY = (
    "JSON",
    "JSONSchemaPropsOrArray",
    "JSONSchemaPropsOrBool",
    "JSONSchemaPropsOrStringArray",
    "CustomResourceSubresourceStatus",
)
_FORMATS = {"int32": "i", "int64": "l", "byte": "y", "date-time": "t", "double": "n"}
_TYPES = {"string": "s", "integer": "l", "number": "n", "boolean": "b", "object": "o"}


def main() -> None:
    folder = package_folder()
    kinds: Lines = defaultdict(set)
    definitions: dict[str, Lines] = {}
    for minor in VERSIONS:
        file = folder / f"v1.{minor}.0-local" / "_definitions.json"
        document: Json = json.loads(file.read_text(encoding="utf-8"))
        found = document.get("$defs") or document["definitions"]
        for name, schema in found.items():
            for row in schema.get("x-kubernetes-group-version-kind", ()):
                kinds[kind_line(row, name)].add(minor)
            if code(name):
                continue
            lines = definitions.setdefault(short(name), defaultdict(set))
            for field, value in sorted(schema.get("properties", {}).items()):
                required = "!" if field in schema.get("required", ()) else ""
                lines[f"{field}{required} {type_of(value, name)}"].add(minor)
    version = importlib.metadata.version("kubernetes-validate")
    text = [f"# Kubernetes 1.{VERSIONS[0]} to 1.{VERSIONS[-1]}, from kubernetes-validate {version}"]
    text += [f"{line}{spread(minors)}" for line, minors in sorted(kinds.items())]
    for name, lines in sorted(definitions.items()):
        text.append(f"= {name}")
        text += [f"{line}{spread(minors)}" for line, minors in lines.items()]
    OUTPUT.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(
        f"{OUTPUT}: {len(kinds)} kinds, {len(definitions)} definitions, {OUTPUT.stat().st_size} bytes"
    )


def package_folder() -> Path:
    spec = find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        msg = "kubernetes-validate is not installed"
        raise SystemExit(msg)
    return Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"


def kind_line(row: Json, name: str) -> str:
    version = f"{row['group']}/{row['version']}" if row["group"] else row["version"]
    return f"+ {version} {row['kind']} {short(name)}"


def short(name: str) -> str:
    """Return a definition's name without the part that all share; it stays unique."""
    for prefix, form in (
        ("io.k8s.api.", ""),
        ("io.k8s.apimachinery.pkg.apis.", "machinery."),
        ("io.k8s.apimachinery.pkg.", "machinery."),
        ("io.k8s.apiextensions-apiserver.pkg.apis.", ""),
        ("io.k8s.kube-aggregator.pkg.apis.", ""),
    ):
        if name.startswith(prefix):
            return form + name.removeprefix(prefix)
    return name


def code(name: str) -> str:
    """Return the type code of a definition that is a scalar or holds anything, or an empty text."""
    last = name.rpartition(".")[2]
    if last == "IntOrString":
        return "p"
    if last == "Quantity":
        return "q"
    if last in {"Time", "MicroTime"}:
        return "t"
    if last in {"RawExtension", "FieldsV1"}:
        return "o"
    return "*" if last in _ANY else ""


def type_of(schema: Json, owner: str) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return code(name) or "." + short(name)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(item for item in kind if item != "null")
    if kind == "array":
        return "[" + type_of(schema["items"], owner)
    if kind == "object" and "additionalProperties" in schema:
        return "{" + type_of(schema["additionalProperties"], owner)
    if kind is None:
        return "*"
    return _FORMATS.get(schema.get("format", ""), "") or _TYPES[kind]


def spread(minors: set[int]) -> str:
    """Return ` 27-31,33-` for the versions that have a line; nothing where all do."""
    if len(minors) == len(VERSIONS):
        return ""
    ranges: list[str] = []
    start = None
    for minor in range(VERSIONS[0], VERSIONS[-1] + 2):
        if minor in minors and start is None:
            start = minor
        elif minor not in minors and start is not None:
            last = "" if minor > VERSIONS[-1] else str(minor - 1)
            ranges.append(f"{start}-{last}")
            start = None
    return " " + ",".join(ranges)


if __name__ == "__main__":
    main()
