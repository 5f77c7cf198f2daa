"""How much memory a live inventory takes, and how much of a core's time a review.

    python bench/inventory.py [objects]

Makes objects as an API server gives them (with status and managed fields), reads them as the follower does, page
by page, asks every question of the rules, and prints what the process then holds.
"""

from __future__ import annotations

import gc
import itertools
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

from tidewaiter.rules import engine
from tidewaiter.rules.kept_fields import kept
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.policy.compiled import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    Object = dict[str, Any]

PAGE = 200
NAMESPACES = 200
MIX = {
    "Deployment": 14,
    "ReplicaSet": 20,
    "Service": 14,
    "ConfigMap": 16,
    "Secret": 14,
    "ServiceAccount": 8,
    "PodDisruptionBudget": 4,
    "NetworkPolicy": 3,
    "HorizontalPodAutoscaler": 4,
    "Ingress": 3,
}
"""Percent of the objects. The Pods of a cluster are their owners' and are not kept."""
VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Ingress": "networking.k8s.io/v1",
}


def main(count: int) -> None:
    start_size = size()
    policy = Policy({"profiles": ["all"]})
    live = LiveInventory(complete=True)
    began, received = time.process_time(), 0
    for page in pages(count):
        received += len(page)
        for obj in orjson.loads(page):
            content = kept(obj)
            if content is not None:
                live.put(Resource(content))
    read = time.process_time() - began
    gc.collect()
    gc.freeze()  # as the follower does
    loaded = size()
    print(f"{live.count} objects, {received / 1e6:.0f} MB of JSON received")
    print(f"read in {read:.1f} s; {loaded:.0f} MB resident ({start_size:.0f} MB before)")
    times: list[float] = []
    for number in range(2000):
        obj = deployment(number * 7 % (count * MIX["Deployment"] // 100))
        under_review = Resource(obj)
        began = time.process_time()
        live.lay_over(under_review.kind_id, under_review.namespace, under_review.name, under_review)
        engine.judge([under_review], policy, live, today="2026-01-01", inline=False)
        live.uncover()
        times.append(time.process_time() - began)
    times.sort()
    print(
        f"review with every rule of the catalogue: median {times[1000] * 1e3:.2f} ms, "
        f"p99 {times[1980] * 1e3:.2f} ms, longest {times[-1] * 1e3:.1f} ms"
    )
    print(f"{size():.0f} MB resident afterwards, {peak():.0f} MB at most")


def pages(count: int) -> Iterator[bytes]:
    for kind, percent in MIX.items():
        numbers = iter(range(count * percent // 100))
        while part := list(itertools.islice(numbers, PAGE)):
            yield orjson.dumps([made(kind, number) for number in part])


def made(kind: str, number: int) -> Object:
    if kind == "Deployment":
        return deployment(number)
    name = f"{service(number)}-{kind.lower()[:3]}"
    spec: Object = {}
    rest: Object = {}
    if kind == "ReplicaSet":
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": service(number)}
        spec = deployment(number)["spec"]
        rest = {"owners": [{**owner, "uid": uid(number), "controller": True}]}
    elif kind == "Service":
        name = service(number)
        ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
        spec = {"selector": {"app.kubernetes.io/name": service(number)}, "ports": ports}
    elif kind == "ConfigMap":
        data = {f"setting-{key}": f"value {number} {key}" * 6 for key in range(8)}
        rest = {"data": {**data, "application.yaml": f"a: {number}\n" * 300}}
    elif kind == "Secret":
        rest = {"data": {"username": "YXBw", "password": "cGFzc3dvcmQ=" * 20}, "type": "Opaque"}
    elif kind in {"PodDisruptionBudget", "NetworkPolicy"}:
        field = "selector" if kind == "PodDisruptionBudget" else "podSelector"
        spec = {field: {"matchLabels": {"app.kubernetes.io/name": service(number)}}}
    elif kind == "HorizontalPodAutoscaler":
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": service(number)}
        spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10}
    elif kind == "Ingress":
        backend = {"service": {"name": service(number), "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        rule = {"host": f"{service(number)}.example.com", "http": {"paths": [path]}}
        spec = {"ingressClassName": "nginx", "rules": [rule]}
    obj: Object = {"apiVersion": VERSIONS.get(kind, "v1"), "kind": kind}
    obj["metadata"] = metadata(name, number)
    if "owners" in rest:
        obj["metadata"]["ownerReferences"] = rest.pop("owners")
    return {**obj, **rest, **({"spec": spec} if spec else {})}


def service(number: int) -> str:
    return f"payments-service-{number:05}"


def uid(number: int) -> str:
    return f"6f1c2a34-5b6d-4e7f-8a9b-{number:012}"


def labels(number: int) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": service(number),
        "app.kubernetes.io/instance": f"{service(number)}-prod",
        "app.kubernetes.io/version": f"1.{number % 40}.{number % 7}",
        "app.kubernetes.io/part-of": f"team-{number % 60}",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": f"service-4.{number % 9}.0",
    }


def metadata(name: str, number: int) -> Object:
    return {
        "name": name,
        "namespace": f"team-{number % NAMESPACES}",
        "uid": uid(number),
        "resourceVersion": str(1_000_000 + number),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": labels(number),
        "annotations": {
            "meta.helm.sh/release-name": service(number),
            "kubectl.kubernetes.io/last-applied-configuration": "x" * 2500,
        },
        "managedFields": [
            {
                "manager": "helm",
                "operation": "Update",
                "fieldsV1": {f"f:{n}": {} for n in range(40)},
            }
        ],
    }


def deployment(number: int) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(service(number), number),
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app.kubernetes.io/name": service(number)}},
            "template": {
                "metadata": {
                    "labels": labels(number),
                    "annotations": {"checksum/config": f"{number:064x}"},
                },
                "spec": {
                    "serviceAccountName": service(number),
                    "containers": [container("api", number), container("proxy", number)],
                    "initContainers": [container("migrate", number)],
                    "volumes": [
                        {"name": "config", "configMap": {"name": f"{service(number)}-con"}}
                    ],
                },
            },
        },
        "status": {"conditions": [{"type": "Available", "message": "x" * 200}] * 2},
    }


def container(name: str, number: int) -> Object:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10}
    return {
        "name": name,
        "image": f"registry.example.com/{service(number)}/{name}:1.{number % 40}@sha256:{number:064x}",
        "args": ["--listen=:8080", f"--name={service(number)}"],
        "env": [{"name": f"SETTING_{key}", "value": f"value {number}"} for key in range(20)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "256Mi"},
        },
        "livenessProbe": probe,
        "readinessProbe": probe,
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
    }


def size() -> float:
    """Return the resident memory in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def peak() -> float:
    """Return the most that was resident, in MB.

    Linux counts the memory of the process that started this one into the figure of getrusage.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return (
                next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e6
            )
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
