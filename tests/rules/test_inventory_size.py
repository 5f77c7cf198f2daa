"""Fifty thousand objects of a cluster fit into 400 MB, and a review does not get slower by them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "inventory.py"


@pytest.mark.slow
def test_fifty_thousand_objects_fit_into_400_mb() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH)], check=True, capture_output=True, text=True, timeout=300
    )
    assert "50000 objects" in done.stdout
    most = re.search(r"([0-9]+) MB at most", done.stdout)
    median = re.search(r"median ([0-9.]+) ms", done.stdout)
    assert most is not None
    assert median is not None
    assert int(most[1]) < 400
    assert float(median[1]) < 10
