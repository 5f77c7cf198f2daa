"""The server's own certificate authority: what is issued, when it is renewed, and what clients trust meanwhile.

Pure: the time is passed in, and nothing is stored here. A renewal never pulls the ground from under a client:

1. When an authority has a third of its life left, a new one is made and put before it into the bundle that
   clients trust. The certificate shown stays that of the old one.
2. After a while in which every client has heard of the bundle, the next certificate is issued by the new
   authority.
3. The old authority leaves the bundle when it expires, long after the last certificate that it issued.

X.509 and its extensions: https://www.rfc-editor.org/rfc/rfc5280
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tidewaiter.rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

BUNDLE, AUTHORITY_KEY, CERTIFICATE, KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
"""The fields of a kubernetes.io/tls Secret, and one more for the authority's key."""
_SLACK = timedelta(minutes=5)
"""How much the clocks of server and client may differ."""
_LEAST_SPREAD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long the authority and the certificates that it issues are good for."""

    authority: timedelta = timedelta(days=365)
    certificate: timedelta = timedelta(days=30)

    @property
    def spread(self) -> timedelta:
        """How long clients are given to hear of a new authority before a certificate of it is shown."""
        return max(_LEAST_SPREAD, min(timedelta(minutes=10), self.authority / 20))

    @property
    def check(self) -> timedelta:
        """How often a server looks whether something is to be renewed, or has been by another replica."""
        return min(timedelta(seconds=30), self.certificate / 20)


@dataclass(frozen=True, slots=True)
class Keyring:
    """What the replicas share.

    `authorities` are those that clients must trust, the newest first; `authority_key` is the key of that one.
    """

    authorities: tuple[x509.Certificate, ...]
    certificate: x509.Certificate
    authority_key: ec.EllipticCurvePrivateKey = field(repr=False)
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def bundle(self) -> bytes:
        """The authorities in PEM, as a webhook configuration's caBundle takes them."""
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.authorities)


def renewed(
    keyring: Keyring | None, names: tuple[str, ...], lifetimes: Lifetimes, now: datetime
) -> Keyring:
    """Return the keyring that should be in force: the very one given where nothing is due.

    `names` are the DNS names and IP addresses of the server. One step is made at a time, so ask again later.
    """
    if keyring is None or _is_over(keyring.authorities[0], now):
        return _new(names, lifetimes, now)
    authorities = tuple(each for each in keyring.authorities if not _is_over(each, now))
    newest = authorities[0]
    authority_key = keyring.authority_key
    if is_due(newest, now):
        newest, authority_key = _issue_authority(lifetimes, now)
        authorities = (newest, *authorities)
    certificate, key = keyring.certificate, keyring.key
    is_spread = now - _issued_at(newest) >= lifetimes.spread
    by_newest = _is_issued_by(certificate, newest)
    is_wanted = (
        is_due(certificate, now) or not by_newest or names_of(certificate) != frozenset(names)
    )
    if (is_wanted and is_spread) or _is_over(certificate, now):
        certificate, key = _issue(names, newest, authority_key, lifetimes, now)
    if authorities == keyring.authorities and certificate is keyring.certificate:
        return keyring
    return Keyring(authorities, certificate, authority_key, key)


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether two thirds of a certificate's life are over."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= end - (end - start) / 3


def is_overdue(keyring: Keyring, now: datetime) -> bool:
    """Tell whether five sixths of a life are over: then who was to renew it has not."""
    return any(
        now >= each.not_valid_after_utc - (each.not_valid_after_utc - each.not_valid_before_utc) / 6
        for each in (keyring.authorities[0], keyring.certificate)
    )


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the DNS names and IP addresses that a certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return frozenset(
        (*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))
    )


def as_secret_data(keyring: Keyring) -> dict[str, bytes]:
    """Return the fields of a Secret, in PEM."""
    return {
        BUNDLE: keyring.bundle,
        AUTHORITY_KEY: _key_pem(keyring.authority_key),
        CERTIFICATE: keyring.certificate.public_bytes(serialization.Encoding.PEM),
        KEY: _key_pem(keyring.key),
    }


def from_secret_data(data: Mapping[str, bytes]) -> Keyring:
    """Read the fields of a Secret. Raises InputError where they are not what `as_secret_data` makes."""
    try:
        authorities = tuple(x509.load_pem_x509_certificates(data[BUNDLE]))
        certificate = x509.load_pem_x509_certificate(data[CERTIFICATE])
        keys = [
            serialization.load_pem_private_key(data[name], None) for name in (AUTHORITY_KEY, KEY)
        ]
        names_of(certificate)
    except KeyError as error:
        raise InputError(f"the Secret has no field {error}") from None
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.InvalidVersion):
        raise InputError("the Secret holds no certificates and keys in PEM") from None
    authority_key, key = keys
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey) or not isinstance(
        key, ec.EllipticCurvePrivateKey
    ):
        raise InputError("the Secret holds keys of another kind than were made here")
    if authorities[0].public_key() != authority_key.public_key():
        raise InputError(f"{AUTHORITY_KEY} is not the key of the first certificate of {BUNDLE}")
    if certificate.public_key() != key.public_key():
        raise InputError(f"{KEY} is not the key of {CERTIFICATE}")
    if not any(_is_issued_by(certificate, each) for each in authorities):
        raise InputError(f"{CERTIFICATE} was issued by none of the authorities in {BUNDLE}")
    return Keyring(authorities, certificate, authority_key, key)


def _new(names: tuple[str, ...], lifetimes: Lifetimes, now: datetime) -> Keyring:
    authority, authority_key = _issue_authority(lifetimes, now)
    certificate, key = _issue(names, authority, authority_key, lifetimes, now)
    return Keyring((authority,), certificate, authority_key, key)


def _issue_authority(
    lifetimes: Lifetimes, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities are in a bundle at once: clients tell them apart by name before they try keys.
    name = _name(f"tidewaiter webhook authority {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    builder = (
        _builder(name, name, key, lifetimes.authority, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def _issue(
    names: tuple[str, ...],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    lifetimes: Lifetimes,
    now: datetime,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _builder(authority.subject, _name("tidewaiter webhook"), key, lifetimes.certificate, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(identifier, critical=False)
    )
    return builder.sign(authority_key, hashes.SHA256()), key


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    lifetime: timedelta,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - min(_SLACK, lifetime / 10))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _issued_at(certificate: x509.Certificate) -> datetime:
    """Return when a certificate was made: its validity begins a little before."""
    start = certificate.not_valid_before_utc
    return start + min(_SLACK, (certificate.not_valid_after_utc - start) / 11)


def _is_over(certificate: x509.Certificate, now: datetime) -> bool:
    return now >= certificate.not_valid_after_utc


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
