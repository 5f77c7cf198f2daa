"""What the real cosign signs verifies, in each form that it writes; without a cosign on the PATH these are skipped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.signed_images import Registry
from tidewaiter.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COSIGN = shutil.which("cosign")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COSIGN is None, reason="cosign 3 is not on the PATH"),
]

FORMS = {
    "a simple signature under a tag": ("--new-bundle-format=false",),
    "a simple signature as a referrer": (
        "--new-bundle-format=false",
        "--registry-referrers-mode=oci-1-1",
    ),
    "a bundle": (),
    "a bundle with annotations": ("-a", "env=prod"),
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    started = Registry(tmp_path)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    cosign(tmp_path, "generate-key-pair")
    return tmp_path / "cosign.key"


def cosign(folder: Path, *words: str) -> None:
    assert COSIGN is not None
    environment = {**os.environ, "COSIGN_PASSWORD": "", "COSIGN_EXPERIMENTAL": "1"}
    subprocess.run([COSIGN, *words], cwd=folder, env=environment, check=True, capture_output=True)


def sign(folder: Path, verb: str, key: Path, image: str, *words: str) -> None:
    offline = ("--use-signing-config=false", "--tlog-upload=false")
    plain = ("--allow-insecure-registry", "--allow-http-registry", "-y")
    cosign(folder, verb, *plain, *offline, "--key", str(key), *words, image)


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS.keys())
def test_each_form_of_a_signature_verifies_by_its_key_and_by_no_other(
    registry: Registry, key: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    image = registry.image("shop/web")
    sign(tmp_path, "sign", key, image, *options)
    public = key.with_suffix(".pub")
    assert main(["verify", image, "--key", str(public)]) == 0
    (tmp_path / "other").mkdir()
    cosign(tmp_path / "other", "generate-key-pair")
    assert main(["verify", image, "--key", str(tmp_path / "other" / "cosign.pub")]) == 1
    annotated = main(["verify", image, "--key", str(public), "--annotation", "env=prod"])
    assert annotated == (0 if "env=prod" in options else 1)


@pytest.mark.parametrize("options", [(), ("--new-bundle-format=false",)], ids=["bundle", "tag"])
@pytest.mark.parametrize("kind", ["ed25519", "p384", "rsa"])
def test_a_key_of_another_kind_that_was_imported(
    registry: Registry, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    made: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind == "ed25519":
        made = ed25519.Ed25519PrivateKey.generate()
    elif kind == "p384":
        made = ec.generate_private_key(ec.SECP384R1())
    else:
        made = rsa.generate_private_key(65537, 3072)
    (tmp_path / "made.pem").write_bytes(
        made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    cosign(tmp_path, "import-key-pair", "--key", "made.pem", "-y")
    image = registry.image("shop/web")
    key = tmp_path / "import-cosign.key"
    sign(tmp_path, "sign", key, image, *options)
    assert main(["verify", image, "--key", str(key.with_suffix(".pub"))]) == 0


@pytest.mark.parametrize("options", [(), ("--new-bundle-format=false",)], ids=["bundle", "tag"])
def test_an_attestation_verifies_as_what_it_is_and_is_no_signature(
    registry: Registry, key: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    image = registry.image("shop/web")
    predicate = tmp_path / "predicate.json"
    predicate.write_text(json.dumps({"builder": {"id": "https://ci.example.com"}}))
    sign(tmp_path, "attest", key, image, "--type=vuln", "--predicate", str(predicate), *options)
    public = str(key.with_suffix(".pub"))
    assert main(["verify", image, "--key", public, "--attestation", "vuln"]) == 0
    assert main(["verify", image, "--key", public, "--attestation", "spdxjson"]) == 1
    assert main(["verify", image, "--key", public]) == 1
