"""How fast the webhook answers, and whether its memory stays flat, with TLS and an inventory of many objects.

    python -m bench.webhook [--rate 300] [--seconds 15] [--objects 10000] [--reviews 500000]
    python -m bench.webhook --url https://127.0.0.1:8443/validate --ca ca.crt   # another server, as it runs

The server runs on one core and the load generator on another, where there are two. At the stated rate requests are
sent by the clock, whether or not earlier ones are answered (an open loop), and the time of each counts from when it
was due. Saturation is measured with as many requests at once as there are connections.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import uvloop

from tests.e2e.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECTIONS = 32
ENVIRONMENT = 20
"""Variables of the container. The annotation of `kubectl apply`, with all of it once more, makes it 6 KB."""


def deployment(name: str, namespace: str = "shop") -> dict[str, Any]:
    """Return a Deployment of about 6 KB that the profile `recommended` has little to say about."""
    labels = {"app.kubernetes.io/name": name, "app": name}
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10}
    container = {
        "name": "api",
        "image": f"registry.example/{name}@sha256:{'a' * 64}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [
            {"name": f"SETTING_NUMBER_{number}", "value": f"value of the setting {number}"}
            for number in range(ENVIRONMENT)
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "1Gi"},
            "limits": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "1Gi"},
        },
        "livenessProbe": {**probe, "failureThreshold": 6},
        "readinessProbe": {**probe, "httpGet": {"path": "/ready", "port": "http"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": False,
                    "containers": [container],
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
                },
            },
        },
    }


def review(value: dict[str, Any], *, applied: bool = True) -> bytes:
    """Return the body in which the API server asks about an object, as `kubectl apply` sends it or as another does."""
    if applied:
        last = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(value)}
        value = {**value, "metadata": {**value["metadata"], "annotations": last}}
    group, _, version = value["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": value["kind"]}
    resource = f"{value['kind'].lower()}s"
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind,
        "resource": {"group": group, "version": version, "resource": resource},
        "requestKind": kind,
        "operation": "CREATE",
        "namespace": value["metadata"]["namespace"],
        "name": value["metadata"]["name"],
        "userInfo": {"username": "jane", "groups": ["developers", "system:authenticated"]},
        "object": value,
        "dryRun": False,
    }
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    ).encode()


def inventory(count: int, folder: Path) -> None:
    """Write manifests of so many objects: each application has a Deployment and what stands around it."""
    folder.mkdir()
    for start in range(0, count, 500):
        items = []
        for number in range(start, min(count, start + 500), 5):
            name, namespace = f"app-{number}", "shop" if number < 500 else f"team-{number % 200}"
            metadata = {"name": name, "namespace": namespace}
            selector = {"matchLabels": {"app": name}}
            items += [
                deployment(name, namespace),
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": metadata,
                    "spec": {
                        "selector": {"app": name},
                        "ports": [{"port": 80, "targetPort": "http"}],
                    },
                },
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": metadata,
                    "spec": {"maxUnavailable": 1, "selector": selector},
                },
                {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "NetworkPolicy",
                    "metadata": metadata,
                    "spec": {"podSelector": selector, "policyTypes": ["Ingress", "Egress"]},
                },
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            ]
        content = {"apiVersion": "v1", "kind": "List", "items": items}
        (folder / f"{start:06}.json").write_text(json.dumps(content))


class Connection(asyncio.Protocol):
    """Sends one request at a time and tells when its answer is whole."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answer = bytearray()
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._answer += data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head = bytes(self._answer[:end]).lower()
        _, found, rest = head.partition(b"content-length: ")
        if found:
            whole = len(self._answer) >= end + 4 + int(rest.partition(b"\r\n")[0])
        else:
            whole = self._answer.endswith(b"0\r\n\r\n")
        if whole:
            status = int(head[9:12])
            self._answer.clear()
            waiting, self._waiting = self._waiting, None
            waiting.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._waiting is not None:
            self._waiting.set_result(0)

    async def ask(self, request: bytes) -> int:
        """Return the status of the answer, 0 where there is none."""
        assert self.transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiting


