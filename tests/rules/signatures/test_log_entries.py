"""What a log's entry must record of an envelope, and when the log and the authority must have been in force."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import (
    BUNDLE,
    DSSE,
    b64,
    envelope,
    keys,
    pae,
    payload,
    push_bundle,
    push_simple,
    signed_payload,
    statement,
)
from tests.rules.signatures.sigstore_world import (
    HAS_OPENSSL,
    ISSUER,
    SUBJECT,
    World,
    dsse_2_body,
    dsse_body,
    intoto_1_body,
    intoto_2_body,
    new_key,
    record_body,
    sign,
)
from tidewaiter.rules.signatures.authority import (
    AttestationRequirement,
    CertificateAuthority,
    Identity,
    ImageRequirement,
    KeyAuthority,
    KeylessAuthority,
    TextMatch,
    TrustedRoot,
)
from tidewaiter.rules.signatures.candidate import read_bundle, read_dsse
from tidewaiter.rules.signatures.keyless import check_keyless
from tidewaiter.rules.signatures.keys import read_public_key
from tidewaiter.rules.signatures.log_body import check_body
from tidewaiter.rules.signatures.statement import IN_TOTO, BadSignature
from tidewaiter.rules.signatures.verdict import ImageVerdict

PREDICATE = "https://slsa.dev/provenance/v0.2"
PUBLISHED = Path(__file__).parent / "published"
KINDS = ("intoto/0.0.1", "intoto/0.0.2", "hashedrekord/0.0.1", "dsse/0.0.1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


class Attested:
    """An image with one attestation of an identity, whose log entry a test may make otherwise."""

    def __init__(self, registry: RegistryServer, world: World) -> None:
        self.registry = registry
        self.world = world
        self.digest = registry.push_image("app")
        self.key = new_key()
        self.certificate = world.certificate(self.key)
        self.content = json.dumps(statement(self.digest, PREDICATE, {"n": 1})).encode()
        self.envelope = envelope(self.content, lambda message: sign(self.key, message))
        # Within the certificate, and long enough ago for periods that begin after it to have begun.
        self.moment = datetime.now(UTC) - timedelta(seconds=20)

    @property
    def signature(self) -> str:
        signature: str = self.envelope["signatures"][0]["sig"]
        return signature

    @property
    def layer(self) -> bytes:
        return json.dumps(self.envelope).encode()

    @property
    def verifier(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def body(self, kind: str, verifier: bytes | None = None) -> dict[str, Any]:
        who = verifier or self.verifier
        if kind == "intoto/0.0.1":
            return intoto_1_body(self.layer, self.content, who)
        if kind == "intoto/0.0.2":
            return intoto_2_body(self.content, self.signature, who)
        if kind == "dsse/0.0.1":
            return dsse_body(self.content, self.signature, who)
        return record_body(pae(self.content), self.signature, who)

    def push(self, form: str, body: dict[str, Any]) -> None:
        if form == "tag":
            note = {
                "dev.sigstore.cosign/certificate": self.verifier.decode(),
                "dev.sigstore.cosign/bundle": self.world.log_annotation(body, self.moment),
            }
            push_simple(self.registry, "app", self.digest, [(self.layer, note)], ".att", DSSE)
            return
        self.push_entry(self.world.entry(body, self.moment))

    def push_entry(self, entry: dict[str, Any], **material: Any) -> None:
        """Push a bundle with a log entry and what else may speak for the signature."""
        raw = b64(self.certificate.public_bytes(Encoding.DER))
        bundle = {
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": {"rawBytes": raw},
                "tlogEntries": [entry],
                **material,
            },
            "dsseEnvelope": self.envelope,
        }
        push_bundle(self.registry, "app", self.digest, bundle)

    def verdict(self, authority: str, trusted_root: str | None = None) -> ImageVerdict:
        root = TrustedRoot(trusted_root or self.world.trusted_root)
        who: KeyAuthority | CertificateAuthority | KeylessAuthority
        if authority == "key":
            public = self.key.public_key().public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
            who = KeyAuthority(public.decode(), transparency_log=True, trusted_root=root)
        elif authority == "certificate":
            who = CertificateAuthority(
                self.world.authority.pem, transparency_log=True, trusted_root=root
            )
        else:
            who = KeylessAuthority((Identity(TextMatch(ISSUER), TextMatch(SUBJECT)),), root)
        demand = AttestationRequirement(PREDICATE, authorities=who)
        asked = ImageRequirement(None, attestations=(demand,))
        return verdict_of(f"{self.registry.host}/app:v1", asked)


@pytest.fixture
def attested(registry: RegistryServer, world: World) -> Attested:
    return Attested(registry, world)


@pytest.mark.parametrize("authority", ["key", "certificate", "keyless"])
@pytest.mark.parametrize("form", ["tag", "bundle"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_entry_that_an_envelope_may_have(
    attested: Attested, kind: str, form: str, authority: str
) -> None:
    attested.push(form, attested.body(kind))
    verdict = attested.verdict(authority)
    if (kind, form) == ("intoto/0.0.1", "bundle"):
        # It records the hash of the envelope's text, which a bundle does not keep.
        assert verdict.status == "refused"
        assert "a hash of the envelope" in verdict.reasons[0]
        return
    assert verdict.status == "verified", verdict.reasons
    assert verdict.evidence[0].signed_at == int(attested.moment.timestamp())


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl, which plays the authority, is not installed")
@pytest.mark.parametrize("authority", ["key", "certificate", "keyless"])
@pytest.mark.parametrize("change", ["", "payload", "signature", "signer", "time"])
def test_an_envelope_in_a_log_of_rekor_2(
    attested: Attested, world: World, change: str, authority: str
) -> None:
    """Its time is a time-stamping authority's; what the log recorded must be this very envelope."""
    other = world.certificate(new_key()) if change == "signer" else attested.certificate
    verifier = {
        "x509Certificate": {"rawBytes": b64(other.public_bytes(Encoding.DER))},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    content = b"{}" if change == "payload" else attested.content
    signature = b64(sign(attested.key, b"x")) if change == "signature" else attested.signature
    entry = world.entry(dsse_2_body(content, signature, verifier), None, promised=False)
    assert world.timestamps is not None
    stamped = b"another signature" if change == "time" else base64.b64decode(attested.signature)
    stamps = [{"signedTimestamp": b64(world.timestamps.stamp(stamped))}]
    attested.push_entry(entry, timestampVerificationData={"rfc3161Timestamps": stamps})
    verdict = attested.verdict(authority)
    if change and (change != "time" or authority == "keyless"):
        assert verdict.status == "refused"
    else:
        assert verdict.status == "verified", verdict.reasons


@pytest.mark.parametrize("kind", keys())
@pytest.mark.parametrize("form", ["payload", "attestation", "bundle"])
def test_an_identity_whose_key_is_of_any_kind(
    registry: RegistryServer, world: World, kind: str, form: str
) -> None:
    """As `cosign sign --issue-certificate` has an imported key certified."""
    key = keys()[kind]
    algorithm = {"ECDSA P-384": "sha384", "ECDSA P-521": "sha512"}.get(
        kind, "sha512" if "25519" in kind else "sha256"
    )
    other = keys()["RSA PSS" if "RSA" not in kind else "Ed25519"]
    for signer, expected in ((key, "verified"), (other, "refused")):
        one = Attested(registry, world)
        one.key = key.private
        one.certificate = world.certificate(key.private)
        one.envelope = envelope(one.content, signer.sign)
        if form == "payload":
            content, note = signed_payload(payload(one.digest), signer.sign)
            body = record_body(content, note["dev.cosignproject.cosign/signature"], one.verifier)
            _hash_by(body["spec"]["data"]["hash"], algorithm, content)
            note["dev.sigstore.cosign/certificate"] = one.verifier.decode()
            note["dev.sigstore.cosign/bundle"] = world.log_annotation(body, one.moment)
            push_simple(registry, "app", one.digest, [(content, note)])
            identity = Identity(TextMatch(ISSUER), TextMatch(SUBJECT))
            who = KeylessAuthority((identity,), TrustedRoot(world.trusted_root))
            verdict = verdict_of(f"{registry.host}/app:v1", who)
        else:
            one.push(form.replace("attestation", "tag"), one.body("dsse/0.0.1"))
            verdict = one.verdict("keyless")
        assert verdict.status == expected, verdict.reasons
        registry.manifests.clear()


def _hash_by(stated: dict[str, str], algorithm: str, content: bytes) -> None:
    stated["algorithm"] = algorithm
    stated["value"] = hashlib.new(algorithm, content).hexdigest()


def _other_payload(one: Attested, kind: str) -> dict[str, Any]:
    body = one.body(kind)
    spec = body["spec"]
    hashed = {
        "intoto": lambda: spec["content"]["payloadHash"],
        "hashedrekord": lambda: spec["data"]["hash"],
        "dsse": lambda: spec["payloadHash"],
    }[body["kind"]]()
    hashed["value"] = "1" * 64
    return body


def _other_signer(one: Attested, kind: str) -> dict[str, Any]:
    other = one.world.certificate(new_key())
    return one.body(kind, other.public_bytes(Encoding.PEM))


def _another_signature(one: Attested, kind: str) -> dict[str, Any]:
    """The entry of another envelope with the same payload, key and certificate."""
    second = Attested(one.registry, one.world)
    second.key, second.certificate, second.content = one.key, one.certificate, one.content
    second.envelope = envelope(one.content, lambda message: sign(one.key, message))
    assert second.signature != one.signature
    return second.body(kind)


def _nothing(one: Attested, kind: str) -> dict[str, Any]:
    return {**one.body(kind), "spec": {}}


def _another_version(one: Attested, kind: str) -> dict[str, Any]:
    return {**one.body(kind), "apiVersion": "0.0.3"}


ATTACKS: dict[str, Callable[[Attested, str], dict[str, Any]]] = {
    "another payload": _other_payload,
    "another signer": _other_signer,
    "another signature": _another_signature,
    "nothing recorded": _nothing,
    "another version": _another_version,
}


@pytest.mark.parametrize("authority", ["key", "keyless"])
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_records_something_else(
    attested: Attested, kind: str, attack: str, authority: str
) -> None:
    """The log has the entry, and it is not of this envelope."""
    form = "tag" if kind == "intoto/0.0.1" else "bundle"
    attested.push(form, ATTACKS[attack](attested, kind))
    verdict = attested.verdict(authority)
    assert verdict.status == "refused", verdict
    assert not verdict.evidence
    assert "log entry" in verdict.reasons[0].lower() or "bundle" in verdict.reasons[0]


@pytest.mark.parametrize("authority", ["key", "keyless"])
@pytest.mark.parametrize(
    "missing", ["signatures", "publicKey", "sig", "payloadHash", "payloadType"]
)
def test_an_intoto_entry_that_lacks_a_field(
    attested: Attested, missing: str, authority: str
) -> None:
    body = attested.body("intoto/0.0.2")
    content = body["spec"]["content"]
    if missing == "signatures":
        content["envelope"]["signatures"] = []
    elif missing == "payloadHash":
        del content["payloadHash"]
    elif missing == "payloadType":
        content["envelope"]["payloadType"] = "text/plain"
    else:
        del content["envelope"]["signatures"][0][missing]
    attested.push("bundle", body)
    verdict = attested.verdict(authority)
    assert verdict.status == "refused"
    assert "log entry" in verdict.reasons[0]


NAMES = (
    *("spec", "content", "hash", "payloadHash", "algorithm", "value", "envelope", "payloadType"),
    *("signatures", "sig", "publicKey", "data", "signature", "verifier", "hashedRekordV002"),
    *("dsseV002", "digest", "x509Certificate", "rawBytes"),
)
FIELDS = st.recursive(
    st.none()
    | st.integers()
    | st.sampled_from(["", "sha256", "SHA2_256", "AAAA", "0" * 64, IN_TOTO]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=16,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*KINDS, "hashedrekord/0.0.2", "dsse/0.0.2"]), FIELDS)
