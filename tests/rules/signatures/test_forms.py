"""Every form of signature by every kind of authority: the table in docs/signatures.md is this test's."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import (
    DSSE,
    b64,
    envelope,
    key_bundle,
    keys,
    pae,
    payload,
    push_bundle,
    push_dsse,
    push_simple,
    push_simple_referrer,
    signed_payload,
    statement,
)
from tests.rules.signatures.sigstore_world import (
    HAS_OPENSSL,
    ISSUER,
    SUBJECT,
    World,
    dsse_body,
    new_key,
    record_2_body,
    record_body,
    sign,
    spki,
)
from tidewaiter.rules.signatures.authority import (
    AttestationRequirement,
    Authorities,
    CertificateAuthority,
    Identity,
    ImageRequirement,
    KeyAuthority,
    KeylessAuthority,
    TextMatch,
    TrustedRoot,
)
from tidewaiter.rules.signatures.keys import read_public_key

PREDICATE = "https://slsa.dev/provenance/v1"
FORMS = {
    "signature, `.sig` tag": "simple signing, .sig tag",
    "signature, referrer of the first kind": "simple signing, referrer",
    "signature, bundle": "Sigstore bundle",
    "attestation, `.att` tag": "DSSE, .att tag",
    "attestation, bundle": "Sigstore bundle",
}
AUTHORITIES = ("key", "certificate", "keyless, Rekor 1", "keyless, Rekor 2")
REFUSED = {
    # cosign keeps a Rekor 2 entry in bundles only.
    ("signature, `.sig` tag", "keyless, Rekor 2"),
    ("signature, referrer of the first kind", "keyless, Rekor 2"),
    ("attestation, `.att` tag", "keyless, Rekor 2"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def authority_of(kind: str, world: World) -> Authorities:
    if kind == "key":
        return KeyAuthority(keys()["ECDSA P-256"].pem)
    if kind == "certificate":
        return CertificateAuthority(world.authority.pem, subject=TextMatch(SUBJECT))
    identity = Identity(TextMatch(ISSUER), TextMatch(SUBJECT))
    return KeylessAuthority((identity,), TrustedRoot(world.trusted_root))


def push(registry: RegistryServer, digest: str, form: str, kind: str, world: World) -> None:
    """Sign the image in a form, as whom an authority of this kind means."""
    attested = form.startswith("attestation")
    document = statement(digest, PREDICATE, {"n": 1}) if attested else statement(digest)
    if kind == "key":
        key = keys()["ECDSA P-256"]
        content, annotations = signed_payload(payload(digest), key.sign)
        bundle = key_bundle(document, key)
        if form == "attestation, `.att` tag":
            push_dsse(registry, "app", digest, document, key.sign)
            return
    else:
        private = new_key()
        certificate = world.certificate(private)
        content = json.dumps(payload(digest)).encode()
        annotations = world.annotations(content, private, certificate)
        version = {"certificate": None, "keyless, Rekor 1": 1, "keyless, Rekor 2": 2}[kind]
        bundle = world.bundle(document, key=private, certificate=certificate, log=version)
        if kind != "keyless, Rekor 1":
            del annotations["dev.sigstore.cosign/bundle"]
        if form == "attestation, `.att` tag":
            raw = json.dumps(document).encode()
            signed = envelope(raw, lambda message: sign(private, message))
            pem = certificate.public_bytes(Encoding.PEM)
            body = dsse_body(raw, signed["signatures"][0]["sig"], pem)
            note = {"dev.sigstore.cosign/certificate": pem.decode()}
            if kind == "keyless, Rekor 1":
                note["dev.sigstore.cosign/bundle"] = world.log_annotation(body)
            push_simple(
                registry, "app", digest, [(json.dumps(signed).encode(), note)], ".att", DSSE
            )
            return
    if form == "signature, `.sig` tag":
        push_simple(registry, "app", digest, [(content, annotations)])
    elif form == "signature, referrer of the first kind":
        push_simple_referrer(registry, "app", digest, content, annotations)
    else:
        push_bundle(registry, "app", digest, bundle)


@pytest.mark.parametrize("kind", AUTHORITIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("api", [True, False], ids=["referrers API", "fallback tag"])
def test_a_form_is_verified_or_refused_as_the_table_says(
    form: str, kind: str, api: bool, world: World
) -> None:
    if kind == "keyless, Rekor 2" and not HAS_OPENSSL:
        pytest.skip("openssl, which plays the time-stamping authority, is not installed")
    registry = RegistryServer(referrers_api=api)
    try:
        digest = registry.push_image("app", f"{form} {kind}")
        push(registry, digest, form, kind, world)
        authority = authority_of(kind, world)
        if form.startswith("attestation"):
            asked = ImageRequirement(
                None, attestations=(AttestationRequirement(PREDICATE, authorities=authority),)
            )
        else:
            asked = ImageRequirement(authority)
        verdict = verdict_of(f"{registry.host}/app:v1", asked)
    finally:
        registry.close()
    expected = "refused" if (form, kind) in REFUSED else "verified"
    assert verdict.status == expected, verdict.reasons
    if expected == "verified":
        assert verdict.digest == digest
        assert verdict.evidence[0].form == FORMS[form]
        assert verdict.evidence[0].digest == digest
    else:
        assert "no transparency log entry" in verdict.reasons[0]


@pytest.mark.parametrize("kind", keys())
@pytest.mark.parametrize("form", ["payload", "bundle"])
def test_every_kind_of_key_signs(registry: RegistryServer, kind: str, form: str) -> None:
    key = keys()[kind]
    digest = registry.push_image("app")
    if form == "payload":
        push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    else:
        push_bundle(registry, "app", digest, key_bundle(statement(digest), key))
    verdict = verdict_of(f"{registry.host}/app:v1", KeyAuthority(key.pem))
    assert verdict.status == "verified", verdict.reasons


def test_a_signature_of_a_hash_by_ed25519_is_that_of_the_standard() -> None:
    """RFC 8032, section 7.3."""
    key = read_public_key(
        ed25519.Ed25519PublicKey.from_public_bytes(
            bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
        )
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    assert key.has_signed(b"abc", signature)
    assert key.has_signed(b"abc", signature, hash_name="sha512")
    assert not key.has_signed(b"abc", signature, hash_name="sha256")
    for message, made in (
        (b"abd", signature),
        (b"", signature),
        (hashlib.sha512(b"abc").digest(), signature),
        (b"abc", signature[:-1]),
        (b"abc", b""),
        (b"abc", bytes(64)),
    ):
        assert not key.has_signed(message, made)


@pytest.mark.parametrize("kind", ["Ed25519", "Ed25519ph"])
def test_an_ed25519_key_whose_signatures_are_logged(
    registry: RegistryServer, world: World, kind: str
) -> None:
    """What a log can record of one is the hash that was signed, SHA-512 (of Ed25519ph)."""
    key = keys()[kind]
    digest = registry.push_image("app")
    content, note = signed_payload(payload(digest), key.sign)
    body = record_body(content, note["dev.cosignproject.cosign/signature"], key.pem.encode())
    body["spec"]["data"]["hash"] = {
        "algorithm": "sha512",
        "value": hashlib.sha512(content).hexdigest(),
    }
    note["dev.sigstore.cosign/bundle"] = world.log_annotation(body)
    push_simple(registry, "app", digest, [(content, note)])
    authority = KeyAuthority(
        key.pem, transparency_log=True, trusted_root=TrustedRoot(world.trusted_root)
    )
    verdict = verdict_of(f"{registry.host}/app:v1", authority)
    assert verdict.status == "verified", verdict.reasons


def test_the_table_of_forms_in_the_documentation_is_that_of_the_tests() -> None:
    page = Path(__file__).parents[3] / "docs" / "signatures.md"
    assert table() in page.read_text(encoding="utf-8")


def table() -> str:
    rows = [["form", *AUTHORITIES]]
    for form in FORMS:
        said = ["refused" if (form, kind) in REFUSED else "verified" for kind in AUTHORITIES]
        rows.append([form, *said])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


@pytest.mark.parametrize("form", ["bundle, Rekor 1", "bundle, Rekor 2", "annotation of cosign 2"])
def test_a_key_whose_signatures_are_logged(
    registry: RegistryServer, world: World, form: str
) -> None:
    key = keys()["ECDSA P-256"]
    digest = registry.push_image("app")
    if form == "annotation of cosign 2":
        content, note = signed_payload(payload(digest), key.sign)
        signature = note["dev.cosignproject.cosign/signature"]
        body = record_body(content, signature, key.pem.encode())
        note["dev.sigstore.cosign/bundle"] = world.log_annotation(body)
        push_simple(registry, "app", digest, [(content, note)])
    else:
        raw = json.dumps(statement(digest)).encode()
        bundle = key_bundle(raw, key)
        signature = bundle["dsseEnvelope"]["signatures"][0]["sig"]
        if form == "bundle, Rekor 1":
            entry = world.entry(dsse_body(raw, signature, key.pem.encode()), datetime.now(UTC))
        else:
            verifier = {"publicKey": {"rawBytes": b64(spki(key.private))}}
            entry = world.entry(record_2_body(pae(raw), signature, verifier), None, promised=False)
        bundle["verificationMaterial"]["tlogEntries"] = [entry]
        push_bundle(registry, "app", digest, bundle)
    authority = KeyAuthority(
        key.pem, transparency_log=True, trusted_root=TrustedRoot(world.trusted_root)
    )
    verdict = verdict_of(f"{registry.host}/app:v1", authority)
    assert verdict.status == "verified", verdict.reasons
    assert (verdict.evidence[0].signed_at is None) == (form == "bundle, Rekor 2")


def test_the_library_for_identities_is_imported_only_for_them() -> None:
    program = (
        "import sys\nimport tidewaiter.rules.signatures.verify\nimport tidewaiter.cli.run.verify\n"
        "print([name for name in ('sigstore', 'tuf', 'pydantic', 'nacl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.decode().strip() == "[]"