class Times(NamedTuple):
    """The seconds of each request, sorted, the requests a second, and how many were not answered with 200."""

    seconds: list[float]
    rate: float
    failed: int

    def at(self, part: float) -> float:
        """Return a percentile in milliseconds."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * part))] * 1000

    def __str__(self) -> str:
        return (
            f"{self.rate:.0f}/s, median {self.at(0.5):.2f} ms, p90 {self.at(0.9):.2f} ms, "
            f"p99 {self.at(0.99):.2f} ms, slowest {self.at(1):.2f} ms, {self.failed} failed"
        )


async def by_the_clock(
    connections: Sequence[Connection], request: bytes, rate: float, seconds: float
) -> Times:
    """Send requests at a rate, whatever the answers do."""
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for each in connections:
        free.put_nowait(each)
    times: list[float] = []
    failed = 0

    async def send(due: float) -> None:
        nonlocal failed
        connection = await free.get()
        failed += await connection.ask(request) != 200
        times.append(time.perf_counter() - due)
        free.put_nowait(connection)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            tasks.create_task(send(due))
    return Times(sorted(times), len(times) / (time.perf_counter() - start), failed)


async def at_once(connections: Sequence[Connection], request: bytes, count: int) -> Times:
    """Send so many requests, the next on each connection when the last is answered."""
    times: list[float] = []
    left, failed = count, 0

    async def send(connection: Connection) -> None:
        nonlocal left, failed
        while left > 0:
            left -= 1
            began = time.perf_counter()
            failed += await connection.ask(request) != 200
            times.append(time.perf_counter() - began)

    start = time.perf_counter()
    await asyncio.gather(*map(send, connections))
    return Times(sorted(times), len(times) / (time.perf_counter() - start), failed)


def large_pods() -> dict[str, dict[str, Any]]:
    """Return pods about as large as an API server takes, by what they have much of."""

    def pod(*containers: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": "large", "namespace": "shop"}
        spec = {"containers": list(containers)}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    container = {"name": "api", "image": "registry.example/api:1.0"}
    variables = [{"name": f"A{number}", "value": "a setting's value"} for number in range(200)]
    ports = [{"containerPort": number, "name": f"p{number}"} for number in range(1, 50_001)]
    arguments = [f"--flag{number}=value" for number in range(130_000)]
    return {
        "many variables": pod(
            *({**container, "name": f"c{number}", "env": variables} for number in range(270))
        ),
        "many containers": pod(*({**container, "name": f"c{number}"} for number in range(34_000))),
        "many ports": pod({**container, "ports": ports}),
        "many arguments": pod({**container, "args": arguments}),
    }


async def beside_large(
    connections: Sequence[Connection], small: bytes, head: str, what: str, large: dict[str, Any]
) -> None:
    """Print how long a large review takes, and small ones that are sent meanwhile, one after the other."""
    body = review(large, applied=False)
    began = time.perf_counter()
    answer = asyncio.create_task(connections[0].ask(head.format(len(body)).encode() + body))
    times: list[float] = []
    while not answer.done():
        times += (await at_once(connections[1:2], small, 1)).seconds
    whole = time.perf_counter() - began
    beside = Times(sorted(times), len(times) / whole, int(answer.result() != 200))
    print(f"{what}, {len(body) / 1e6:.1f} MB: {whole:.2f} s; beside it {beside}", flush=True)


async def measure(
    url: str, authority: str, body: bytes, options: argparse.Namespace, pid: int
) -> None:
    """Print all figures of one server."""
    where = urlsplit(url)
    context = ssl.create_default_context(cafile=authority) if where.scheme == "https" else None
    loop = asyncio.get_running_loop()
    connections = [
        (
            await loop.create_connection(
                Connection, where.hostname or "", where.port or 443, ssl=context
            )
        )[1]
        for _ in range(CONNECTIONS)
    ]
    head = (
        f"POST {where.path} HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-type: application/json\r\n"
        "content-length: {}\r\n\r\n"
    )
    request = head.format(len(body)).encode() + body
    await at_once(connections, request, 500)
    print(f"body: {len(body)} bytes")
    found = await by_the_clock(connections, request, options.rate, options.seconds)
    print(f"{options.rate} a second: {found}", flush=True)
    found = await at_once(connections, request, int(1500 * options.seconds))
    print(f"saturation: {found}", flush=True)
    for what, large in large_pods().items():
        await beside_large(connections, request, head, what, large)
    if not pid:
        return
    print(f"memory: {_memory(pid):.1f} MB", flush=True)
    for part in range(5 if options.reviews else 0):
        await at_once(connections, request, options.reviews // 5)
        print(
            f"memory after {(part + 1) * options.reviews // 5} more: {_memory(pid):.1f} MB",
            flush=True,
        )


@contextmanager
def running(folder: Path, objects: int) -> Iterator[tuple[str, int]]:
    """Run our own server on one core; yield its URL and process id."""
    inventory(objects, folder / "inventory")
    pair = Authority(folder).issue("server")
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "tidewaiter.webhook", "--bind", "127.0.0.1:0"]
    command += ["--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)]
    command += ["--inventory", str(folder / "inventory"), "--audit-log", str(folder / "audit.log")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        os.sched_setaffinity(process.pid, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        while "listening on " not in (text := (folder / "log").read_text()):
            if process.poll() is not None:
                raise SystemExit(text)
            time.sleep(0.05)
        port = text.partition("listening on ")[2].split("\n")[0].rpartition(":")[2]
        yield f"https://127.0.0.1:{port}/validate", process.pid
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure our own server, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=300, help="requests a second")
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--objects", type=int, default=10_000, help="in the inventory")
    parser.add_argument("--reviews", type=int, default=500_000, help="for the memory; 0: none")
    parser.add_argument("--url", help="another server's endpoint, which is running")
    parser.add_argument("--ca", default="", help="its authority")
    parser.add_argument("--body", type=Path, help="another body to send")
    options = parser.parse_args()
    body = options.body.read_bytes() if options.body else review(deployment("app-0"))
    if options.url:
        uvloop.run(measure(options.url, options.ca, body, options, 0))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(folder, options.objects) as (url, pid):
            uvloop.run(measure(url, str(folder / "ca.crt"), body, options, pid))


def _memory(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


if __name__ == "__main__":
    main()
