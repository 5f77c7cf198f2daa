"""What `tidewaiter fix` makes of a manifest is taken by the API server where the manifest itself is."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import Refused
from tidewaiter.cli.run.fix import fix
from tidewaiter.cli.run.lint import Job
from tidewaiter.rules.loading.resources import read_resources

if TYPE_CHECKING:
    from tests.e2e.api_server import ApiServer

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
TREES = [
    ROOT / "deploy" / "examples",
    CORPUS / "kube-prometheus",
    CORPUS / "kubernetes-examples",
    CORPUS / "pod-security" / "baseline" / "v1.34",
    CORPUS / "pod-security" / "restricted" / "v1.34",
]
GROUPS = ("v1", "apps/v1", "batch/v1", "policy/v1", "autoscaling/v2")


def objects_of(content: bytes, namespace: str) -> dict[tuple[int, str], dict[str, Any]]:
    """Return a file's objects of Kubernetes itself, in another namespace, by their place."""
    found = {}
    for resource in read_resources(content, "").resources:
        if resource.api_version in GROUPS and resource.workload is not None:
            obj = copy.deepcopy(resource.object)
            obj.setdefault("metadata", {})["namespace"] = namespace
            found[resource.document, resource.prefix] = obj
    return found


def refusal(api_server: ApiServer, obj: dict[str, Any]) -> str:
    """Return why the API server does not take an object, "" where it does."""
    try:
        api_server.admin.create(obj, dryRun="All")
    except Refused as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: "-".join(tree.parts[-2:]))
def test_the_api_server_takes_what_was_fixed(
    api_server: ApiServer, namespace: str, tree: Path
) -> None:
    if not tree.exists():
        pytest.skip("the corpus is not here")
    job = Job((str(tree),), (), (), (), {"profiles": ["all"]}, 1, "2026-11-25", use_cache=False)
    changed = fix(job, unsafe=True).changed
    taken, refused = 0, []
    for path, (before, after) in changed.items():
        fixed = objects_of(after, namespace)
        for place, obj in objects_of(before, namespace).items():
            if obj == fixed[place] or refusal(api_server, obj):
                continue
            taken += 1
            problem = refusal(api_server, fixed[place])
            if problem:
                refused.append(f"{path}: {problem}")
    assert not refused
    assert taken
