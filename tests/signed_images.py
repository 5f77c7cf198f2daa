"""A real registry on loopback, and images in it that are signed and attested by keys made for the test.

The forms are those that cosign 2 writes: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.image_registry import HTPASSWD, PASSWORD, USER

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Signer:
    """A key pair."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def sign(self, content: bytes) -> str:
        return base64.b64encode(self._key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()


class Registry:
    """A docker-registry with its own folder; `stop` it and `start` it again as an outage."""

    def __init__(self, folder: Path, *, login: bool = False) -> None:
        """Start one; with `login` it asks for USER and PASSWORD."""
        program = shutil.which("docker-registry")
        if program is None:
            pytest.skip("docker-registry is not installed (Debian: docker-registry)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.host = f"localhost:{port}"
        self._command = [program, "serve", str(folder / "registry.yml")]
        self._address = ("127.0.0.1", port)
        self._process: subprocess.Popen[bytes] | None = None
        # One client for all: each new one reads the system's certificates, which takes longer than a push.
        self._http = httpx.Client(trust_env=False, auth=(USER, PASSWORD) if login else None)
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        if login:
            (folder / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "images", "path": str(folder / "htpasswd")}}
        (folder / "registry.yml").write_text(json.dumps(config))
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                socket.create_connection(self._address, 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("docker-registry did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def image(self, repository: str, tag: str = "latest", salt: str = "") -> str:
        """Push an image of its own and return it with its digest."""
        config = self._blob(
            repository, json.dumps({"architecture": "amd64", "of": repository + salt}).encode()
        )
        digest = self._manifest(repository, tag, {"config": config, "layers": []})
        return f"{self.host}/{repository}@{digest}"

    def sign(self, image: str, signer: Signer, annotations: dict[str, str] | None = None) -> None:
        """Attach a simple-signing signature."""
        repository, digest = self._parts(image)
        payload = json.dumps(
            {
                "critical": {
                    "identity": {"docker-reference": f"{self.host}/{repository}"},
                    "image": {"docker-manifest-digest": digest},
                    "type": "cosign container image signature",
                },
                "optional": annotations,
            }
        ).encode()
        layer = self._blob(repository, payload, "application/vnd.dev.cosign.simplesigning.v1+json")
        layer["annotations"] = {"dev.cosignproject.cosign/signature": signer.sign(payload)}
        self._attach(repository, digest, "sig", [layer])

    def attest(self, image: str, signer: Signer, predicate_type: str, *predicates: Any) -> None:
        """Attach attestations, each a DSSE envelope."""
        repository, digest = self._parts(image)
        layers = []
        for predicate in predicates:
            statement = json.dumps(
                {
                    "_type": "https://in-toto.io/Statement/v0.1",
                    "predicateType": predicate_type,
                    "subject": [{"name": repository, "digest": {"sha256": digest[7:]}}],
                    "predicate": predicate,
                }
            ).encode()
            kind = "application/vnd.in-toto+json"
            signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(statement), statement)
            envelope = {
                "payloadType": kind,
                "payload": base64.b64encode(statement).decode(),
                "signatures": [{"keyid": "", "sig": signer.sign(signed)}],
            }
            layer = self._blob(
                repository,
                json.dumps(envelope).encode(),
                "application/vnd.dsse.envelope.v1+json",
            )
            layer["annotations"] = {
                "dev.cosignproject.cosign/signature": "",
                "predicateType": predicate_type,
            }
            layers.append(layer)
        self._attach(repository, digest, "att", layers)

    def _attach(self, repository: str, digest: str, kind: str, layers: list[Any]) -> None:
        config = self._blob(repository, b"{}")
        tag = f"{digest.replace(':', '-')}.{kind}"
        self._manifest(repository, tag, {"config": config, "layers": layers})

    def _parts(self, image: str) -> tuple[str, str]:
        name, _, digest = image.partition("@")
        return name.removeprefix(f"{self.host}/"), digest

    def _blob(
        self,
        repository: str,
        content: bytes,
        kind: str = "application/vnd.oci.image.config.v1+json",
    ) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = self._http.post(f"http://{self.host}/v2/{repository}/blobs/uploads/")
        url = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        self._http.put(url, content=content).raise_for_status()
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def _manifest(self, repository: str, tag: str, parts: dict[str, Any]) -> str:
        content = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, **parts}).encode()
        self._http.put(
            f"http://{self.host}/v2/{repository}/manifests/{tag}",
            content=content,
            headers={"Content-Type": _MANIFEST},
        ).raise_for_status()
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
