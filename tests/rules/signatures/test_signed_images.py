"""Images that other programs have signed, through Debian's docker-registry."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from nacl.secret import SecretBox

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.docker_registry import docker_registry
from tests.rules.signatures.registry_server import MANIFEST, digest_of
from tests.rules.signatures.signing import b64
from tidewaiter.rules.signatures.authority import (
    AttestationRequirement,
    Authorities,
    Identity,
    ImageRequirement,
    KeyAuthority,
    KeylessAuthority,
    TextMatch,
    TrustedRoot,
)

SAMPLES = Path(
    os.environ.get("TIDEWAITER_SIGNED_IMAGES")
    or Path(__file__).parents[4] / "shared" / "signatures"
)
EXPECTED = (
    json.loads((SAMPLES / "expected.json").read_text())
    if (SAMPLES / "expected.json").exists()
    else []
)
SKOPEO = shutil.which("skopeo")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not EXPECTED:
        pytest.skip("TIDEWAITER_SIGNED_IMAGES names no folder of signed images")
    with docker_registry(tmp_path_factory.mktemp("samples"), SAMPLES / "registry") as address:
        yield address


def authority_of(entry: dict[str, Any]) -> Authorities:
    text = (SAMPLES / "keys" / entry["authority"]).read_text()
    if not entry["authority"].endswith(".json"):
        return KeyAuthority(text)
    identity = Identity(
        TextMatch("https://issuer.test"),
        TextMatch("https://example.test/org/repo/.github/workflows/release.yml@refs/heads/main"),
    )
    return KeylessAuthority((identity,), TrustedRoot(text))


@pytest.mark.parametrize("entry", EXPECTED or [None], ids=lambda e: e["image"] if e else "none")
def test_an_image_of_cosign_is_judged_as_is_expected(samples: str, entry: Any) -> None:
    authority = authority_of(entry)
    for reference in (f"{entry['image']}:v1", f"{entry['image']}@{entry['digest']}"):
        verdict = verdict_of(f"{samples}/{reference}", authority)
        assert verdict.status == entry["signature"], verdict.reasons
        assert verdict.digest == entry["digest"]
    for kind in (*entry["attestations"], "https://example.test/not/attested"):
        asked = ImageRequirement(
            None, attestations=(AttestationRequirement(kind, authorities=authority),)
        )
        verdict = verdict_of(f"{samples}/{entry['image']}:v1", asked)
        expected = "verified" if kind in entry["attestations"] else "refused"
        assert verdict.status == expected, verdict.reasons


@pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed (apt-get install skopeo)")
def test_an_image_that_skopeo_has_signed(tmp_path: Path) -> None:
    """skopeo signs with a key of its own making, and writes what cosign reads."""
    private, public = skopeo_key(tmp_path)
    layout = tmp_path / "layout"
    oci_layout(layout)
    with docker_registry(tmp_path) as address:
        settings = tmp_path / "registries.d"
        settings.mkdir()
        (settings / "all.yaml").write_text("default-docker:\n  use-sigstore-attachments: true\n")
        policy = tmp_path / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        passphrase = tmp_path / "passphrase"
        passphrase.write_text("secret")
        done = subprocess.run(
            [
                str(SKOPEO),
                *("--registries.d", settings, "--policy", policy),
                *("copy", "--dest-tls-verify=false"),
                *("--sign-by-sigstore-private-key", private),
                *("--sign-passphrase-file", passphrase),
                f"oci:{layout}:latest",
                f"docker://{address}/skopeo/app:v1",
            ],
            check=False,
            capture_output=True,
            timeout=60,
        )
        said = done.stderr.decode()
        if "sigstore disabled" in said:
            pytest.skip(
                "this build of skopeo signs nothing: Debian 12 has taken sigstore out of it"
            )
        assert done.returncode == 0, said
        image = f"{address}/skopeo/app:v1"
        verdict = verdict_of(image, KeyAuthority(public))
        assert verdict.status == "verified", verdict.reasons
        same = ImageRequirement(KeyAuthority(public), same_reference=True)
        assert verdict_of(image, same).status == "verified"
        other = KeyAuthority(skopeo_key(tmp_path)[1])
        assert verdict_of(image, other).status == "refused"


def skopeo_key(folder: Path) -> tuple[Path, str]:
    """Make a key pair as cosign keeps it: PKCS 8, sealed by scrypt and a secret box.

    https://github.com/sigstore/cosign/blob/main/specs/ENCRYPTED_KEY_FORMAT.md is what is written here.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt = os.urandom(32)
    sealing = Scrypt(salt, 32, 32768, 8, 1).derive(b"secret")
    nonce = os.urandom(24)
    sealed = SecretBox(sealing).encrypt(der, nonce).ciphertext
    document = {
        "kdf": {
            "name": "scrypt",
            "params": {"N": 32768, "r": 8, "p": 1},
            "salt": b64(salt),
        },
        "cipher": {"name": "nacl/secretbox", "nonce": b64(nonce)},
        "ciphertext": b64(sealed),
    }
    text = b64(json.dumps(document).encode())
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    kind = "ENCRYPTED COSIGN PRIVATE KEY"
    path = folder / "cosign.key"
    path.write_text(f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return path, public.decode()


def oci_layout(folder: Path) -> None:
    """Write an image of one empty layer, as a folder."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        digest = digest_of(content)
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    layer = gzip.compress(bytes(1024), mtime=0)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(bytes(1024))]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    entry = blob(json.dumps(manifest).encode(), MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