def test_whatever_an_entry_records_it_is_refused_in_words(kind: str, spec: Any) -> None:
    content = json.dumps(statement("sha256:" + "0" * 64)).encode()
    signed = json.dumps(envelope(content, lambda _: b"\0\0\0")).encode()
    candidate = read_dsse("tag", "", signed, {})
    name, _, version = kind.partition("/")
    body = json.dumps({"kind": name, "apiVersion": version, "spec": spec}).encode()
    key = read_public_key(keys()["ECDSA P-256"].pem)
    with pytest.raises(BadSignature, match="its log entry"):
        check_body(body, candidate, key, b"\0\0\0")


@pytest.mark.parametrize("kind", ["intoto/0.0.2", "dsse/0.0.1", "hashedrekord/0.0.1"])
@pytest.mark.parametrize(
    "stated", [("dsse", "0.0.1"), ("intoto", "0.0.2"), ("hashedrekord", "0.0.2")]
)
def test_the_kind_that_a_bundle_states_is_not_believed(
    attested: Attested, kind: str, stated: tuple[str, str]
) -> None:
    """What decides is the body that the log has; a lie about it never makes a yes of another envelope."""
    body = _another_signature(attested, kind)
    attested.push("bundle", {**body, "kind": stated[0], "apiVersion": stated[1]})
    assert attested.verdict("keyless").status == "refused"


