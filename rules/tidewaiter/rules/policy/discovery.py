"""Which policy file holds: the nearest `tidewaiter.yaml`, as other linters find their settings."""

from __future__ import annotations

import os

POLICY_FILE = "tidewaiter.yaml"


def find_policy(folder: str) -> str | None:
    """Return the path of the policy file in a folder or the nearest folder above it, or None.

    The path is relative to the working directory where it lies at or below it.
    """
    here = os.path.abspath(folder)
    while True:
        path = os.path.join(here, POLICY_FILE)
        if os.path.isfile(path):
            relative = os.path.relpath(path)
            return path if relative.startswith("..") else relative
        parent = os.path.dirname(here)
        if parent == here:
            return None
        here = parent
