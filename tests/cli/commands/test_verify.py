"""`tidewaiter verify` on registries of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import (
    key_bundle,
    keys,
    payload,
    push_bundle,
    push_simple,
    signed_payload,
    statement,
)
from tests.rules.signatures.sigstore_world import ISSUER, SUBJECT, World, new_key
from tidewaiter.cli.main import main

SLSA = "https://slsa.dev/provenance/v1"


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.close()


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "release.pub"
    path.write_text(keys()["ECDSA P-256"].pem)
    return str(path)


@pytest.fixture
def image(registry: RegistryServer) -> str:
    """An image with a signature and an attestation."""
    signer = keys()["ECDSA P-256"]
    digest = registry.push_image("app")
    signed = signed_payload(payload(digest, env="prod"), signer.sign)
    push_simple(registry, "app", digest, [signed])
    attested = statement(digest, SLSA, {"builder": "b"})
    push_bundle(registry, "app", digest, key_bundle(attested, signer))
    return f"{registry.host}/app:v1"


@pytest.fixture(autouse=True)
def no_logins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_signed_image_is_verified(
    image: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", image, "--key", key]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"verified  {image}@sha256:")
    assert "signed by key sha256:" in lines[1]
    assert lines[-1] == "1 verified"


def test_the_worst_of_the_images_decides(
    image: str, key: str, registry: RegistryServer, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.push_image("plain")
    plain, absent = f"{registry.host}/plain:v1", f"{registry.host}/absent:v1"
    assert main(["verify", image, plain, "--key", key]) == 1
    assert "1 verified, 1 refused" in capsys.readouterr().out
    assert main(["verify", image, plain, absent, "NOT AN IMAGE", "--key", key]) == 2
    out = capsys.readouterr().out
    assert "1 verified, 1 refused, 2 unknown" in out
    assert "has no absent/manifests/v1" in out


def test_the_report_for_programs(image: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["verify", image, "--key", key, "--format", "json"]
    assert main([*words, "--attestation", "slsaprovenance1", "--signature"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["summary"] == {"verified": 1, "refused": 0, "unknown": 0}
    (found,) = report["images"]
    assert found["status"] == "verified"
    assert [one["form"] for one in found["signatures"]] == ["simple signing, .sig tag"]
    (attestation,) = found["attestations"]
    assert attestation["predicateType"] == SLSA
    assert attestation["predicate"] == {"builder": "b"}


def test_annotations_and_attestations_narrow_what_counts(image: str, key: str) -> None:
    words = ["verify", image, "--key", key]
    assert main([*words, "--annotation", "env=prod"]) == 0
    assert main([*words, "--annotation", "env=test"]) == 1
    assert main([*words, "--attestation", SLSA]) == 0
    assert main([*words, "--attestation", "vuln"]) == 1


def test_an_identity_by_a_trust_root(
    registry: RegistryServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)
    digest = registry.push_image("app")
    private = new_key()
    certificate = world.certificate(private, claims={12: "https://forge.test/shop/api"})
    bundle = world.bundle(statement(digest), key=private, certificate=certificate)
    push_bundle(registry, "app", digest, bundle)
    root = tmp_path / "root.json"
    root.write_text(world.trusted_root)
    words = ["verify", f"{registry.host}/app:v1", "--trusted-root", str(root)]
    exact = ["--identity", SUBJECT, "--issuer", ISSUER]
    assert main([*words, *exact]) == 0
    assert main([*words, *exact, "--claim", "sourceRepositoryUri=https://forge.test/shop/api"]) == 0
    assert main([*words, *exact, "--claim", "sourceRepositoryUri=https://forge.test/other"]) == 1
    assert main([*words, "--identity-regexp", "^https://forge", "--issuer-regexp", "^https:"]) == 0
    assert "begin it with" not in capsys.readouterr().err
    assert main([*words, "--identity-regexp", "forge", "--issuer", ISSUER]) == 0
    assert "begin it with ^" in capsys.readouterr().err
    assert main([*words, "--identity", "someone@else.test", "--issuer", ISSUER]) == 1
    chain = tmp_path / "chain.pem"
    chain.write_bytes(world.authority.certificate.public_bytes(Encoding.PEM))
    own = ["verify", words[1], "--certificate-chain", str(chain), "--identity", SUBJECT]
    assert main(own) == 0
    assert main([*own[:-1], "https://else.test"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "absent.pub"], "absent.pub: cannot be read"),
        (["--key", "{file}"], "is not one PEM public key"),
        ([], "nobody is named who may sign"),
        (["--identity", "a@b.test"], "an identity is a subject and its issuer"),
        (["--trusted-root", "{file}"], "it says who vouches, not who signs"),
        (["--key", "{key}", "--attestation", "slsa"], "is neither a URI nor one of"),
        (["--key", "{key}", "--annotation", "env"], "is not of the form NAME=VALUE"),
        (["--key", "{key}", "--timeout", "0"], "--timeout must be more than 0"),
        (["--identity-regexp", "(", "--issuer", "x"], "is no regular expression"),
        (
            ["--identity", "a", "--issuer", "b", "--claim", "sourceRepositoryURI=x"],
            "did you mean sourceRepositoryUri?",
        ),
        (["--identity", "a", "--issuer", "b", "--tlog", "ignore"], "without a log entry"),
        (["--key", "{key}", "--docker-config", "{file}"], "is no JSON"),
        (["--key", "{key}", "--registry-ca", "{file}"], "is no PEM certificate"),
    ],
)
def test_a_mistake_ends_with_2_and_a_sentence(
    words: list[str], said: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("nothing of use")
    filled = [word.format(file=file, key=key) for word in words]
    assert main(["verify", "127.0.0.1:1/app:v1", *filled]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_a_private_key_is_not_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "private.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    assert main(["verify", "127.0.0.1:1/app:v1", "--key", str(file)]) == 2
    captured = capsys.readouterr()
    assert "is a private key" in captured.err
    assert "secret" not in captured.err


def test_a_malformed_trust_root_is_no_refusal(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root.json"
    root.write_text("{}")
    words = ["verify", image, "--trusted-root", str(root), "--identity", "a", "--issuer", "b"]
    assert main(words) == 2
    assert "root.json: the trust root cannot be used" in capsys.readouterr().err


def test_a_registry_cannot_steer_the_terminal(
    registry: RegistryServer, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = registry.push_image("app")
    push_simple(
        registry,
        "app",
        digest,
        [(b'{"critical": 1, "\x1b[2J": 2}', {"dev.cosignproject.cosign/signature": "AA=="})],
    )
    assert main(["verify", f"{registry.host}/app:v1", "--key", key]) == 1
    assert "\x1b" not in capsys.readouterr().out