def test_the_promise_of_an_intoto_entry_is_verified(attested: Attested, world: World) -> None:
    body = attested.body("intoto/0.0.2")
    entry = world.entry(body, attested.moment)
    # Within the certificate's ten minutes, so that only the promise can refuse it.
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 60)
    attested.push_entry(entry)
    for authority in ("key", "keyless"):
        verdict = attested.verdict(authority)
        assert verdict.status == "refused"
        assert "inclusion promise" in verdict.reasons[0]


def test_an_intoto_entry_after_the_certificate_had_ended(
    registry: RegistryServer, world: World
) -> None:
    attested = Attested(registry, world)
    attested.certificate = world.certificate(
        attested.key, start=datetime.now(UTC) - timedelta(hours=1)
    )
    attested.push("bundle", attested.body("intoto/0.0.2"))
    verdict = attested.verdict("keyless")
    assert verdict.status == "refused"
    assert "expired" in verdict.reasons[0] or "not valid" in verdict.reasons[0]


@pytest.mark.parametrize("kind", ["intoto/0.0.2", "dsse/0.0.1"])
@pytest.mark.parametrize("member", ["tlogs", "ctlogs", "certificateAuthorities"])
@pytest.mark.parametrize("when", ["ended before", "ends then", "began after"])
def test_members_of_the_trust_root_count_only_while_they_were_in_force(
    attested: Attested, member: str, when: str, kind: str
) -> None:
    """A retired key may have leaked; both ends of a period belong to it."""
    attested.push("bundle", attested.body(kind))
    # The certificate's transparency stamp is of its beginning.
    moment = attested.moment.replace(microsecond=0)
    if member == "ctlogs":
        moment = attested.certificate.not_valid_before_utc
    period = {
        "ended before": {"start": "2020-01-01T00:00:00Z", "end": _stated(moment, -1)},
        "ends then": {"start": "2020-01-01T00:00:00Z", "end": _stated(moment, 0)},
        # Not later than now: what has not begun at all the library leaves out by itself.
        "began after": {"start": _stated(moment, 1)},
    }[when]
    root = json.loads(attested.world.trusted_root)
    place = root[member][0]
    (place if member == "certificateAuthorities" else place["publicKey"])["validFor"] = period
    verdict = attested.verdict("keyless", json.dumps(root))
    if when == "ends then":
        assert verdict.status == "verified", verdict.reasons
    else:
        assert verdict.status == "refused"


