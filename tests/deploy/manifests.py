"""The objects that the chart and the kustomization give, by kind and name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.engines import PackagedEngine
from tidewaiter.rules.rendering.kustomization import find_program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
Objects = dict[tuple[str, str], dict[str, Any]]


def of_chart(
    *values: str, settings: tuple[str, ...] = (), namespace: str = "tidewaiter"
) -> Objects:
    options = ChartOptions(
        values=tuple(str(DEPLOY / "chart" / "ci" / each) for each in values),
        settings=settings,
        kubernetes_version="1.34.0",
        namespace=namespace,
        release="tidewaiter",
    )
    (rendering,) = render_chart(str(DEPLOY / "chart"), options, PackagedEngine())
    assert rendering.errors == ()
    return by_name(each for file in rendering.files for each in yaml.safe_load_all(file.data))


def of_overlay(name: str) -> Objects:
    done = subprocess.run(
        [*find_program(), str(DEPLOY / "kustomize" / "overlays" / name)],
        capture_output=True,
        check=True,
    )
    return by_name(yaml.safe_load_all(done.stdout))


def overlay_with(folder: Path, *components: str, overlay: str = "audit-only") -> Objects:
    """Return what an overlay gives with some components."""
    base = os.path.relpath(DEPLOY / "kustomize", folder)
    content = {
        "resources": [f"{base}/overlays/{overlay}"],
        "components": [f"{base}/components/{each}" for each in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return of_overlay(str(folder))


def by_name(objects: Any) -> Objects:
    found: Objects = {}
    for each in objects:
        if each:
            key = each["kind"], each["metadata"]["name"]
            assert key not in found
            found[key] = each
    return found
