"""What `tidewaiter fix` makes of a manifest is taken by the API server where the manifest itself is."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.client import Refused
from tidewaiter.cli.run.fix import fix
from tidewaiter.cli.run.generate import generate
from tidewaiter.cli.run.lint import Job
from tidewaiter.rules.fixes.objects import KINDS
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


def test_the_api_server_takes_what_was_generated(
    api_server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "api.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, labels: {app: api}}\nspec:\n"
        "  replicas: 2\n  selector: {matchLabels: {app: api}}\n  template:\n"
        "    metadata: {labels: {app: api}}\n    spec:\n      containers:\n"
        "        - {name: api, image: 'api:1', resources: {requests: {cpu: 100m}}}\n"
    )
    paths = (str(tmp_path),)
    job = Job(paths, (), (), (), {"profiles": ["production"]}, 1, "2026-11-25", use_cache=False)
    findings = [left.finding for left in fix(job).left]
    generation = generate(job, findings, KINDS, {})
    made = [yaml.safe_load(file.content) for file in generation.files]
    kinds = {"NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    assert {obj["kind"] for obj in made} == kinds
    for obj in made:
        obj["metadata"]["namespace"] = namespace
        assert refusal(api_server, obj) == ""