@pytest.mark.parametrize("form", ["tag", "bundle"])
def test_a_log_that_was_retired_vouches_for_no_later_signature_of_a_key(
    attested: Attested, form: str
) -> None:
    attested.push(form, attested.body("dsse/0.0.1"))
    root = json.loads(attested.world.trusted_root)
    root["tlogs"][0]["publicKey"]["validFor"]["end"] = _stated(attested.moment, -60)
    verdict = attested.verdict("key", json.dumps(root))
    assert verdict.status == "refused"
    assert "no log of the trust root was in force" in verdict.reasons[0]


def test_a_trust_root_as_cosign_writes_it(attested: Attested) -> None:
    """`cosign trusted-root create` leaves out texts and lists that are empty."""
    attested.push("bundle", attested.body("dsse/0.0.1"))
    root = json.loads(attested.world.trusted_root)
    for member in ("certificateAuthorities", "timestampAuthorities"):
        for authority in root[member]:
            del authority["subject"]["organization"]
    assert attested.verdict("keyless", json.dumps(root)).status == "verified"
    del root["certificateAuthorities"], root["ctlogs"], root["timestampAuthorities"]
    assert attested.verdict("key", json.dumps(root)).status == "verified"
    broken: dict[str, Any]
    for broken in (
        {"certificateAuthorities": [1]},
        {"ctlogs": 1},
        {"tlogs": [{}]},
        {"tlogs": None},
    ):
        verdict = attested.verdict("key", json.dumps({**root, **broken}))
        assert verdict.status == "unknown"
        assert "the trust root cannot be used" in verdict.reasons[0]


