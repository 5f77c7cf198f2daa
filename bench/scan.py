"""How long `tidewaiter scan` takes on a cluster: a real API server, filled with objects of many kinds.

    python -m bench.scan [--objects 20000] [--write-reports]

The API server and etcd run on this machine beside the scan and take most of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.api_server import running_api_server
from tests.e2e.binaries import binaries
from tests.e2e.report_definitions import REPORT_DEFINITIONS
from tidewaiter.rules.cluster.client import Client, open_client

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

WRITERS = 16
SIDECAR = {"name": "proxy", "image": "registry.example/mesh/proxy:1.20"}


def objects(count: int) -> Iterator[tuple[str, Object]]:
    """Yield (path, object): each application is a Deployment with what stands around it, ten objects in all."""
    applications = count // 10
    namespaces = max(1, applications // 40)
    for number in range(namespaces):
        labels = {"pod-security.kubernetes.io/enforce": "baseline"}
        yield "/api/v1/namespaces", _object("v1", "Namespace", f"team-{number}", labels=labels)
    for number in range(applications):
        yield from _application(f"app-{number}", f"team-{number % namespaces}", number)


def _application(name: str, namespace: str, number: int) -> Iterator[tuple[str, Object]]:
    labels = {"app": name, "team": namespace}
    spec = {
        "serviceAccountName": name,
        "containers": [
            {
                "name": "api",
                "image": f"registry.example/{name}:1.{number}",
                "ports": [{"containerPort": 8080, "name": "http"}],
                "env": [{"name": f"SETTING_{each}", "value": "on"} for each in range(20)],
                "envFrom": [{"configMapRef": {"name": name}}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                "volumeMounts": [{"name": "tls", "mountPath": "/tls", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "tls", "secret": {"secretName": name}}],
    }
    template = {"metadata": {"labels": labels}, "spec": spec}
    selector = {"matchLabels": {"app": name}}
    workload = {"replicas": 3, "selector": selector, "template": template}
    deployment = _object("apps/v1", "Deployment", name, namespace, labels, spec=workload)
    owner = {"kind": "Deployment", "apiVersion": "apps/v1", "name": name}
    replicas = _object("apps/v1", "ReplicaSet", f"{name}-1", namespace, labels, spec=workload)
    replicas["metadata"]["ownerReferences"] = [owner]
    apps, core = f"/apis/apps/v1/namespaces/{namespace}", f"/api/v1/namespaces/{namespace}"
    yield f"{apps}/deployments", deployment
    yield f"{apps}/replicasets", replicas
    for each in range(3):
        pod_spec = {**spec, "containers": [*spec["containers"], SIDECAR]}
        pod = _object("v1", "Pod", f"{name}-1-{each}", namespace, labels, spec=pod_spec)
        pod["metadata"]["ownerReferences"] = [
            {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": f"{name}-1"}
        ]
        yield f"{core}/pods", pod
    ports = [{"port": 80, "targetPort": "http"}]
    # Headless: the API server of the tests has few addresses to give.
    front = {"selector": {"app": name}, "ports": ports, "clusterIP": "None"}
    service = _object("v1", "Service", name, namespace, spec=front)
    yield f"{core}/services", service
    yield f"{core}/configmaps", _object("v1", "ConfigMap", name, namespace, data={"a": "b" * 2000})
    yield f"{core}/secrets", _object("v1", "Secret", name, namespace, data={"tls.key": "c2VjcmV0"})
    yield f"{core}/serviceaccounts", _object("v1", "ServiceAccount", name, namespace)
    budget = {"minAvailable": 2, "selector": selector}
    yield (
        f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
        _object("policy/v1", "PodDisruptionBudget", name, namespace, spec=budget),
    )


def _object(
    version: str,
    kind: str,
    name: str,
    namespace: str = "",
    labels: dict[str, str] | None = None,
    **fields: object,
) -> Object:
    metadata: Object = {"name": name, "labels": labels or {}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


async def fill(kubeconfig: str, count: int) -> int:
    """Create the objects and return how many there are."""
    uids: dict[tuple[str, str, str], str] = {}
    waiting = objects(count)
    created = 0

    async def write(client: Client) -> None:
        nonlocal created
        for path, obj in waiting:
            for owner in obj["metadata"].get("ownerReferences", ()):
                key = obj["metadata"]["namespace"], owner["kind"], owner["name"]
                while key not in uids:  # noqa: ASYNC110 - another writer creates it just now
                    await asyncio.sleep(0.01)
                owner.update(uid=uids[key], controller=True)
            made = await client.request("POST", path, obj)
            metadata = made["metadata"]
            uids[metadata.get("namespace", ""), made["kind"], metadata["name"]] = metadata["uid"]
            created += 1

    async with open_client(kubeconfig) as client:
        for each in REPORT_DEFINITIONS:
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await client.request("POST", path, each)
        for path, obj in objects(count):
            if obj["kind"] == "Namespace":
                await client.request("POST", path, obj)
                next(waiting)
                created += 1
        await asyncio.gather(*(write(client) for _ in range(WRITERS)))
    return created


def cpu_of_servers(folder: str) -> float:
    """Return the processor seconds of the API server and etcd, whose flags name the folder (Linux)."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and folder in (entry / "cmdline").read_text(errors="replace"):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        except OSError:
            continue  # it has ended
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Fill a cluster, scan it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=2, help="scans, one after the other")
    parser.add_argument("--write-reports", action="store_true")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tidewaiter-bench-") as folder,
        running_api_server(binaries(), Path(folder)) as server,
    ):
        start = time.monotonic()
        created = asyncio.run(fill(str(server.kubeconfig), arguments.objects))
        print(f"{created} objects created in {time.monotonic() - start:.1f} s", flush=True)
        command = [sys.executable, "-m", "tidewaiter.cli.main", "scan"]
        command += ["--kubeconfig", str(server.kubeconfig), "--format", "json"]
        command += ["--output", os.devnull]
        command += ["--write-reports"] if arguments.write_reports else []
        for number in range(arguments.runs):
            start, before = time.monotonic(), cpu_of_servers(folder)
            process = subprocess.Popen(command)
            _, status, usage = os.wait4(process.pid, 0)
            took, memory = time.monotonic() - start, usage.ru_maxrss / 1024
            cpu = usage.ru_utime + usage.ru_stime
            print(
                f"scan {number + 1}: {took:.1f} s, {cpu:.1f} s of its own CPU and "
                f"{cpu_of_servers(folder) - before:.1f} s of the servers', {memory:.0f} MiB, exit"
                f" code {os.waitstatus_to_exitcode(status)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
