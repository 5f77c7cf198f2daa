"""Scans of parts of a cluster on a real API server: together they say what one scan of it says."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api_server import running_api_server
from tests.e2e.binaries import binaries
from tests.e2e.conftest import built
from tests.e2e.report_definitions import OPEN_REPORTS, POLICY_REPORTS
from tests.e2e.test_scan import owned_by, pods_of, wait_until_served
from tidewaiter.rules.cluster.client import Client, open_client
from tidewaiter.rules.cluster.reports import Written, write_reports
from tidewaiter.rules.cluster.scan import Scan, policy_for, scan
from tidewaiter.rules.cluster.shard import Shard
from tidewaiter.rules.policy.compiled import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.api_server import ApiServer

Object = dict[str, Any]

TOTAL = 3
NAMESPACES = 9
SMALL_PAGES = 5
"""So that lists are long, and a shard's namespaces are read one by one."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A cluster of its own: nothing else changes while its parts are compared."""
    with running_api_server(built(binaries), tmp_path_factory.mktemp("fleet")) as server:
        for definition in (*POLICY_REPORTS, *OPEN_REPORTS):
            server.admin.apply(definition)
        for definition in (*POLICY_REPORTS, *OPEN_REPORTS):
            spec = definition["spec"]
            version = f"{spec['group']}/{spec['versions'][0]['name']}"
            wait_until_served(server, {"apiVersion": version, "kind": spec["names"]["kind"]})
        for number in range(NAMESPACES):
            fill(server, f"team-{number}")
        yield server


def fill(server: ApiServer, namespace: str) -> None:
    def create(kind: str, name: str, version: str = "v1", **fields: object) -> Object:
        metadata = {"name": name, "namespace": namespace, **fields.pop("metadata", {})}  # type: ignore[dict-item]
        manifest = {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
        return server.admin.create(manifest)

    server.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    create("ServiceAccount", "deployer")
    for name in ("api", "web"):
        deployment = create("Deployment", name, "apps/v1", spec=pods_of(name))
        metadata = owned_by(deployment)
        create("ReplicaSet", f"{name}-1", "apps/v1", metadata=metadata, spec=pods_of(name))
        create("Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})
    create("Service", "nobody", spec={"selector": {"app": "gone"}, "ports": [{"port": 80}]})
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "view"}
    for name in ("deployer", "nobody"):  # the one exists, in another namespace; the other does not
        subject = {"kind": "ServiceAccount", "name": name, "namespace": "team-0"}
        create("RoleBinding", name, f"{group}/v1", roleRef=role, subjects=[subject])


def judged(server: ApiServer, shard: Shard | None, **options: Any) -> tuple[Scan, Written]:
    async def run() -> tuple[Scan, Written]:
        async with open_client(str(server.kubeconfig)) as client:
            policy = await policy_for(client, {"profiles": ["all"]})
            found = await scan(client, policy, today="2026-01-01", shard=shard, **options)
            return found, await report(client, policy, found, shard)

    return asyncio.run(run())


async def report(client: Client, policy: Policy, found: Scan, shard: Shard | None) -> Written:
    return await write_reports(client, found, policy, now=int(time.time()), shard=shard)


def findings(scans: list[Scan]) -> list[tuple[str, ...]]:
    return sorted(
        (each.rule, repr(each.resource), each.status, each.pointer, each.message)
        for found in scans
        for each in found.all_findings()
    )


def reports(server: ApiServer) -> dict[tuple[str, str, str], str]:
    """Return the resource version of each report by kind, namespace and name."""
    found = {}
    for definition in (*POLICY_REPORTS, *OPEN_REPORTS):
        spec = definition["spec"]
        version = f"{spec['group']}/{spec['versions'][0]['name']}"
        path = f"/apis/{version}/{spec['names']['plural']}"
        for each in server.admin.request("GET", path)["items"]:
            metadata = each["metadata"]
            key = spec["names"]["kind"], metadata.get("namespace", ""), metadata["name"]
            found[key] = metadata["resourceVersion"]
    return found


def shards() -> list[Shard]:
    return [Shard(index, TOTAL) for index in range(TOTAL)]


@pytest.mark.parametrize("limit", [SMALL_PAGES, 500])
def test_the_shards_find_together_what_one_scan_finds(cluster: ApiServer, limit: int) -> None:
    whole, _ = judged(cluster, None)
    parts = [judged(cluster, each, limit=limit)[0] for each in shards()]
    assert findings(parts) == findings([whole])
    assert sum(each.resources for each in parts) == whole.resources
    assert not any(each.errors for each in parts)
    assert all(each.subjects for each in parts)


def test_an_account_of_another_shard_is_known_to_exist_and_another_not_to(
    cluster: ApiServer,
) -> None:
    found = [judged(cluster, each, limit=SMALL_PAGES)[0] for each in shards()]
    bindings = {
        each.resource.name
        for part in found
        for each in part.all_findings()
        if each.rule == "rbac-subject-exists"
        and each.resource is not None
        and each.resource.kind == "RoleBinding"
    }
    assert bindings == {"nobody"}


def test_a_shard_that_is_repeated_changes_nothing(cluster: ApiServer) -> None:
    for each in shards():
        judged(cluster, each)
    before = reports(cluster)
    assert before
    for each in shards():
        _, written = judged(cluster, each, limit=SMALL_PAGES)
        assert (written.applied, written.removed, written.errors) == (0, 0, [])
        assert written.unchanged
    assert reports(cluster) == before


def test_reports_by_shards_are_those_of_one_scan(cluster: ApiServer) -> None:
    for each in shards():
        judged(cluster, each)
    _, written = judged(cluster, None)
    assert (written.applied, written.removed) == (0, 0)


def test_a_shard_removes_its_own_stale_reports_and_no_others(cluster: ApiServer) -> None:
    for each in shards():
        judged(cluster, each)
    own = next(each for each in shards() if each.has("team-1"))
    stale = {
        namespace: stale_report(cluster, namespace)
        for namespace in (f"team-{number}" for number in range(NAMESPACES))
    }
    judged(cluster, own)
    left = reports(cluster)
    for namespace, name in stale.items():
        is_there = ("PolicyReport", namespace, name) in left
        assert is_there != own.has(namespace)
    for each in shards():
        judged(cluster, each)
    assert not [key for key in reports(cluster) if key[2] in stale.values()]


def stale_report(server: ApiServer, namespace: str) -> str:
    name = f"tidewaiter-{secrets.token_hex(8)}"
    server.admin.create(
        {
            "apiVersion": "wgpolicyk8s.io/v1alpha2",
            "kind": "PolicyReport",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "tidewaiter"},
                "annotations": {"tidewaiter.dev/kind": "Deployment.apps"},
            },
        }
    )
    return name


