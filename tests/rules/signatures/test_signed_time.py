"""Signed times in the forms of different authorities: which certificates they bring, how they hash, who may sign."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.rules.signatures.sigstore_world import HAS_OPENSSL, Authority, new_key
from tidewaiter.rules.signatures.authority import TimestampAuthority
from tidewaiter.rules.signatures.signed_time import in_order, signed_times
from tidewaiter.rules.signatures.statement import BadSignature

pytestmark = pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
SIGNED = b"a signature"


class Stamping:
    """A time-stamping authority below an intermediate one, played by openssl."""

    def __init__(self, folder: Path, *, days: int = 30) -> None:
        self.folder = folder
        self.root = Authority("stamping-root.test")
        self.between = self.root.issuer("stamping-ca.test")
        key = new_key()
        self.leaf = self.between.issue(
            self.between.leaf(
                key,
                start=datetime.now(UTC) - timedelta(days=20),
                minutes=60 * 24 * days,
                subject="https://stamping.test",
                purpose=ExtendedKeyUsageOID.TIME_STAMPING,
                critical_purpose=True,
                common_name="stamping.test",
            )
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(private)
        (folder / "leaf.pem").write_text(pem(self.leaf))
        (folder / "chain.pem").write_text(self.between.pem + self.root.pem)
        (folder / "serial").write_text("01\n")

    def stamp(self, digest: str = "sha256", *, embedded: bool = True) -> bytes:
        names = ("signature", "query", "reply", "tsa.cnf")
        data, query, reply, config = (self.folder / name for name in names)
        data.write_bytes(SIGNED)
        config.write_text(
            f"[tsa]\ndefault_tsa = one\n[one]\nserial = {self.folder}/serial\n"
            f"signer_cert = {self.folder}/leaf.pem\nsigner_key = {self.folder}/key.pem\n"
            f"certs = {self.folder}/chain.pem\nsigner_digest = {digest}\ndigests = {digest}\n"
            "default_policy = 2.16.840.1.114412.7.1\naccuracy = secs:1, millisecs:500, microsecs:100\n"
            "ordering = yes\ntsa_name = yes\ness_cert_id_chain = yes\ness_cert_id_alg = sha256\n"
        )
        asked = ["-cert"] if embedded else []
        commands: tuple[list[str | Path], ...] = (
            ["-query", "-data", data, f"-{digest}", *asked, "-out", query],
            ["-reply", "-queryfile", query, "-config", config, "-out", reply],
        )
        for words in commands:
            subprocess.run(["openssl", "ts", *words], check=True, capture_output=True)
        return reply.read_bytes()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture(scope="module")
def stamping(tmp_path_factory: pytest.TempPathFactory) -> Stamping:
    return Stamping(tmp_path_factory.mktemp("stamping"))


def times(stamp: bytes, *chains: str, signed: bytes = SIGNED) -> list[datetime]:
    return signed_times((stamp,), signed, [TimestampAuthority(chain) for chain in chains])


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("embedded", [True, False], ids=["with certificates", "without"])
def test_each_form_of_a_stamp(stamping: Stamping, digest: str, embedded: bool) -> None:
    """With all certificates openssl's are in the order of its configuration, which is not that of DER."""
    stamp = stamping.stamp(digest, embedded=embedded)
    chain = pem(stamping.leaf) + stamping.between.pem + stamping.root.pem
    (moment,) = times(stamp, chain)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    with pytest.raises(BadSignature, match="Mismatch between messages"):
        times(stamp, chain, signed=b"another signature")


def test_the_authoritys_certificates_may_be_stated_in_any_order(stamping: Stamping) -> None:
    leaf, between, root = pem(stamping.leaf), stamping.between.pem, stamping.root.pem
    stamp = stamping.stamp()
    for chain in (
        leaf + between + root,
        root + between + leaf,
        between + root,
        root + leaf,
        root,
        root + root,
    ):
        assert times(stamp, chain)


def test_a_stamp_of_another_authority(stamping: Stamping, tmp_path: Path) -> None:
    other = Stamping(tmp_path)
    stamp = stamping.stamp()
    for chain in (other.root.pem, pem(other.leaf) + other.between.pem + other.root.pem):
        with pytest.raises(BadSignature, match="its signed time is not valid"):
            times(stamp, chain)
    assert times(stamp, other.root.pem, stamping.root.pem)
    # A certificate that is stated for the signer admits no other, though both are of the same root.
    key = new_key()
    second = stamping.between.issue(
        stamping.between.leaf(
            key,
            start=datetime.now(UTC) - timedelta(days=1),
            purpose=ExtendedKeyUsageOID.TIME_STAMPING,
            critical_purpose=True,
        )
    )
    chain = pem(second) + stamping.between.pem + stamping.root.pem
    with pytest.raises(BadSignature, match="does not match the one"):
        times(stamp, chain)
    assert times(stamp, chain + pem(stamping.leaf))


def test_a_stamp_after_the_authoritys_certificate_had_ended(tmp_path: Path) -> None:
    ended = Stamping(tmp_path, days=10)
    with pytest.raises(BadSignature, match="Error while verifying certificates") as raised:
        times(ended.stamp(), ended.root.pem)
    assert "ErrorStack" not in str(raised.value)


def test_only_certificates_are_put_in_order(stamping: Stamping) -> None:
    stamp = stamping.stamp()
    ordered = in_order(stamp)
    assert ordered != stamp
    assert len(ordered) == len(stamp)
    assert in_order(ordered) == ordered
    assert sorted(ordered) == sorted(stamp)
    bare = stamping.stamp(embedded=False)
    assert in_order(bare) == bare


def test_what_is_no_stamp_is_left_as_it_is(stamping: Stamping) -> None:
    stamp = stamping.stamp()
    for bad in (
        b"",
        b"\x30",
        b"\x30\x80",
        b"0" * 40,
        stamp[:-1],
        stamp[: len(stamp) // 2],
        b"\x30\x84\xff\xff\xff\xff",
    ):
        assert in_order(bad) == bad
        with pytest.raises(BadSignature, match="cannot be read"):
            times(bad, stamping.root.pem)