def test_a_period_without_a_beginning_is_no_period(attested: Attested) -> None:
    attested.push("bundle", attested.body("dsse/0.0.1"))
    root = json.loads(attested.world.trusted_root)
    del root["tlogs"][0]["publicKey"]["validFor"]["start"]
    verdict = attested.verdict("keyless", json.dumps(root))
    assert verdict.status == "unknown"
    assert "the trust root cannot be used" in verdict.reasons[0]


def test_a_trust_root_of_logs_alone_is_enough_for_keys(attested: Attested) -> None:
    attested.push("bundle", attested.body("intoto/0.0.2"))
    root = json.loads(attested.world.trusted_root)
    root.update(certificateAuthorities=[], ctlogs=[], timestampAuthorities=[])
    verdict = attested.verdict("key", json.dumps(root))
    assert verdict.status == "verified", verdict.reasons
    verdict = attested.verdict("keyless", json.dumps(root))
    assert verdict.status == "unknown"
    assert "names no certificate authority" in verdict.reasons[0]


def test_an_authority_of_the_same_name_does_not_hide_the_real_one(
    attested: Attested, world: World
) -> None:
    """Two intermediates of one name and different keys, as Sigstore itself once served them."""
    attested.push("bundle", attested.body("dsse/0.0.1"))
    decoy = World(world.folder)
    root = json.loads(world.trusted_root)
    other = json.loads(decoy.trusted_root)["certificateAuthorities"]
    root["certificateAuthorities"] = other + root["certificateAuthorities"]
    verdict = attested.verdict("keyless", json.dumps(root))
    assert verdict.status == "verified", verdict.reasons


def test_a_bundle_whose_entry_has_no_proof_of_inclusion(attested: Attested, world: World) -> None:
    entry = world.entry(attested.body("intoto/0.0.2"), attested.moment)
    del entry["inclusionProof"]
    attested.push_entry(entry)
    for authority in ("key", "keyless"):
        verdict = attested.verdict(authority)
        assert verdict.status == "refused"
        assert "no proof of inclusion" in verdict.reasons[0]


