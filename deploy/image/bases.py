"""Pin the Dockerfile's bases to the digests that their tags have now: bases.py [--update | --check] [option of pin].

`tidewaiter pin` asks the registries. It reads manifests, so the bases are handed to it as the images of a Pod.
Exit codes are those of `tidewaiter pin`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DOCKERFILE = Path(__file__).with_name("Dockerfile")


def bases(dockerfile: str) -> list[str]:
    """Return the image of each stage that does not build on another one, in order."""
    stages: set[str] = set()
    found = []
    for line in dockerfile.splitlines():
        words = [word for word in line.split() if not word.startswith("--")]
        if not words or words[0].upper() != "FROM":
            continue
        if words[1] not in stages:
            found.append(words[1])
        if len(words) > 3:
            stages.add(words[3])
    return found


def main(options: list[str]) -> int:
    """Pin, and write the Dockerfile where that changed something."""
    dockerfile = Path(os.environ.get("DOCKERFILE", DOCKERFILE))
    text = dockerfile.read_text(encoding="utf-8")
    before = bases(text)
    containers = "".join(
        f"    - {{name: base-{number}, image: '{image}'}}\n" for number, image in enumerate(before)
    )
    pod = (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: bases}}\nspec:\n  containers:\n{containers}"
    )
    tidewaiter = Path(sys.executable).with_name("tidewaiter")
    done = subprocess.run(
        [tidewaiter, "pin", *options, "-"],
        input=pod,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    after = [line.split("'")[1] for line in done.stdout.splitlines() if "- {name: base-" in line]
    for old, new in zip(before, after, strict=False):
        if old != new:
            print(f"{old}\n  -> {new}")
            text = text.replace(old, new)
    if before != after and after:
        dockerfile.write_text(text, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
