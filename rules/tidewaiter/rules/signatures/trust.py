"""Whether a candidate was signed by whom an authority means.

Each function returns who has signed, or raises `BadSignature` with the reason; there is no third way out
of them that could be taken for a yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from tidewaiter.rules.errors import InputError, TidewaiterError
from tidewaiter.rules.signatures.authority import (
    CertificateAuthority,
    KeyAuthority,
    KeylessAuthority,
)
from tidewaiter.rules.signatures.ed25519_chain import find_path
from tidewaiter.rules.signatures.keys import PublicKey, known_key, read_public_key
from tidewaiter.rules.signatures.signed_time import read_certificates, signed_times
from tidewaiter.rules.signatures.statement import BadSignature

if TYPE_CHECKING:
    from datetime import datetime

    from tidewaiter.rules.signatures.candidate import Candidate

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Undecided(TidewaiterError):
    """What is needed to judge cannot be had, such as a trust root: neither yes nor no."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has signed, and when, as far as that is proven."""

    name: str
    signed_at: float | None = None


def check(
    authority: KeyAuthority | CertificateAuthority | KeylessAuthority,
    candidate: Candidate,
    now: datetime,
) -> Signer:
    """Return who has signed a candidate. Raises BadSignature, Undecided and InputError."""
    try:
        return _check(authority, candidate, now)
    except (BadSignature, TidewaiterError):
        raise
    except Exception as error:  # noqa: BLE001 - what trips the verification up is not a yes
        raise BadSignature(f"cannot be verified: {type(error).__name__}: {_brief(error)}") from None


def _check(
    authority: KeyAuthority | CertificateAuthority | KeylessAuthority,
    candidate: Candidate,
    now: datetime,
) -> Signer:
    if isinstance(authority, KeyAuthority):
        return _check_key(authority, candidate)
    if isinstance(authority, CertificateAuthority):
        return _check_certificate(authority, candidate, now)
    # Importing the library costs most of a second, which only those pay who need it.
    from tidewaiter.rules.signatures.keyless import check_keyless

    return check_keyless(authority, candidate)


def _check_key(authority: KeyAuthority, candidate: Candidate) -> Signer:
    try:
        key = read_public_key(authority.key)
    except InputError as error:
        raise InputError(f"the key of {authority.name} {error.message}") from None
    signature = _signed_by(key, candidate, authority)
    if signature is None:
        raise BadSignature(f"not signed by the {key.algorithm} key {short_fingerprint(key)}")
    times = _demanded_times(authority, candidate, key, signature)
    return Signer(f"key {key.fingerprint}", min(times).timestamp() if times else None)


def _check_certificate(
    authority: CertificateAuthority, candidate: Candidate, now: datetime
) -> Signer:
    if not candidate.certificates:
        raise BadSignature("it brings no certificate")
    leaf = candidate.certificates[0]
    try:
        key = known_key(leaf.public_key())
    except (InputError, ValueError):
        raise BadSignature("the key of its certificate is not supported") from None
    signature = _signed_by(key, candidate, None)
    if signature is None:
        raise BadSignature("not signed by the key of its certificate")
    times = _demanded_times(authority, candidate, key, signature)
    for moment in times or [now]:
        _check_chain(authority, candidate, moment, signed=bool(times))
    subject = _check_names(authority, leaf)
    return Signer(subject, min(times).timestamp() if times else None)


def _signed_by(key: PublicKey, candidate: Candidate, stated: KeyAuthority | None) -> bytes | None:
    """Return the signature of a candidate that the key has made."""
    for signature in candidate.signatures:
        if key.has_signed(
            candidate.message,
            signature,
            hash_name=stated.hash if stated else None,
            scheme=stated.padding if stated else "any",
        ):
            return signature
    return None


def _demanded_times(
    authority: KeyAuthority | CertificateAuthority,
    candidate: Candidate,
    key: PublicKey,
    signature: bytes,
) -> list[datetime]:
    """Return the proven times of a signature, where the authority knows who may prove them."""
    times: list[datetime] = []
    if authority.timestamps:
        times += signed_times(candidate.timestamps, signature, authority.timestamps)
    if authority.transparency_log:
        if authority.trusted_root is None:
            raise InputError(f"{authority.name} demands a log entry but has no trust root")
        from tidewaiter.rules.signatures.keyless import check_logged

        logged = check_logged(authority.trusted_root, candidate, key, signature)
        if logged is not None:
            times.append(logged)
    return times


