"""Check what a user gives to verify by, before any registry is asked."""

from __future__ import annotations

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.authority import TrustedRoot
from tidewaiter.rules.signatures.keys import read_public_key
from tidewaiter.rules.signatures.signed_time import read_certificates


def check_key(pem: str, file: str) -> str:
    """Return a public key (PEM) that can be verified with. Raises InputError with the file."""
    try:
        read_public_key(pem)
    except InputError as error:
        raise InputError(error.message, file=file) from None
    return pem


def check_certificates(pem: str, file: str) -> str:
    """Return certificates (PEM) that can be read. Raises InputError with the file."""
    try:
        read_certificates(pem, "the file")
    except InputError as error:
        raise InputError(error.message, file=file) from None
    return pem


def check_trusted_root(text: str, file: str, *, for_identities: bool) -> TrustedRoot:
    """Return a trust root (JSON) that can be verified with. Raises InputError with the file."""
    from tidewaiter.rules.signatures.keyless import check_root

    if not text.strip():  # without a text the public instance's root would be meant
        raise InputError("is empty", file=file)
    root = TrustedRoot(text)
    try:
        check_root(root, for_identities=for_identities)
    except InputError as error:
        raise InputError(error.message, file=file) from None
    return root
