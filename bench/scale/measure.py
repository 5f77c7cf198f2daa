"""Time and memory of a scan by number of objects and of shards, in memory: what the scan itself costs.

    python -m bench.scale.measure [--objects 25000 50000 100000 200000] [--shards 1 4 8]

No API server holds 200,000 objects beside a scan on two cores in the time that a bench may take, so the lists come
from a program beside the scan that has made them before: the scan reads JSON from a socket as it does elsewhere, and
each scan is a process of its own, whose processor time and memory are its own. `bench/scan.py` says what the real API
server adds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import orjson

from bench.scale.generate import PLURALS, objects, path_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Lists:
    """The lists of a cluster, in all namespaces and in each."""

    def __init__(self, count: int) -> None:
        self._by_path: dict[str, list[bytes]] = {}
        for each in objects(count):
            row = orjson.dumps(each)
            own = path_of(each)
            self._by_path.setdefault(own, []).append(row)
            if namespace := each["metadata"].get("namespace"):
                whole = own.replace(f"/namespaces/{namespace}", "")
                self._by_path.setdefault(whole, []).append(row)

    def page(self, path: str, limit: int, start: int) -> bytes:
        """Return a part of a list as the API server answers."""
        rows = self._by_path.get(path, [])
        part, left = rows[start : start + limit], max(0, len(rows) - start - limit)
        kind = next(k for (_, k), plural in PLURALS.items() if path.endswith(f"/{plural}"))
        metadata: dict[str, Any] = {"resourceVersion": "1"}
        if left:
            metadata |= {"continue": str(start + limit), "remainingItemCount": left}
        head = orjson.dumps({"kind": f"{kind}List", "metadata": metadata})
        return head[:-1] + b',"items":[' + b",".join(part) + b"]}"


def discovery(*, core: bool) -> bytes:
    """Return what the cluster serves."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (stated, kind), plural in PLURALS.items():
        group, _, version = stated.rpartition("/")
        row = {
            "resource": plural,
            "responseKind": {"kind": kind},
            "scope": "Cluster" if kind == "Namespace" else "Namespaced",
            "verbs": ["list", "get"],
        }
        groups.setdefault((group, version), []).append(row)
    items = [
        {"metadata": {"name": group}, "versions": [{"version": version, "resources": rows}]}
        for (group, version), rows in groups.items()
        if core == (not group)
    ]
    return orjson.dumps({"kind": "APIGroupDiscoveryList", "items": items})


def serve(count: int, ready: Connection) -> None:
    """Serve lists until ended, and tell the port."""
    lists = Lists(count)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path in {"/api", "/apis"}:
                self._answer(discovery(core=url.path == "/api"), _DISCOVERY)
            elif url.path == "/version":
                self._answer(b'{"major":"1","minor":"34"}')
            else:
                limit = int(query.get("limit", "500"))
                self._answer(lists.page(url.path, limit, int(query.get("continue", "0"))))

        def _answer(self, body: bytes, kind: str = "application/json") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_port)
    server.serve_forever()


def scan(port: int, folder: Path, *options: str) -> tuple[float, float, float, int]:
    """Scan; return the seconds it took, its processor seconds, its most MiB, and the objects judged."""
    kubeconfig, output = folder / "kubeconfig", folder / "found.json"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "bench",
                "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
                "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "bench", "user": {}}],
            }
        )
    )
    command = [sys.executable, "-m", "tidewaiter.cli.main", "scan", f"--kubeconfig={kubeconfig}"]
    command += ["--format=json", f"--output={output}", "--fail-on=never", *options]
    start = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the scan failed")
    # Not parsed: what this process holds would count as the next one's, until that has begun.
    with output.open(encoding="utf-8") as file:
        judged = int(file.read(4096).partition('"resources":')[2].partition(",")[0])
    took = time.monotonic() - start
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, judged


def main() -> None:
    """Print a row for each number of objects and of shards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--objects", type=int, nargs="+", default=[25_000, 50_000, 100_000, 200_000]
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--of-each", type=int, default=2, help="scan so many of the shards")
    arguments = parser.parse_args()
    print("objects  shards  shard  judged      s  CPU s    MiB", flush=True)
    for count in arguments.objects:
        here, there = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(count, there), daemon=True)
        server.start()
        port = here.recv()
        try:
            with tempfile.TemporaryDirectory(prefix="tidewaiter-bench-") as folder:
                for total in arguments.shards:
                    for index in range(min(total, arguments.of_each)):
                        options = [f"--shard={index}/{total}"] if total > 1 else []
                        took, cpu, memory, judged = scan(port, Path(folder), *options)
                        print(
                            f"{count:7}  {total:6}  {index:5}  {judged:6}  {took:5.1f}  {cpu:5.1f}  {memory:5.0f}",
                            flush=True,
                        )
        finally:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
