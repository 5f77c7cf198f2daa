"""What must never pass, each refused with its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.registry_server import (
    EMPTY,
    INDEX,
    MANIFEST,
    RegistryServer,
    Reply,
    digest_of,
)
from tests.rules.signatures.signing import (
    BUNDLE,
    SIGN,
    SIMPLE,
    Key,
    b64,
    ecdsa,
    envelope,
    key_bundle,
    keys,
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
    Authority,
    World,
    dsse_body,
    new_key,
    sign,
)
from tidewaiter.rules.signatures.authority import (
    AllOf,
    AnyOf,
    AtLeast,
    AttestationRequirement,
    CertificateAuthority,
    Identity,
    ImageRequirement,
    KeyAuthority,
    KeylessAuthority,
    StaticAuthority,
    TextMatch,
    TimestampAuthority,
    TrustedRoot,
)
from tidewaiter.rules.signatures.verdict import ImageVerdict

VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def key() -> Key:
    return keys()["ECDSA P-256"]


@pytest.fixture
def digest(registry: RegistryServer) -> str:
    return registry.push_image("app")


def judged(registry: RegistryServer, key: Key, **more: Any) -> ImageVerdict:
    return verdict_of(f"{registry.host}/app:v1", KeyAuthority(key.pem), **more)


def keyless(world: World, **more: Any) -> KeylessAuthority:
    identity = Identity(TextMatch(ISSUER), TextMatch(SUBJECT), **more)
    return KeylessAuthority((identity,), TrustedRoot(world.trusted_root))


def assert_refused(verdict: ImageVerdict, reason: str) -> None:
    assert verdict.status == "refused", verdict
    assert reason in " ".join(verdict.reasons), verdict.reasons
    assert not verdict.evidence
    assert not verdict.attestations


def test_a_signature_of_another_digest(registry: RegistryServer, key: Key, digest: str) -> None:
    other = registry.push_image("app", "other", tag="other")
    push_simple(registry, "app", digest, [signed_payload(payload(other), key.sign)])
    assert_refused(judged(registry, key), f"is of another image: {other}")


def test_a_bundle_of_another_digest(registry: RegistryServer, key: Key, digest: str) -> None:
    other = registry.push_image("app", "other", tag="other")
    push_bundle(registry, "app", digest, key_bundle(statement(other), key))
    assert_refused(judged(registry, key), f"is of another image: {other}")


def test_a_payload_changed_after_signing(registry: RegistryServer, key: Key, digest: str) -> None:
    _, annotations = signed_payload(payload("sha256:" + "0" * 64), key.sign)
    changed = json.dumps(payload(digest)).encode()
    push_simple(registry, "app", digest, [(changed, annotations)])
    assert_refused(judged(registry, key), "not signed by the ECDSA")


def test_a_bundle_whose_payload_was_changed(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    bundle = key_bundle(statement("sha256:" + "0" * 64), key)
    bundle["dsseEnvelope"]["payload"] = b64(json.dumps(statement(digest)).encode())
    push_bundle(registry, "app", digest, bundle)
    assert_refused(judged(registry, key), "not signed by the ECDSA")


def test_another_key(registry: RegistryServer, key: Key, digest: str) -> None:
    other = ecdsa(ec.SECP256R1(), hashes.SHA256())
    push_simple(registry, "app", digest, [signed_payload(payload(digest), other.sign)])
    # The hint is what the attacker says it is.
    bundle = key_bundle(statement(digest), other)
    bundle["verificationMaterial"]["publicKey"]["hint"] = key.hint
    push_bundle(registry, "app", digest, bundle)
    assert_refused(judged(registry, key), "not signed by the ECDSA")


@pytest.mark.parametrize("form", ["bundle", "tag"])
def test_an_attestation_is_no_signature(
    registry: RegistryServer, key: Key, digest: str, form: str
) -> None:
    attested = statement(digest, VULN, {"scanner": {}})
    if form == "bundle":
        push_bundle(registry, "app", digest, key_bundle(attested, key))
        assert_refused(judged(registry, key), f"is an attestation ({VULN}), no signature")
    else:
        push_dsse(registry, "app", digest, attested, key.sign)
        assert_refused(judged(registry, key), "no signature")


def test_a_signature_is_no_attestation(registry: RegistryServer, key: Key, digest: str) -> None:
    push_bundle(registry, "app", digest, key_bundle(statement(digest), key))
    asked = ImageRequirement(KeyAuthority(key.pem), attestations=(AttestationRequirement(VULN),))
    assert_refused(verdict_of(f"{registry.host}/app:v1", asked), f"no attestation of type {VULN}")


def test_what_annotations_and_listings_say_of_a_type_is_not_believed(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    noted = {"dev.sigstore.bundle.predicateType": SIGN}
    bundle = key_bundle(statement(digest, VULN, {}), key)
    push_bundle(registry, "app", digest, bundle, annotations=noted)
    assert_refused(judged(registry, key), "is an attestation")


def test_an_attestation_of_another_image(registry: RegistryServer, key: Key, digest: str) -> None:
    other = registry.push_image("app", "other", tag="other")
    push_bundle(registry, "app", digest, key_bundle(statement(other, VULN, {}), key))
    push_dsse(registry, "app", digest, statement(other, VULN, {}), key.sign)
    asked = ImageRequirement(
        None, attestations=(AttestationRequirement(VULN, authorities=KeyAuthority(key.pem)),)
    )
    assert_refused(verdict_of(f"{registry.host}/app:v1", asked), f"is of another image: {other}")


def test_a_payload_taken_for_an_envelope(registry: RegistryServer, key: Key, digest: str) -> None:
    """A signature over plain bytes must not count over DSSE's encoding of them, nor the reverse."""
    content = json.dumps(statement(digest)).encode()
    bundle = key_bundle(content, key)
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(key.sign(content))}]
    push_bundle(registry, "app", digest, bundle)
    assert_refused(judged(registry, key), "not signed by the ECDSA")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p["critical"].update(expires=0), "critical has a field that is not known"),
        (lambda p: p["critical"]["image"].update(other=1), "critical.image has a field"),
        (lambda p: p["critical"]["identity"].update(other=1), "critical.identity has a field"),
        (lambda p: p.update(more=1), "the payload has a field that is not known"),
        (lambda p: p["critical"].update(type="a blob signature"), "critical.type is"),
        (lambda p: p["critical"].pop("type"), "critical.type is None"),
        (lambda p: p["critical"].pop("image"), "critical has no image"),
        (lambda p: p.update(optional=[]), "optional is neither null nor an object"),
        (lambda p: p.update(Critical=p.pop("critical")), "a field that is not known"),
    ],
)
def test_fields_that_are_not_known(
    registry: RegistryServer, key: Key, digest: str, change: Any, reason: str
) -> None:
    document = payload(digest)
    change(document)
    push_simple(registry, "app", digest, [signed_payload(document, key.sign)])
    assert_refused(judged(registry, key), reason)