def _check_chain(
    authority: CertificateAuthority, candidate: Candidate, moment: datetime, *, signed: bool
) -> None:
    """Check the path to a root at a moment (RFC 5280), by `cryptography`."""
    roots = read_certificates(authority.roots, f"the authority {authority.name}")
    between = list(candidate.certificates[1:])
    if authority.intermediates:
        between += read_certificates(authority.intermediates, f"the authority {authority.name}")
    leaf = candidate.certificates[0]
    if not leaf.not_valid_before_utc <= moment <= leaf.not_valid_after_utc:
        when = f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M} to {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}"
        why = "at its signed time" if signed else "now, and there is no signed time to go by"
        raise BadSignature(f"its certificate is valid from {when} UTC, not {why}")
    verifier = (
        PolicyBuilder()
        .store(Store(roots))
        .time(moment)
        .max_chain_depth(8)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_LEAF_POLICY)
        .build_client_verifier()
    )
    try:
        if leaf.signature_algorithm_oid == SignatureAlgorithmOID.ED25519:
            find_path(leaf, between, roots, moment)
            _check_leaf(leaf)
        else:
            verifier.verify(leaf, between)
    except (VerificationError, x509.UnsupportedGeneralNameType, ValueError) as error:
        raise BadSignature(f"its certificate leads to none of the roots: {_brief(error)}") from None


def _check_leaf(leaf: x509.Certificate) -> None:
    """Check what the library would by the policy of leaves."""
    _is_a_leaf(None, None, _value(leaf, x509.BasicConstraints))
    _may_sign(None, None, _value(leaf, x509.KeyUsage))
    _is_for_code(None, None, _value(leaf, x509.ExtendedKeyUsage))


def _value(leaf: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return leaf.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _may_sign_certificates(_: object, __: object, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _is_an_issuer(_: object, __: object, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("an issuer is no CA")


def _is_a_leaf(_: object, __: object, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("the certificate is a CA's")


def _may_sign(_: object, __: object, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise ValueError("the certificate is not for signing")


def _is_for_code(_: object, __: object, usage: x509.ExtendedKeyUsage | None) -> None:
    wanted = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usage is not None and not wanted & set(usage):
        raise ValueError("the certificate is not for signing code")


# What the web demands of certificates (a subject alternative name, an authority key identifier) a team's
# own CA need not fulfil. A critical extension that is named nowhere here is refused by the library.
_ANY = Criticality.AGNOSTIC
_CA_POLICY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, _ANY, _is_an_issuer)
    .may_be_present(x509.KeyUsage, _ANY, _may_sign_certificates)
)
_LEAF_POLICY = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.BasicConstraints, _ANY, _is_a_leaf)
    .may_be_present(x509.KeyUsage, _ANY, _may_sign)
    .may_be_present(x509.ExtendedKeyUsage, _ANY, _is_for_code)
)


def _check_names(authority: CertificateAuthority, leaf: x509.Certificate) -> str:
    names = _names(leaf)
    shown = names[0] if names else leaf.subject.rfc4514_string()
    if authority.subject is not None and not any(map(authority.subject.matches, names)):
        raise BadSignature(f"signed by {shown!r}, not by {authority.subject}")
    issuer = leaf.issuer.rfc4514_string()
    if authority.issuer is not None and not authority.issuer.matches(issuer):
        raise BadSignature(f"the certificate's issuer is {issuer!r}, not {authority.issuer}")
    return shown


def _names(leaf: x509.Certificate) -> list[str]:
    """Return what a certificate calls its holder: alternative names, then the common names."""
    names: list[str] = []
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, ValueError):
        alternative = None
    for name in alternative or ():
        if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier | x509.DNSName):
            names.append(name.value)
    for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        names.append(str(attribute.value))
    return names


def short_fingerprint(key: PublicKey) -> str:
    """A fingerprint as it is shown in a reason."""
    return f"{key.fingerprint[:19]}…"


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}…"
