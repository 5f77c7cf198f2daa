"""When something was signed, by a time-stamping authority (RFC 3161)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography import x509

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.statement import BadSignature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tidewaiter.rules.signatures.authority import TimestampAuthority


def signed_times(
    timestamps: Sequence[bytes], signature: bytes, authorities: Sequence[TimestampAuthority]
) -> list[datetime]:
    """Return the times at which one of the authorities saw a signature.

    Raises BadSignature where there is none.
    """
    from rfc3161_client import VerificationError, decode_timestamp_response

    if not timestamps:
        raise BadSignature("it has no signed time, which is demanded")
    times = []
    problem = "it is of another time-stamping authority"
    for stamp in timestamps:
        try:
            response = decode_timestamp_response(in_order(stamp))
        except ValueError:
            raise BadSignature("its signed time cannot be read") from None
        for verifier in (each for one in authorities for each in _verifiers(one.chain)):
            try:
                verifier.verify_message(response, signature)
            except (VerificationError, ValueError) as error:
                problem = str(error).partition(": ErrorStack")[0]
            else:
                times.append(response.tst_info.gen_time)
                break
    if not times:
        raise BadSignature(f"its signed time is not valid: {problem}")
    return times


@lru_cache(maxsize=64)
def _verifiers(chain: str) -> tuple[Any, ...]:
    """Return what verifies by certificates in any order.

    Where some are no CA's, only those may sign. Those that certify themselves are the roots; without one
    it is the last, as an authority within a larger one may be trusted alone.
    """
    from rfc3161_client import VerifierBuilder

    certificates = list(dict.fromkeys(read_certificates(chain, "the time-stamping authority")))
    issuers = [each for each in certificates if is_ca(each)] or certificates
    roots = [each for each in issuers if each.subject == each.issuer] or issuers[-1:]
    builder = VerifierBuilder()
    for certificate in issuers:
        if certificate in roots:
            builder = builder.add_root_certificate(certificate)
        else:
            builder = builder.add_intermediate_certificate(certificate)
    signers = [each for each in certificates if each not in issuers]
    if not signers:
        return (builder.build(),)
    return tuple(builder.tsa_certificate(each).build() for each in signers)


_CERTIFICATES = 0xA0
_PATH = (0, 1, 1, 0, 3)
"""TimeStampResp, its token, the token's content, SignedData, its certificates where it has some."""


def in_order(stamp: bytes) -> bytes:
    """Return a response whose certificates are in the order of DER, which OpenSSL does not keep to.

    They are a set outside of what is signed (RFC 5652, section 5.1), so that their order says nothing;
    the library reads none that are in another one.
    """
    place = 0, len(stamp)
    tag = 0
    try:
        for child in _PATH:
            tag, _, begin, end = list(_elements(stamp, *place))[child]
            place = begin, end
        parts = [stamp[at:to] for _, at, _, to in _elements(stamp, *place)]
    except (IndexError, ValueError):
        return stamp  # the library says what is wrong with it
    if tag != _CERTIFICATES:
        return stamp
    return stamp[: place[0]] + b"".join(sorted(parts)) + stamp[place[1] :]


def _elements(der: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the tag, the beginning, that of the content and the end of each element. Raises ValueError."""
    while start < end:
        length, content = der[start + 1], start + 2
        if length & 0x80:
            content += length & 0x7F
            length = int.from_bytes(der[start + 2 : content], "big")
            if content == start + 2:
                raise ValueError("of no definite length")
        if content + length > end:
            raise ValueError("longer than what it is in")
        yield der[start], start, content, content + length
        start = content + length


def read_certificates(pem: str, what: str) -> list[x509.Certificate]:
    """Read PEM certificates. Raises InputError."""
    if "PRIVATE KEY-----" in pem:
        raise InputError(f"{what} holds a private key; certificates are wanted")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, x509.InvalidVersion):
        raise InputError(f"{what} is no PEM certificate") from None
    return certificates


def is_ca(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate may issue others."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.value.ca
