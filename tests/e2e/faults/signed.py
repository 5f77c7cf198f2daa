"""Signed images in a registry, the policy that asks for their signatures, and where replicas keep verdicts on them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.signed_images import Registry, Signer
from tests.webhook.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = Signer()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An image registry with nothing in it."""
    folder = tmp_path / "registry"
    folder.mkdir()
    made = Registry(folder)
    yield made
    made.stop()


class Valkey:
    """Valkey, or Redis, on a port of its own; it forgets everything when it ends."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            pytest.skip("neither valkey-server nor redis-server is installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"valkey://127.0.0.1:{self._port}/0"
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self._command = [program, *options, "--dir", str(folder)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self._listens, 15)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def keys(self) -> int:
        with socket.create_connection(("127.0.0.1", self._port), 2) as connection:
            connection.sendall(b"DBSIZE\r\n")
            return int(connection.recv(100).strip().lstrip(b":"))

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 0.2).close()
        except OSError:
            return False
        return True


def policy_for(folder: Path, *hosts: str) -> Path:
    (folder / "release.pub").write_text(KEY.public)
    entry = {
        "name": "shop",
        "match": [f"{hosts[0]}/shop/**"],
        "authorities": {"key": {"file": "release.pub"}, "transparencyLog": "ignored"},
    }
    spec = {
        "profile": "pss-baseline",
        "rules": {"no-latest-tag": {"enabled": False}, "image-signature": {"enabled": True}},
        "images": [entry],
        "imageSettings": {"plainHTTP": list(hosts)},
    }
    policy = {"apiVersion": "tidewaiter.dev/v1", "kind": "Policy", "spec": spec}
    path = folder / "policy.yaml"
    path.write_text(json.dumps({**policy, "metadata": {"name": "shop"}}))
    return path


def pod_of(image: str) -> dict[str, Any]:
    containers = [{"name": "app", "image": image}]
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}}
