"""What parts of a scan and replicas of the webhook cost on a real API server, theirs and its own.

    python -m bench.scale.cluster [--objects 20000] [--shards 1 2 4] [--replicas 1 2]

Times of the processor, since what else runs on a machine changes those of the clock most. `bench.scale.measure` has
more objects than an API server on two cores can be filled with in the time that a bench may take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench.scale.generate import fill
from tests.e2e.api_server import running_api_server
from tests.e2e.binaries import binaries
from tests.webhook.running import pod, running, until
from tidewaiter.rules.cluster.client import open_client

if TYPE_CHECKING:
    from tests.e2e.api_server import ApiServer
    from tests.webhook.running import Webhook

_REVIEWS = 2000
_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> float:
    """Return the MiB that a process has in memory, none of it shared with another counted twice."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


def pid_of_api_server(folder: Path) -> int:
    """Return the process whose files are in a folder."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"kube-apiserver") and f"--cert-dir={folder}".encode() in words:
            return int(each.name)
    raise SystemExit("the API server is not found")


def scan(server: ApiServer, options: list[str]) -> tuple[float, float, int]:
    """Scan; return the processor seconds, the most MiB and the objects judged."""
    output = server.kubeconfig.with_name("found.json")
    command = [sys.executable, "-m", "tidewaiter.cli.main", "scan", "--no-cache", "--format=json"]
    command += [f"--kubeconfig={server.kubeconfig}", f"--output={output}", "--fail-on=never"]
    process = subprocess.Popen([*command, *options], cwd=server.kubeconfig.parent)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the scan failed")
    judged = int(json.loads(output.read_bytes())["summary"]["resources"])
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, judged


def review_all(replicas: list[Webhook]) -> float:
    """Send reviews to replicas in turn; return the processor seconds that these took for a thousand."""
    before = [processor_seconds(each.process.pid) for each in replicas]
    for number in range(_REVIEWS):
        replicas[number % len(replicas)].review(pod())
    used = sum(
        processor_seconds(each.process.pid) - start
        for each, start in zip(replicas, before, strict=True)
    )
    return used / _REVIEWS * 1000


def main() -> None:
    """Fill a cluster and print a row for each number of parts and of replicas."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidewaiter-bench-")))
        server = stack.enter_context(running_api_server(binaries(), folder))

        async def make() -> int:
            async with open_client(str(server.kubeconfig)) as client:
                return await fill(client, arguments.objects)

        began = time.monotonic()
        made = asyncio.run(make())
        api_server = pid_of_api_server(folder)
        print(f"{made} objects made in {time.monotonic() - began:.0f} s", flush=True)
        print("parts  judged  CPU s of all  CPU s of the API server  most MiB", flush=True)
        for total in arguments.shards:
            before = processor_seconds(api_server)
            parts = [
                scan(server, [f"--shard={index}/{total}"] if total > 1 else [])
                for index in range(total)
            ]
            print(
                f"{total:5}  {sum(each[2] for each in parts):6}  {sum(each[0] for each in parts):12.1f}"
                f"  {processor_seconds(api_server) - before:23.1f}  {max(each[1] for each in parts):8.0f}",
                flush=True,
            )
        print("replicas  CPU s each to be ready  of the API server  MiB each  CPU ms a review")
        options = ("--inventory=cluster", f"--kubeconfig={server.kubeconfig}")
        for number in arguments.replicas:
            with ExitStack() as running_ones:
                before = processor_seconds(api_server)
                replicas = []
                for index in range(number):
                    own = folder / f"replica-{number}-{index}"
                    own.mkdir()
                    replicas.append(
                        running_ones.enter_context(
                            running(own, *options, "--background-audit=0s", "--audit-log=none")
                        )
                    )
                for each in replicas:
                    until(lambda each=each: each.request("GET", "/readyz").status == 200, 300)
                ready = [processor_seconds(each.process.pid) for each in replicas]
                asked = processor_seconds(api_server) - before
                cost = review_all(replicas)
                memory = max(resident(each.process.pid) for each in replicas)
                print(
                    f"{number:8}  {max(ready):22.1f}  {asked:17.1f}  {memory:8.0f}  {cost:15.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
