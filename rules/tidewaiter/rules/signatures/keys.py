"""Public keys, and whether a signature was made by one.

The key alone says the algorithm: what a signature claims of itself is never read. So a signature of
one algorithm cannot be passed off as one of another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from tidewaiter.rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from tidewaiter.rules.signatures.authority import Hash, Padding

SHORTEST_RSA = 2048
LONGEST_RSA = 16384
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_CURVE_HASHES = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}

VerifyingKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of a supported kind; `fingerprint` is the SHA-256 of its SPKI (DER)."""

    key: VerifyingKey
    fingerprint: str
    der: bytes

    @property
    def algorithm(self) -> str:
        """Name the kind of key."""
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            return f"ECDSA {self.key.curve.name}"
        if isinstance(self.key, rsa.RSAPublicKey):
            return f"RSA {self.key.key_size}"
        return "Ed25519"

    def has_signed(
        self,
        message: bytes,
        signature: bytes,
        *,
        hash_name: Hash | None = None,
        scheme: Padding = "any",
    ) -> bool:
        """Tell whether the holder of the key has signed a message."""
        key = self.key
        if isinstance(key, ed25519.Ed25519PublicKey):
            return hash_name in {None, "sha512"} and (
                _holds(lambda: key.verify(signature, message))
                or _has_signed_hash(key, message, signature)
            )
        return any(
            self._has_signed_hashed(message, signature, _HASHES[name](), scheme)
            for name in self._hashes(hash_name)
        )

    def _hashes(self, stated: Hash | None) -> tuple[str, ...]:
        if stated is not None:
            return (stated,)
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            own = _CURVE_HASHES[self.key.curve.name]
            return ("sha256",) if own == "sha256" else ("sha256", own)
        return ("sha256", "sha384", "sha512")

    def _has_signed_hashed(
        self, message: bytes, signature: bytes, algorithm: hashes.HashAlgorithm, scheme: Padding
    ) -> bool:
        key = self.key
        if isinstance(key, ec.EllipticCurvePublicKey):
            return _holds(lambda: key.verify(signature, message, ec.ECDSA(algorithm)))
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        paddings: list[padding.AsymmetricPadding] = []
        if scheme in {"any", "pkcs1v15"}:
            paddings.append(padding.PKCS1v15())
        if scheme in {"any", "pss"}:
            paddings.append(padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO))
        return any(
            _holds(lambda pad=pad: key.verify(signature, message, pad, algorithm))  # type: ignore[misc]
            for pad in paddings
        )


def _has_signed_hash(key: ed25519.Ed25519PublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature is one of Ed25519ph (RFC 8032, section 5.1), which cosign 3 makes.

    Neither can be passed off as the other: what is signed begins otherwise. `cryptography` has it not.
    """
    from nacl import bindings
    from nacl.exceptions import CryptoError

    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    try:
        return bool(
            bindings.crypto_sign_ed25519ph_final_verify(state, signature, key.public_bytes_raw())
        )
    except CryptoError:
        return False


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=256)
def read_public_key(pem: str) -> PublicKey:
    """Read one PEM public key. Raises InputError, never quoting what was given."""
    text = pem.strip()
    if "PRIVATE KEY-----" in text:
        raise InputError("is a private key; the public one is wanted")
    if text.count("-----BEGIN ") != 1:
        raise InputError("is not one PEM public key")
    try:
        return known_key(load_pem_public_key(text.encode()))
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("is no PEM public key") from None


def read_der_key(der: bytes) -> PublicKey:
    """Read a key in DER. Raises InputError."""
    try:
        return known_key(load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("is no public key") from None


def known_key(key: PublicKeyTypes) -> PublicKey:
    """Return a key of a supported kind and strength. Raises InputError."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVE_HASHES:
            raise InputError(
                f"is on the curve {key.curve.name}; P-256, P-384 and P-521 are supported"
            )
    elif isinstance(key, rsa.RSAPublicKey):
        if not SHORTEST_RSA <= key.key_size <= LONGEST_RSA:
            raise InputError(f"is an RSA key of {key.key_size} bits; {SHORTEST_RSA} is the least")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise InputError("is a kind of key that is not supported: ECDSA, RSA and Ed25519 are")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(key, f"sha256:{hashlib.sha256(der).hexdigest()}", der)
