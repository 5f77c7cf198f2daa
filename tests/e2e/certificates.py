"""Keys and certificates that live as long as a test run."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = ipaddress.ip_address("127.0.0.1")
DAY = dt.timedelta(days=1)


class Pair(NamedTuple):
    """The PEM files of a certificate and of its private key."""

    certificate: Path
    key: Path


SERVICE = "tidewaiter.tidewaiter.svc"


class Authority:
    """A certificate authority that vouches for servers on the loopback interface.

    `certificate` is the PEM file that a client trusts; its content, in base64, is a webhook's `caBundle`.
    """

    def __init__(self, folder: Path) -> None:
        """Make the authority's key and certificate; `folder` takes all files and must exist."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("tidewaiter end-to-end tests")
        certificate = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, folder: Path | None = None, lifetime: dt.timedelta = DAY) -> Pair:
        """Return a server's certificate for loopback and the webhook's Service, in files called after `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(LOOPBACK), x509.DNSName("localhost"), x509.DNSName(SERVICE)]
        certificate = (
            _certificate(_name(name), self._name, key.public_key(), lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        folder = folder or self._folder
        path = folder / f"{name}.crt"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return Pair(path, _write_key(folder / f"{name}.key", key))


def signing_key(folder: Path) -> Path:
    """Write a private key, such as one that signs the tokens of service accounts, and return its file."""
    return _write_key(folder / "signing.key", ec.generate_private_key(ec.SECP256R1()))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    lifetime: dt.timedelta = DAY,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + lifetime)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path