def test_a_key_that_stands_twice_in_a_payload(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    text = json.dumps(payload(digest))
    twice = text.replace('"critical":', '"critical": {}, "critical":', 1).encode()
    push_simple(registry, "app", digest, [signed_payload(twice, key.sign)])
    assert_refused(judged(registry, key), "has the key 'critical' twice")


def test_a_key_that_stands_twice_in_a_statement_or_bundle(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    text = json.dumps(statement(digest))
    twice = text.replace('"predicateType":', f'"predicateType": "{VULN}", "predicateType":', 1)
    push_bundle(registry, "app", digest, key_bundle(twice.encode(), key))
    bundle = json.dumps(key_bundle(statement(digest), key))
    twice_in_bundle = bundle.replace('"dsseEnvelope":', '"dsseEnvelope": {}, "dsseEnvelope":', 1)
    push_bundle(registry, "app", digest, twice_in_bundle.encode())
    verdict = judged(registry, key)
    assert_refused(verdict, "has the key 'predicateType' twice")
    assert_refused(verdict, "has the key 'dsseEnvelope' twice")


@pytest.mark.parametrize(
    ("signer", "verifier"),
    [
        ("RSA PKCS#1 v1.5", "ECDSA P-256"),
        ("ECDSA P-256", "Ed25519"),
        ("Ed25519", "RSA PSS"),
        ("Ed25519ph", "ECDSA P-256"),
        ("ECDSA P-384", "ECDSA P-256"),
    ],
)
def test_a_signature_of_another_algorithm(
    registry: RegistryServer, digest: str, signer: str, verifier: str
) -> None:
    push_simple(registry, "app", digest, [signed_payload(payload(digest), keys()[signer].sign)])
    assert_refused(judged(registry, keys()[verifier]), "not signed by the")


def test_a_hash_or_padding_that_the_authority_does_not_name(
    registry: RegistryServer, digest: str
) -> None:
    pss = keys()["RSA PSS"]
    push_simple(registry, "app", digest, [signed_payload(payload(digest), pss.sign)])
    image = f"{registry.host}/app:v1"
    assert verdict_of(image, KeyAuthority(pss.pem, padding="pss")).status == "verified"
    assert_refused(verdict_of(image, KeyAuthority(pss.pem, padding="pkcs1v15")), "not signed by")
    assert_refused(verdict_of(image, KeyAuthority(pss.pem, hash="sha512")), "not signed by")


@pytest.mark.parametrize("name", ["empty", "zero", "text"])
def test_signatures_that_are_none(
    registry: RegistryServer, key: Key, digest: str, name: str
) -> None:
    content = json.dumps(payload(digest)).encode()
    text = {"empty": "", "zero": b64(b"\x30\x06\x02\x01\x00\x02\x01\x00"), "text": "not base64!"}
    note = {"dev.cosignproject.cosign/signature": text[name]}
    push_simple(registry, "app", digest, [(content, note)])
    assert judged(registry, key).status == "refused"


def test_a_manifest_that_is_too_large(registry: RegistryServer, key: Key, digest: str) -> None:
    tag = digest.replace(":", "-") + ".sig"
    registry.manifests["app", tag] = b'{"layers": [' + b" " * (4 * 1024 * 1024) + b"]}"
    assert_refused(judged(registry, key), "has more than 4194304 bytes, the limit")


def test_a_blob_that_is_larger_than_its_manifest_says(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    push_bundle(registry, "app", digest, key_bundle(statement(digest), key))
    registry.hooks.append(
        lambda _, path, __: Reply(200, b"x" * 10**6) if "/blobs/" in path else None
    )
    assert_refused(judged(registry, key), "bytes, the limit")


def test_ten_thousand_signatures_cost_little_and_never_pass(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    valid = signed_payload(payload(digest), key.sign)
    push_simple(registry, "app", digest, [valid] * 10_000)
    assert_refused(judged(registry, key), "an image with more than 256 is refused")
    assert len(registry.seen) < 20


def test_ten_thousand_referrers_cost_little_and_never_pass(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    push_bundle(registry, "app", digest, key_bundle(statement(digest), key))
    entry = {"mediaType": MANIFEST, "size": 1}
    listed = [{**entry, "digest": digest_of(b"%d" % n)} for n in range(10_000)]
    body = json.dumps({"schemaVersion": 2, "manifests": listed}).encode()
    registry.hooks.append(
        lambda _, path, __: (
            Reply(200, body, {"Content-Type": INDEX}) if "/referrers/" in path else None
        )
    )
    assert_refused(judged(registry, key), "an image with more than 256 is refused")
    assert len(registry.seen) < 20


def test_a_listing_without_end(registry: RegistryServer, key: Key, digest: str) -> None:
    headers = {"Content-Type": INDEX, "Link": '</v2/app/referrers/again>; rel="next"'}
    registry.hooks.append(
        lambda _, path, __: (
            Reply(200, b'{"manifests": []}', headers) if "/referrers/" in path else None
        )
    )
    assert_refused(judged(registry, key), "more than 20 pages")


def test_a_registry_that_lies_about_an_images_digest(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    evil = registry.push_image("app", "evil", tag="evil")
    content = registry.manifests["app", evil]
    registry.hooks.append(
        lambda _, path, __: (
            Reply(200, content, {"Content-Type": MANIFEST, "Docker-Content-Digest": digest})
            if path.endswith((digest, "/v1"))
            else None
        )
    )
    image = f"{registry.host}/app"
    authority = KeyAuthority(key.pem)
    assert_refused(verdict_of(f"{image}@{digest}", authority), "is another")
    assert_refused(verdict_of(f"{image}:v1", authority), "states another digest")


def test_a_registry_that_lies_about_a_signatures_content(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    push_bundle(registry, "app", digest, key_bundle(statement("sha256:" + "0" * 64), key))
    honest = json.dumps(key_bundle(statement(digest), key)).encode()
    registry.hooks.append(lambda _, path, __: Reply(200, honest) if "/blobs/" in path else None)
    verdict = judged(registry, key)
    assert verdict.status == "refused"
    assert any("is another" in reason or "the limit" in reason for reason in verdict.reasons)


def test_a_referrer_of_another_image(registry: RegistryServer, key: Key, digest: str) -> None:
    other = registry.push_image("app", "other", tag="other")
    moved = push_bundle(registry, "app", other, key_bundle(statement(digest), key))
    listed = {"manifests": [{"mediaType": MANIFEST, "size": 1, "digest": moved}]}
    registry.hooks.append(
        lambda _, path, __: (
            Reply(200, json.dumps(listed).encode(), {"Content-Type": INDEX})
            if "/referrers/" in path
            else None
        )
    )
    assert_refused(judged(registry, key), "does not name this image as its subject")


def test_artifact_types_that_are_lies(registry: RegistryServer, key: Key, digest: str) -> None:
    """What a manifest says of itself and what its layer is must agree."""
    content = json.dumps(key_bundle(statement(digest), key)).encode()
    layer = registry.push_blob("app", content)
    for own, of_layer in ((BUNDLE, SIMPLE), ("application/spdx+json", BUNDLE)):
        registry.push_referrer(
            "app",
            digest,
            {
                "mediaType": MANIFEST,
                "artifactType": own,
                "config": {"mediaType": EMPTY, **registry.push_blob("app", b"{}")},
                "layers": [{"mediaType": of_layer, **layer}],
            },
        )
    assert_refused(judged(registry, key), "has not exactly one layer that is a bundle")


def test_an_index_that_is_served_as_a_manifest(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    document = json.loads(registry.manifests["app", digest])
    both = {**document, "manifests": [], "mediaType": MANIFEST}
    mixed = registry.push_manifest("app", both, "mixed")
    push_simple(registry, "app", mixed, [signed_payload(payload(mixed), key.sign)])
    verdict = verdict_of(f"{registry.host}/app:mixed", KeyAuthority(key.pem))
    assert_refused(verdict, "is an index and a manifest at once")


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://10.0.0.1/",
        "http://192.168.1.1:8080/",
        "http://0.0.0.0/",
        "http://2852039166/",
    ],
)
def test_a_redirect_to_a_private_address(
    registry: RegistryServer, key: Key, digest: str, target: str
) -> None:
    push_bundle(registry, "app", digest, key_bundle(statement(digest), key))
    registry.hooks.append(
        lambda _, path, __: Reply(307, headers={"Location": target}) if "/blobs/" in path else None
    )
    assert_refused(judged(registry, key), "must not be spoken to")


def test_a_registry_at_a_metadata_address_is_not_spoken_to(key: Key) -> None:
    verdict = verdict_of("169.254.169.254/app:v1", KeyAuthority(key.pem))
    assert_refused(verdict, "must not be spoken to")


# Without a key.


def pushed(registry: RegistryServer, digest: str, bundle: dict[str, Any]) -> str:
    push_bundle(registry, "app", digest, bundle)
    return f"{registry.host}/app:v1"


def test_a_missing_log_entry(registry: RegistryServer, world: World, digest: str) -> None:
    image = pushed(registry, digest, world.bundle(statement(digest), log=None, stamped=True))
    assert_refused(verdict_of(image, keyless(world)), "has no transparency log entry")


def test_a_log_entry_of_another_signature(
    registry: RegistryServer, world: World, digest: str
) -> None:
    bundle = world.bundle(statement(digest))
    other = world.bundle(statement("sha256:" + "0" * 64))
    material = bundle["verificationMaterial"]
    material["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    image = pushed(registry, digest, bundle)
    assert_refused(verdict_of(image, keyless(world)), "log entry")


@pytest.mark.parametrize("part", ["promise", "proof", "checkpoint", "time"])
def test_a_log_entry_that_the_log_has_not_made(
    registry: RegistryServer, world: World, digest: str, part: str
) -> None:
    bundle = world.bundle(statement(digest))
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    if part == "promise":
        entry["inclusionPromise"]["signedEntryTimestamp"] = b64(sign(new_key(), b"x"))
    elif part == "proof":
        entry["inclusionProof"]["rootHash"] = b64(b"0" * 32)
    elif part == "checkpoint":
        note = entry["inclusionProof"]["checkpoint"]["envelope"]
        entry["inclusionProof"]["checkpoint"]["envelope"] = note.replace("log.test", "log.evil")
    else:
        entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)
    image = pushed(registry, digest, bundle)
    assert verdict_of(image, keyless(world)).status == "refused"


def test_an_expired_certificate(registry: RegistryServer, world: World, digest: str) -> None:
    key = new_key()
    start = datetime.now(UTC) - timedelta(days=30)
    certificate = world.certificate(key, start=start)
    late = world.bundle(statement(digest), key=key, certificate=certificate)
    image = pushed(registry, digest, late)
    assert verdict_of(image, keyless(world)).status == "refused"
    # The same certificate is good for what was logged while it was valid.
    moment = start + timedelta(minutes=5)
    good = world.bundle(statement(digest), key=key, certificate=certificate, moment=moment)
    image = pushed(registry, digest, good)
    assert verdict_of(image, keyless(world)).status == "verified"


def test_another_identity_issuer_or_claim(
    registry: RegistryServer, world: World, digest: str
) -> None:
    key = new_key()
    certificate = world.certificate(
        key, claims={12: "https://forge.test/shop/api", 14: "refs/heads/main"}
    )
    bundle = world.bundle(statement(digest), key=key, certificate=certificate)
    image = pushed(registry, digest, bundle)

    def asked(issuer: str, subject: str, **claims: str) -> ImageVerdict:
        named = tuple((name, TextMatch(value)) for name, value in claims.items())
        identity = Identity(TextMatch(issuer), TextMatch(subject), named)
        root = TrustedRoot(world.trusted_root)
        return verdict_of(image, KeylessAuthority((identity,), root))

    repository = "https://forge.test/shop/api"
    assert asked(ISSUER, SUBJECT, sourceRepositoryUri=repository).status == "verified"
    for refused in (
        asked("https://issuer.evil", SUBJECT),
        asked(ISSUER, SUBJECT + "x"),
        asked(ISSUER, SUBJECT, sourceRepositoryUri="https://forge.test/evil"),
        asked(ISSUER, SUBJECT, sourceRepositoryRef="refs/heads/main", buildTrigger="push"),
    ):
        assert_refused(refused, "which is no identity that may sign")


def test_a_certificate_of_another_authority_or_without_a_stamp(
    registry: RegistryServer, world: World, digest: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = World(tmp_path_factory.mktemp("other"))
    image = pushed(registry, digest, other.bundle(statement(digest)))
    assert verdict_of(image, keyless(world)).status == "refused"
    key = new_key()
    bundle = world.bundle(
        statement(digest), key=key, certificate=world.certificate(key, stamped=False)
    )
    pushed(registry, digest, bundle)
    assert_refused(verdict_of(image, keyless(world)), "SCT")


def test_a_keyless_bundle_whose_payload_is_of_another_image(
    registry: RegistryServer, world: World, digest: str
) -> None:
    """The library verifies the bundle, which is valid: what it is about is for us to check."""
    other = "sha256:" + "1" * 64
    image = pushed(registry, digest, world.bundle(statement(other)))
    assert_refused(verdict_of(image, keyless(world)), "is of another image")


def test_annotations_of_cosign_2_whose_promise_is_of_another_signature(
    registry: RegistryServer, world: World, digest: str
) -> None:
    key = new_key()
    certificate = world.certificate(key)
    content = json.dumps(payload(digest)).encode()
    good = world.annotations(content, key, certificate)
    other = world.annotations(b"{}", key, certificate)
    name = "dev.sigstore.cosign/bundle"
    push_simple(registry, "app", digest, [(content, {**good, name: other[name]})])
    image = f"{registry.host}/app:v1"
    assert_refused(verdict_of(image, keyless(world)), "inconsistent")
    forged = json.loads(good[name])
    forged["SignedEntryTimestamp"] = b64(sign(new_key(), b"x"))
    push_simple(registry, "app", digest, [(content, {**good, name: json.dumps(forged)})])
    assert_refused(verdict_of(image, keyless(world)), "inclusion promise")
    del forged["Payload"]["integratedTime"]
    push_simple(registry, "app", digest, [(content, {**good, name: json.dumps(forged)})])
    assert_refused(verdict_of(image, keyless(world)), "malformed")


# By an authority of one's own.


def signed_by_certificate(
    registry: RegistryServer, digest: str, authority: Authority, **leaf: Any
) -> str:
    key = new_key()
    leaf.setdefault("start", datetime.now(UTC) - timedelta(minutes=1))
    certificate = authority.issue(authority.leaf(key, **leaf))
    content = json.dumps(payload(digest)).encode()
    note = {
        "dev.cosignproject.cosign/signature": b64(sign(key, content)),
        "dev.sigstore.cosign/certificate": certificate.public_bytes(Encoding.PEM).decode(),
    }
    push_simple(registry, "app", digest, [(content, note)])
    return f"{registry.host}/app:v1"


def test_an_expired_certificate_without_a_signed_time(
    registry: RegistryServer, digest: str
) -> None:
    authority = Authority()
    image = signed_by_certificate(
        registry, digest, authority, start=datetime.now(UTC) - timedelta(days=2)
    )
    verdict = verdict_of(image, CertificateAuthority(authority.pem))
    assert_refused(verdict, "not now, and there is no signed time to go by")


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl plays the time-stamping authority")
def test_a_signed_time_says_when_a_certificate_must_have_been_valid(
    registry: RegistryServer, digest: str, world: World
) -> None:
    """Between the roots and the leaf stands an authority that the signature brings."""
    assert world.timestamps is not None
    stamps = (TimestampAuthority(world.timestamps.chain),)
    root = Authority()
    middle = root.issuer("middle.test")
    key = new_key()
    now = datetime.now(UTC)
    leaf = middle.issue(middle.leaf(key, start=now - timedelta(minutes=5)))
    content = json.dumps(payload(digest)).encode()
    signature = sign(key, content)
    stamp = {"SignedRFC3161Timestamp": b64(world.timestamps.stamp(signature))}
    note = {
        "dev.cosignproject.cosign/signature": b64(signature),
        "dev.sigstore.cosign/certificate": leaf.public_bytes(Encoding.PEM).decode(),
        "dev.sigstore.cosign/chain": middle.pem + root.pem,
        "dev.sigstore.cosign/rfc3161timestamp": json.dumps(stamp),
    }
    push_simple(registry, "app", digest, [(content, note)])
    image, later = f"{registry.host}/app:v1", now + timedelta(days=30)
    assert verdict_of(image, CertificateAuthority(root.pem), now=now).status == "verified"
    assert_refused(
        verdict_of(image, CertificateAuthority(root.pem), now=later), "there is no signed time"
    )
    stamped = CertificateAuthority(root.pem, timestamps=stamps)
    verdict = verdict_of(image, stamped, now=later)
    assert verdict.status == "verified", verdict.reasons
    assert verdict.evidence[0].signed_at is not None
    other = World(world.folder).timestamps
    assert other is not None
    strange = CertificateAuthority(root.pem, timestamps=(TimestampAuthority(other.chain),))
    assert_refused(verdict_of(image, strange, now=later), "its signed time is not valid")
    del note["dev.sigstore.cosign/rfc3161timestamp"]
    push_simple(registry, "app", digest, [(content, note)])
    assert_refused(verdict_of(image, stamped, now=now), "has no signed time, which is demanded")


def test_a_certificate_that_is_not_for_signing_code(registry: RegistryServer, digest: str) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority = Authority()
    image = signed_by_certificate(
        registry, digest, authority, purpose=ExtendedKeyUsageOID.SERVER_AUTH
    )
    verdict = verdict_of(image, CertificateAuthority(authority.pem))
    assert_refused(verdict, "not for signing code")


def test_a_certificate_of_a_stranger_or_of_another_name(
    registry: RegistryServer, digest: str
) -> None:
    authority = Authority()
    image = signed_by_certificate(registry, digest, authority)
    assert verdict_of(image, CertificateAuthority(authority.pem)).status == "verified"
    stranger = Authority()
    assert_refused(verdict_of(image, CertificateAuthority(stranger.pem)), "none of the roots")
    named = CertificateAuthority(authority.pem, subject=TextMatch("https://evil.test"))
    assert_refused(verdict_of(image, named), "not by https://evil.test")


def test_a_leaf_that_issues_certificates(registry: RegistryServer, digest: str) -> None:
    """A leaf is no authority, though it is one that the root has signed."""
    authority = Authority()
    middle = Authority("middle.test")
    middle_key = new_key()
    middle.certificate = authority.issue(
        authority.leaf(middle_key, start=datetime.now(UTC) - timedelta(days=1), minutes=9999)
    )
    middle.key = middle_key
    key = new_key()
    leaf = middle.issue(middle.leaf(key, start=datetime.now(UTC) - timedelta(minutes=1)))
    content = json.dumps(payload(digest)).encode()
    note = {
        "dev.cosignproject.cosign/signature": b64(sign(key, content)),
        "dev.sigstore.cosign/certificate": leaf.public_bytes(Encoding.PEM).decode(),
        "dev.sigstore.cosign/chain": middle.pem,
    }
    push_simple(registry, "app", digest, [(content, note)])
    image = f"{registry.host}/app:v1"
    assert_refused(verdict_of(image, CertificateAuthority(authority.pem)), "none of the roots")


def test_an_unknown_critical_extension(registry: RegistryServer, digest: str) -> None:
    from cryptography import x509

    authority = Authority()
    key = new_key()
    builder = authority.leaf(key, start=datetime.now(UTC) - timedelta(minutes=1))
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    leaf = authority.issue(builder.add_extension(strange, critical=True))
    content = json.dumps(payload(digest)).encode()
    note = {
        "dev.cosignproject.cosign/signature": b64(sign(key, content)),
        "dev.sigstore.cosign/certificate": leaf.public_bytes(Encoding.PEM).decode(),
    }
    push_simple(registry, "app", digest, [(content, note)])
    verdict = verdict_of(f"{registry.host}/app:v1", CertificateAuthority(authority.pem))
    assert_refused(verdict, "critical")


# What is asked.


def test_annotations_must_have_been_signed(registry: RegistryServer, key: Key, digest: str) -> None:
    content, note = signed_payload(payload(digest), key.sign)
    push_simple(registry, "app", digest, [(content, {**note, "env": "prod"})])
    push_bundle(registry, "app", digest, key_bundle(statement(digest, env="test"), key))
    image = f"{registry.host}/app:v1"

    def asked(value: str) -> ImageRequirement:
        return ImageRequirement(KeyAuthority(key.pem), annotations=(("env", value),))

    assert_refused(verdict_of(image, asked("prod")), "has not the annotation env=prod")
    assert verdict_of(image, asked("test")).status == "verified"


def test_the_reference_that_was_signed(registry: RegistryServer, key: Key, digest: str) -> None:
    push_simple(
        registry, "app", digest, [signed_payload(payload(digest, "evil.test/app"), key.sign)]
    )
    image = f"{registry.host}/app:v1"
    asked = ImageRequirement(KeyAuthority(key.pem), same_reference=True)
    assert_refused(verdict_of(image, asked), "was made for evil.test/app")
    push_simple(registry, "app", digest, [signed_payload(payload(digest, image), key.sign)])
    assert verdict_of(image, asked).status == "verified"


def test_combinations_of_authorities(registry: RegistryServer, key: Key, digest: str) -> None:
    second = ecdsa(ec.SECP256R1(), hashes.SHA256())
    third = ecdsa(ec.SECP256R1(), hashes.SHA256())
    pushed_layers = [signed_payload(payload(digest), one.sign) for one in (key, second)]
    push_simple(registry, "app", digest, pushed_layers)
    image = f"{registry.host}/app:v1"
    a, b, c = (KeyAuthority(one.pem) for one in (key, second, third))
    assert verdict_of(image, AllOf((a, b))).status == "verified"
    assert verdict_of(image, AtLeast(2, (a, b, c))).status == "verified"
    assert verdict_of(image, AnyOf((c, a))).status == "verified"
    assert_refused(verdict_of(image, AllOf((a, c))), "not signed by")
    assert_refused(
        verdict_of(image, AtLeast(3, (a, b, c))), "2 of 3 authorities have signed, 3 must"
    )
    assert_refused(verdict_of(image, AnyOf((c, StaticAuthority(passes=False)))), "not signed by")
    assert_refused(verdict_of(image, AllOf((a, StaticAuthority(passes=False, message="no")))), "no")


def test_a_static_authority_asks_no_registry() -> None:
    image = "127.0.0.1:1/app:v1"
    assert verdict_of(image, StaticAuthority(passes=True)).status == "verified"
    assert_refused(verdict_of(image, StaticAuthority(passes=False, message="closed")), "closed")


@pytest.mark.parametrize("signed", ["index", "platforms", "one platform"])
@pytest.mark.parametrize("target", ["index", "platforms", "either"])
def test_what_of_an_index_must_be_signed(
    registry: RegistryServer, key: Key, signed: str, target: Any
) -> None:
    platforms = [registry.push_image("multi", str(n), tag="") for n in range(3)]
    index = registry.push_index("multi", platforms)
    digests = {"index": [index], "platforms": platforms, "one platform": platforms[:1]}[signed]
    for one in digests:
        push_simple(registry, "multi", one, [signed_payload(payload(one), key.sign)])
    verdict = verdict_of(
        f"{registry.host}/multi:v1", ImageRequirement(KeyAuthority(key.pem), target=target)
    )
    fulfilled = signed != "one platform" and target in {signed, "either"}
    assert verdict.status == ("verified" if fulfilled else "refused"), verdict.reasons
    assert verdict.digest == index


def test_conditions_of_attestations(registry: RegistryServer, key: Key, digest: str) -> None:
    push_dsse(registry, "app", digest, statement(digest, VULN, {"critical": 2}), key.sign)
    image = f"{registry.host}/app:v1"

    def asked(most: int) -> ImageRequirement:
        def condition(predicate: Any) -> str | None:
            found = predicate["critical"]
            return None if found <= most else f"has {found} critical CVEs"

        demand = AttestationRequirement(VULN, condition, KeyAuthority(key.pem))
        return ImageRequirement(None, attestations=(demand,))

    verdict = verdict_of(image, asked(2))
    assert verdict.status == "verified", verdict.reasons
    assert verdict.attestations[0].predicate == {"critical": 2}
    assert_refused(verdict_of(image, asked(1)), "has 2 critical CVEs")


def test_a_static_authority_attests_nothing(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    static = StaticAuthority(passes=True)
    demand = AttestationRequirement(VULN)
    image = f"{registry.host}/app:v1"
    asked = ImageRequirement(static, attestations=(demand,))
    assert_refused(verdict_of(image, asked), "a static authority attests nothing")
    either = ImageRequirement(AnyOf((static, KeyAuthority(key.pem))), attestations=(demand,))
    assert verdict_of(image, either).status == "refused"
    push_dsse(registry, "app", digest, statement(digest, VULN, {}), key.sign)
    assert verdict_of(image, either).status == "verified"


def test_a_condition_that_fails_never_passes(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    push_dsse(registry, "app", digest, statement(digest, VULN, {}), key.sign)

    def condition(_: Any) -> str | None:
        raise ZeroDivisionError("defect")

    demand = AttestationRequirement(VULN, condition, KeyAuthority(key.pem))
    verdict = verdict_of(f"{registry.host}/app:v1", ImageRequirement(None, attestations=(demand,)))
    assert verdict.status == "unknown"
    assert "defect" in verdict.reasons[0]


def test_an_envelope_of_another_payload_type(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    bundle = key_bundle(statement(digest), key)
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"
    push_bundle(registry, "app", digest, bundle)
    assert_refused(judged(registry, key), "payload type is 'text/plain'")


def test_a_bundle_over_a_file(registry: RegistryServer, key: Key, digest: str) -> None:
    bundle = key_bundle(statement(digest), key)
    bundle["messageSignature"] = {"signature": b64(b"x")}
    push_bundle(registry, "app", digest, bundle)
    assert_refused(judged(registry, key), "signs a file and not an image")


def test_a_log_that_is_demanded_of_a_key(
    registry: RegistryServer, world: World, key: Key, digest: str
) -> None:
    authority = KeyAuthority(
        key.pem, transparency_log=True, trusted_root=TrustedRoot(world.trusted_root)
    )
    image = f"{registry.host}/app:v1"
    push_simple(registry, "app", digest, [signed_payload(payload(digest), key.sign)])
    assert_refused(verdict_of(image, authority), "has no transparency log entry")
    raw = json.dumps(statement(digest)).encode()
    signed = envelope(raw, key.sign)
    signature = signed["signatures"][0]["sig"]
    other = ecdsa(ec.SECP256R1(), hashes.SHA256())
    for content, made, who, reason in (
        (b"{}", signature, key, "of another payload"),
        (raw, b64(b"x"), key, "of another signature or key"),
        (raw, signature, other, "of another signature or key"),
    ):
        bundle = key_bundle(raw, key)
        bundle["dsseEnvelope"] = signed
        body = dsse_body(content, made, who.pem.encode())
        entry = world.entry(body, datetime.now(UTC))
        bundle["verificationMaterial"]["tlogEntries"] = [entry]
        push_bundle(registry, "app", digest, bundle)
        assert_refused(verdict_of(image, authority), reason)


def test_a_simple_signing_referrer_of_another_image(
    registry: RegistryServer, key: Key, digest: str
) -> None:
    content, note = signed_payload(payload("sha256:" + "2" * 64), key.sign)
    push_simple_referrer(registry, "app", digest, content, note)
    assert_refused(judged(registry, key), "is of another image")
