"""Telling Kubernetes objects from the other YAML that lies about in a repository.

Every object names its `apiVersion` and `kind` (https://kubernetes.io/docs/concepts/overview/
working-with-objects/#required-fields); a list is an object whose `items` are objects. Values files,
workflows, compose files and Helm's `Chart.yaml` have at most one of the two and are passed over, and so
are the files that only tools read: Kustomize's, kubeconfigs and the policy of this program.
"""

from __future__ import annotations

from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TOOL_GROUPS = frozenset(
    {
        "audit.k8s.io",
        "client.authentication.k8s.io",
        "ctlptl.dev",
        "k3d.io",
        "kind.x-k8s.io",
        "kubeadm.k8s.io",
        "skaffold",
        "tidewaiter.dev",
    }
)
_CONFIGURATION_GROUP = ".config.k8s.io"
"""Ends the groups of files that Kustomize and the control plane's own programs read."""
_DEPTH = 8


@record
class Objects:
    """The Kubernetes objects of one document, each with its JSON pointer.

    `is_manifest` is false for a document that is something else, and `is_template` true where that is
    an object whose name is still to be filled in. `problem` is one sentence about a
    document that looks like an object and is none, at `problem_pointer`; else empty.
    """

    found: tuple[tuple[dict[str, Any], str], ...]
    is_manifest: bool
    problem: str = ""
    problem_pointer: str = ""
    is_template: bool = False


_NOTHING_THERE = Objects((), is_manifest=False)


def objects_in(value: object) -> Objects:
    """Find the objects in a document's value."""
    if not isinstance(value, dict):
        return _NOTHING_THERE
    api_version, kind = value.get("apiVersion"), value.get("kind")
    if isinstance(api_version, str) and isinstance(kind, str) and api_version and kind:
        if _is_for_a_tool(api_version, kind):
            return _NOTHING_THERE
        if _has_braces(value):
            return Objects((), is_manifest=False, is_template=True)
        if kind.endswith("List") and isinstance(value.get("items"), list):
            found: list[tuple[dict[str, Any], str]] = []
            problem = _expand(value, "", found, _DEPTH)
            return Objects(tuple(found), True, problem[0], problem[1])
        return Objects(((value, ""),), is_manifest=True)
    missing = half_object(value)
    return Objects((), False, missing) if missing else _NOTHING_THERE


def half_object(value: dict[str, Any]) -> str:
    """Say what an object lacks that is one by all other signs; empty for anything else."""
    api_version, kind = value.get("apiVersion"), value.get("kind")
    metadata = value.get("metadata")
    looks_real = isinstance(metadata, dict) and ("name" in metadata or "generateName" in metadata)
    if not looks_real:
        return ""
    if _is_name(kind) and not _is_name(api_version):
        return f"this {kind} has no apiVersion"
    if _is_name(api_version) and not _is_name(kind):
        return f"this object of {api_version} has no kind"
    return ""


def _has_braces(value: dict[str, Any]) -> bool:
    """Tell a template that happens to be YAML: no name of an object can hold braces."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return any(isinstance(text, str) and "{{" in text for text in (name, value["kind"]))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_for_a_tool(api_version: str, kind: str) -> bool:
    group = api_version.partition("/")[0]
    if group in _TOOL_GROUPS or group.endswith(_CONFIGURATION_GROUP):
        return True
    return api_version == "v1" and kind == "Config"


def _expand(
    value: dict[str, Any], pointer: str, found: list[tuple[dict[str, Any], str]], depth: int
) -> tuple[str, str]:
    """Add the items of a list, those of lists in it too; return the first problem and its place.

    An item of a typed list (`PodList`) may leave out what its list says.
    """
    problem = ("", "")
    kind, api_version = value["kind"], value["apiVersion"]
    item_kind = kind[: -len("List")]
    for index, item in enumerate(value["items"]):
        place = f"{pointer}/items/{index}"
        if not isinstance(item, dict):
            problem = problem if problem[0] else ("this item of a list is no object", place)
            continue
        if item_kind and not ("kind" in item and "apiVersion" in item):
            item = {"apiVersion": api_version, "kind": item_kind, **item}
        if not (_is_name(item.get("apiVersion")) and _is_name(item.get("kind"))):
            missing = "kind" if _is_name(item.get("apiVersion")) else "apiVersion"
            problem = problem if problem[0] else (f"this item of a list has no {missing}", place)
        elif item["kind"].endswith("List") and isinstance(item.get("items"), list) and depth:
            inner = _expand(item, place, found, depth - 1)
            problem = problem if problem[0] else inner
        else:
            found.append((item, place))
    return problem