def test_a_bundle_that_brings_its_chain(attested: Attested, world: World) -> None:
    """As cosign 3 writes it with --certificate-chain; only the trust root's authorities count."""
    chain = [attested.certificate, world.authority.certificate]
    entry = world.entry(attested.body("dsse/0.0.1"), attested.moment)

    def push(listed: list[x509.Certificate]) -> None:
        raw = [{"rawBytes": b64(each.public_bytes(Encoding.DER))} for each in listed]
        material = {"x509CertificateChain": {"certificates": raw}, "tlogEntries": [entry]}
        push_bundle(
            attested.registry,
            "app",
            attested.digest,
            {
                "mediaType": BUNDLE,
                "verificationMaterial": material,
                "dsseEnvelope": attested.envelope,
            },
        )

    push(chain[::-1])
    assert attested.verdict("keyless").status == "refused"
    push(chain)
    verdict = attested.verdict("keyless")
    assert verdict.status == "verified", verdict.reasons
    elsewhere = json.loads(World(world.folder).trusted_root)["certificateAuthorities"]
    root = {**json.loads(world.trusted_root), "certificateAuthorities": elsewhere}
    assert attested.verdict("keyless", json.dumps(root)).status == "refused"


@pytest.mark.parametrize("authority", ["key", "keyless"])
def test_the_first_entry_of_a_log_as_cosign_writes_it(
    attested: Attested, world: World, authority: str
) -> None:
    """Numbers that are zero and lists that are empty are left out."""
    entry = world.entry(attested.body("dsse/0.0.1"), attested.moment)
    del entry["logIndex"], entry["inclusionProof"]["logIndex"], entry["inclusionProof"]["hashes"]
    attested.push_entry(entry)
    verdict = attested.verdict(authority)
    assert verdict.status == "verified", verdict.reasons


PUBLIC = {
    "cosign-attestation": ("cody@soyland.com", "https://github.com/login/oauth", 1740770291.0),
    "sigstore-js-provenance": (
        "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
        "https://token.actions.githubusercontent.com",
        1692374735.0,
    ),
}


@pytest.fixture(scope="module")
def public_root() -> TrustedRoot:
    """That of Sigstore's public instance, as the library ships it."""
    folder = resources.files("sigstore") / "_store" / "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
    return TrustedRoot((folder / "trusted_root.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PUBLIC)
def test_bundles_of_the_public_instance_verify_offline(name: str, public_root: TrustedRoot) -> None:
    subject, issuer, signed_at = PUBLIC[name]
    content = (PUBLISHED / f"{name}.sigstore.json").read_bytes()
    authority = KeylessAuthority((Identity(TextMatch(issuer), TextMatch(subject)),), public_root)
    signer = check_keyless(authority, read_bundle("bundle", "", content))
    assert signer.name == f"{subject} (issuer {issuer})"
    assert signer.signed_at == signed_at
    other = KeylessAuthority(
        (Identity(TextMatch(issuer), TextMatch("me@example.com")),), public_root
    )
    with pytest.raises(BadSignature, match="no identity that may sign"):
        check_keyless(other, read_bundle("bundle", "", content))


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("part", ["tlogEntries", "certificate", "dsseEnvelope"])
def test_parts_of_two_published_bundles_make_no_third(
    name: str, part: str, public_root: TrustedRoot
) -> None:
    """Both are valid, and what vouches for the one does not for the other (CVE-2022-36056)."""
    mine, other = (
        json.loads((PUBLISHED / f"{each}.sigstore.json").read_bytes())
        for each in (name, *(PUBLIC.keys() - {name}))
    )
    if part == "dsseEnvelope":
        mine[part] = other[part]
    elif part == "tlogEntries":
        mine["verificationMaterial"][part] = other["verificationMaterial"][part]
    else:
        entries = mine["verificationMaterial"]["tlogEntries"]
        mine["mediaType"] = other["mediaType"]
        mine["verificationMaterial"] = {**other["verificationMaterial"], "tlogEntries": entries}
    anyone = Identity(TextMatch(".", is_pattern=True), TextMatch(".", is_pattern=True))
    authority = KeylessAuthority((anyone,), public_root)
    with pytest.raises(BadSignature):
        check_keyless(authority, read_bundle("bundle", "", json.dumps(mine).encode()))


def _stated(moment: datetime, seconds: int) -> str:
    return (moment + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
