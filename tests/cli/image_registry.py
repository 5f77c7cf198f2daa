"""A real registry (Debian's docker-registry) on a free port, and images of a few bytes in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

PROGRAM = shutil.which("docker-registry")
USER, PASSWORD = "reader", "open sesame"
# bcrypt of PASSWORD, the only form that the registry takes.
HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


class Registry:
    """A running registry that asks for a name and password."""

    def __init__(self, port: int) -> None:
        """Speak to the registry on a port of this machine."""
        self.host = f"127.0.0.1:{port}"
        self._client = httpx.Client(base_url=f"http://{self.host}", auth=(USER, PASSWORD))

    def push(self, repository: str, tag: str, content: str) -> str:
        """Push an image of one platform that depends on `content`; return its digest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "author": content}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(repository, config),
            "layers": [],
        }
        return self._put(repository, tag, manifest, _MANIFEST)

    def push_index(self, repository: str, tag: str, content: str) -> str:
        """Push an image of two platforms; return the digest of its index."""
        entries = []
        for platform in ("amd64", "arm64"):
            digest = self.push(repository, f"{tag}-{platform}", f"{content} {platform}")
            size = len(
                self._client.get(
                    f"/v2/{repository}/manifests/{digest}", headers={"Accept": _MANIFEST}
                ).content
            )
            entries.append(
                {
                    "mediaType": _MANIFEST,
                    "digest": digest,
                    "size": size,
                    "platform": {"os": "linux", "architecture": platform},
                }
            )
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}
        return self._put(repository, tag, index, _INDEX)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _blob(self, repository: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        upload = self._client.post(f"/v2/{repository}/blobs/uploads/")
        place = upload.headers["Location"]
        answer = self._client.put(f"{place}&digest={digest}", content=content)
        answer.raise_for_status()
        return {"mediaType": _CONFIG, "digest": digest, "size": len(content)}

    def _put(self, repository: str, tag: str, manifest: object, kind: str) -> str:
        answer = self._client.put(
            f"/v2/{repository}/manifests/{tag}",
            content=json.dumps(manifest).encode(),
            headers={"Content-Type": kind},
        )
        answer.raise_for_status()
        digest: str = answer.headers["Docker-Content-Digest"]
        return digest


@contextmanager
def running_registry(folder: Path) -> Iterator[Registry]:
    """Run a registry with its files in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "registry.yml").write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
        f"auth: {{htpasswd: {{realm: images, path: {folder}/htpasswd}}}}\n"
    )
    process = subprocess.Popen(
        [str(PROGRAM), "serve", str(folder / "registry.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    registry = Registry(port)
    try:
        for _ in range(100):
            try:
                httpx.get(f"http://127.0.0.1:{port}/v2/")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield registry
    finally:
        registry.close()
        process.terminate()
        process.wait(timeout=10)