def test_a_report_on_a_namespace_belongs_to_the_shard_of_what_is_in_it(cluster: ApiServer) -> None:
    for each in shards():
        found, _ = judged(cluster, each)
        named = {one.resource.name for one in found.subjects if one.resource.kind_id == "Namespace"}
        assert all(map(each.has, named))
    before = reports(cluster)
    assert [key for key in before if key[0] == "ClusterPolicyReport"]


def command(
    server: ApiServer, *options: str, kubeconfig: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "tidewaiter.cli.main", "scan", "--no-cache"),
            *(f"--kubeconfig={kubeconfig or server.kubeconfig}", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=os.path.dirname(server.kubeconfig),
        env={**os.environ, **environment},
    )


def test_a_pod_of_an_indexed_job_judges_its_part(cluster: ApiServer) -> None:
    options = ("--shards=3", "--write-reports", "--fail-on=never")
    done = [command(cluster, *options, JOB_COMPLETION_INDEX=str(each)) for each in range(3)]
    assert [each.returncode for each in done] == [0, 0, 0]
    assert "Reports in the cluster" in done[0].stderr
    for part, shard in zip(done, shards(), strict=True):
        for number in range(NAMESPACES):
            assert (f"team-{number}/api" in part.stdout) == shard.has(f"team-{number}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shards=3"], "JOB_COMPLETION_INDEX"),
        (["--shard=3/3"], "INDEX/TOTAL"),
        (["--shard=0/3", "--shards=3"], "exclude each other"),
        (["--shard=0/3", "--namespace=default"], "exclude each other"),
        (["--shard=0/3", "--snapshot=file"], "exclude each other"),
    ],
)
def test_a_mistake_in_the_call_is_told(cluster: ApiServer, options: list[str], said: str) -> None:
    done = command(cluster, *options, JOB_COMPLETION_INDEX="")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
