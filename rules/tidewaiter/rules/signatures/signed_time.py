"""When something was signed, by a time-stamping authority (RFC 3161)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography import x509

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.statement import BadSignature

if TYPE_CHECKING:
    from collections.abc import Sequence
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
            response = decode_timestamp_response(stamp)
        except ValueError:
            raise BadSignature("its signed time cannot be read") from None
        for authority in authorities:
            try:
                _verifier(authority.chain).verify_message(response, signature)
            except (VerificationError, ValueError) as error:
                problem = str(error)
            else:
                times.append(response.tst_info.gen_time)
                break
    if not times:
        raise BadSignature(f"its signed time is not valid: {problem}")
    return times


@lru_cache(maxsize=64)
def _verifier(chain: str) -> Any:
    """Return what verifies by a chain; where its first certificate is no CA, only that one may sign."""
    from rfc3161_client import VerifierBuilder

    certificates = read_certificates(chain, "the time-stamping authority")
    builder = VerifierBuilder().add_root_certificate(certificates[-1])
    between = certificates[:-1]
    if between and not is_ca(between[0]):
        builder = builder.tsa_certificate(between[0])
        between = between[1:]
    for certificate in between:
        builder = builder.add_intermediate_certificate(certificate)
    return builder.build()


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
