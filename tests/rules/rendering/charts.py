"""A chart as people write them, made by Helm's own starter and then changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import helm_python

if TYPE_CHECKING:
    from pathlib import Path


def starter(folder: Path, name: str = "shop") -> Path:
    """Make the chart of `helm create`."""
    with helm_python.Chart.create(name, str(folder)):
        pass
    return folder / name


def small(folder: Path, template: str, values: str = "", name: str = "small") -> Path:
    """Make a chart of one template."""
    chart = folder / name
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(values)
    (chart / "templates" / "all.yaml").write_text(template)
    return chart
