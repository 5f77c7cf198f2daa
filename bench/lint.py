"""Compare `tidewaiter lint` with its peers, and with itself at other sizes, in one run.

    python bench/lint.py --corpus DIR [--peer NAME=COMMAND ...]

`--corpus` is a folder of real manifests; it is copied as often as a size needs. A peer's command has `{}`
where the folder or file goes, for example `--peer "kube-linter=/usr/bin/kube-linter lint {}"`. Every
figure is the best of several runs, taken in turns, of the whole process: start-up, reading, judging and
printing. The table gives seconds, peak memory of the largest process and the ratio to tidewaiter.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TIDEWAITER = [str(Path(sys.executable).parent / "tidewaiter"), "lint"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--files", type=int, nargs="*", default=[1, 421, 4210])
    parser.add_argument("--workloads", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    peers = [peer.partition("=")[::2] for peer in options.peer]
    with tempfile.TemporaryDirectory() as work:
        os.environ["XDG_CACHE_HOME"] = f"{work}/cache"
        for count in options.files:
            folder = copies(options.corpus, Path(work, f"files-{count}"), count)
            commands = tidewaiter_commands(folder)
            commands += [
                (name, command.replace("{}", str(folder)).split()) for name, command in peers
            ]
            compare(f"{count} file(s)", commands, options.runs)
        for count in options.workloads:
            folder = Path(work, f"workloads-{count}")
            one_namespace(folder, count)
            compare(
                f"{count} workloads, PDBs, policies", tidewaiter_commands(folder)[:1], options.runs
            )


def tidewaiter_commands(folder: Path) -> list[tuple[str, list[str]]]:
    lint = [*TIDEWAITER, str(folder), "--format", "json"]
    return [("tidewaiter, no cache", [*lint, "--no-cache"]), ("tidewaiter, warm cache", lint)]


def compare(title: str, commands: list[tuple[str, list[str]]], runs: int) -> None:
    best = [float("inf")] * len(commands)
    memory = [0] * len(commands)
    for _ in range(runs):
        for index, (_, command) in enumerate(commands):
            seconds, peak = measure(command)
            best[index] = min(best[index], seconds)
            memory[index] = max(memory[index], peak)
    print(f"\n{title}")
    for (name, _), seconds, peak in zip(commands, best, memory, strict=True):
        print(f"  {name:26} {seconds:8.3f} s  {peak / 1024:7.0f} MB  x{seconds / best[0]:.2f}")


def measure(command: list[str]) -> tuple[float, int]:
    """Run a command and return its seconds and the peak memory of its largest process in KB."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = 0
    return seconds, int(usage.ru_maxrss)


def copies(corpus: Path, folder: Path, count: int) -> Path:
    """Fill a folder with `count` files taken from the corpus, its small ones first come."""
    found = sorted(path for path in corpus.rglob("*.y*ml") if path.stat().st_size < 100_000)
    if not found:
        sys.exit(f"{corpus} holds no manifests")
    for number in range(count):
        source = found[number % len(found)]
        target = folder / f"copy-{number // len(found)}" / source.relative_to(corpus)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return folder


def one_namespace(folder: Path, count: int) -> None:
    """Write a Deployment, its PDB and its NetworkPolicy, `count` times, into one namespace."""
    folder.mkdir(parents=True)
    for number in range(count):
        name = f"app-{number}"
        Path(folder, f"{name}.yaml").write_text(MANIFEST.replace("NAME", name), encoding="utf-8")


MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: one}
spec:
  replicas: 3
  selector: {matchLabels: {app: NAME, part-of: shop}}
  template:
    metadata: {labels: {app: NAME, part-of: shop}}
    spec:
      containers: [{name: app, image: "shop:1"}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: NAME, namespace: one}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: NAME, part-of: shop}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: NAME, namespace: one}
spec:
  podSelector: {matchLabels: {app: NAME, part-of: shop}}
  policyTypes: [Ingress, Egress]
"""

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
