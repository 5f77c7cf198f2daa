"""The OpenAPI description is true: schemathesis asks the running server about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.webhook.running import running

if TYPE_CHECKING:
    from tests.webhook.running import Webhook

PATHS = {"/validate", "/image-policy", "/livez", "/readyz", "/metrics"}


def test_every_endpoint_is_described(webhook: Webhook) -> None:
    description = webhook.request("GET", "/openapi.json").json
    assert set(description["paths"]) == PATHS


@pytest.mark.slow
def test_the_description_is_true(tmp_path: Path) -> None:
    with running(tmp_path, "--audit-log", "none", "--plain-http", tls=False) as server:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{server.port}/openapi.json",
            "--max-examples=40",
            "--seed=1",
            "--checks=all",
            "--no-color",
            "--suppress-health-check=all",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        assert "defect" not in server.log
