"""An own authority whose certificates all have Ed25519 keys: what leads to its root, and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import payload, push_simple, sign_hash, signed_payload
from tests.rules.signatures.sigstore_world import name, usage
from tidewaiter.rules.signatures.authority import CertificateAuthority, TextMatch
from tidewaiter.rules.signatures.ed25519_chain import NoPath, find_path
from tidewaiter.rules.signatures.verdict import ImageVerdict

NOW = datetime.now(UTC)
SUBJECT = "https://ci.example.com/release"
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


class Issuer:
    """A certificate with an Ed25519 key, and that key."""

    def __init__(
        self,
        common_name: str,
        above: Issuer | None = None,
        *,
        ca: bool | None = True,
        path_length: int | None = None,
        certifies: bool = True,
        days: int = 300,
        more: Extensions = (),
        key: Any = None,
    ) -> None:
        self.key = key or ed25519.Ed25519PrivateKey.generate()
        self.name: str = common_name
        builder = start(common_name, above.name if above else common_name, self.key, days)
        if ca is not None:
            constraints = x509.BasicConstraints(ca=ca, path_length=path_length)
            builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(usage(sign_certificates=certifies), critical=True)
        for extension, critical in more:
            builder = builder.add_extension(extension, critical=critical)
        signer = above.key if above else self.key
        self.certificate = builder.sign(signer, _hash_of(signer))

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def _hash_of(key: Any) -> Any:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def start(common_name: str, issuer: str, key: Any, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=100))
        .not_valid_after(NOW - timedelta(days=100) + timedelta(days=days))
    )


def leaf_of(
    issuer: Issuer,
    key: ed25519.Ed25519PrivateKey,
    more: Extensions | None = None,
) -> x509.Certificate:
    builder = start("release", issuer.name, key, 300)
    subject = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SUBJECT)])
    code = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    usual: Extensions = ((usage(), True), (code, False))
    for extension, critical in (*(usual if more is None else more), (subject, False)):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer.key, _hash_of(issuer.key))


@pytest.fixture
def key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def signed_by(
    registry: RegistryServer,
    key: ed25519.Ed25519PrivateKey,
    leaf: x509.Certificate,
    chain: str,
    roots: str,
) -> ImageVerdict:
    """Sign an image as cosign 3 does with such a key, and verify it by roots."""
    digest = registry.push_image("app")
    content, note = signed_payload(payload(digest), lambda message: sign_hash(key, message))
    note["dev.sigstore.cosign/certificate"] = leaf.public_bytes(Encoding.PEM).decode()
    note["dev.sigstore.cosign/chain"] = chain
    push_simple(registry, "app", digest, [(content, note)])
    authority = CertificateAuthority(roots, subject=TextMatch(SUBJECT))
    return verdict_of(f"{registry.host}/app:v1", authority)


def test_a_chain_that_leads_to_a_root(
    registry: RegistryServer, key: ed25519.Ed25519PrivateKey
) -> None:
    root = Issuer("root", path_length=1)
    between = Issuer("between", root, path_length=0)
    leaf = leaf_of(between, key)
    verdict = signed_by(registry, key, leaf, between.pem + root.pem, root.pem)
    assert verdict.status == "verified", verdict.reasons
    assert verdict.evidence[0].signer == SUBJECT
    # Without the one between there is no path; another root of the same name has issued nothing.
    for chain, roots in (("", root.pem), (between.pem + root.pem, Issuer("root").pem)):
        verdict = signed_by(registry, key, leaf, chain, roots)
        assert verdict.status == "refused"
        assert "leads to none of the roots" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ca": False}, "an issuer is no CA"),
        ({"ca": None}, "an issuer is no CA"),
        ({"certifies": False}, "an issuer may not sign certificates"),
        ({"days": 10}, "is not valid at that time"),
        (
            {"more": [(x509.NameConstraints([x509.DNSName("example.com")], None), True)]},
            "has name constraints",
        ),
        (
            {
                "more": [
                    (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)
                ]
            },
            "the critical extension 1.2.3.4",
        ),
    ],
    ids=["no CA", "no constraints", "no use", "ended", "constrained", "critical"],
)
@pytest.mark.parametrize("who", ["root", "between"])
def test_an_issuer_that_may_not_issue(
    registry: RegistryServer,
    key: ed25519.Ed25519PrivateKey,
    change: dict[str, Any],
    reason: str,
    who: str,
) -> None:
    root = Issuer("root", **(change if who == "root" else {}))
    between = Issuer("between", root, **(change if who == "between" else {}))
    verdict = signed_by(registry, key, leaf_of(between, key), between.pem, root.pem)
    assert verdict.status == "refused"
    assert reason in verdict.reasons[0]


def test_a_path_that_is_longer_than_its_root_allows(
    registry: RegistryServer, key: ed25519.Ed25519PrivateKey
) -> None:
    root = Issuer("root", path_length=0)
    between = Issuer("between", root)
    verdict = signed_by(registry, key, leaf_of(between, key), between.pem, root.pem)
    assert verdict.status == "refused"
    assert "allows no path of that length" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ([(x509.BasicConstraints(ca=True, path_length=None), True)], "is a CA's"),
        ([(usage(sign_certificates=True), True)], "is not for signing"),
        ([(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)], "for signing code"),
        (
            [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)],
            "the critical extension 1.2.3.4",
        ),
    ],
    ids=["CA", "certificates only", "server", "critical"],
)
def test_a_leaf_that_is_not_for_this(
    registry: RegistryServer, key: ed25519.Ed25519PrivateKey, more: Extensions, reason: str
) -> None:
    root = Issuer("root")
    verdict = signed_by(registry, key, leaf_of(root, key, more), "", root.pem)
    assert verdict.status == "refused"
    assert reason in verdict.reasons[0]


def test_a_root_of_another_kind_of_key(
    registry: RegistryServer, key: ed25519.Ed25519PrivateKey
) -> None:
    root = Issuer("root", key=ec.generate_private_key(ec.SECP256R1()))
    between = Issuer("between", root)
    verdict = signed_by(registry, key, leaf_of(between, key), between.pem, root.pem)
    assert verdict.status == "refused"
    assert "with an Ed25519 key" in verdict.reasons[0]


def test_a_changed_certificate(registry: RegistryServer, key: ed25519.Ed25519PrivateKey) -> None:
    root = Issuer("root")
    der = bytearray(leaf_of(root, key).public_bytes(Encoding.DER))
    der[-1] ^= 1
    leaf = x509.load_der_x509_certificate(bytes(der))
    assert signed_by(registry, key, leaf, "", root.pem).status == "refused"


def test_certificates_that_all_issue_each_other_cost_little() -> None:
    """Of one name and one key, each seems to be issued by every other, and none by the root."""
    key = ed25519.Ed25519PrivateKey.generate()
    same = [Issuer("same", key=key) for _ in range(15)]
    leaf = leaf_of(same[0], ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(NoPath):
        find_path(leaf, [each.certificate for each in same], [Issuer("root").certificate], NOW)
