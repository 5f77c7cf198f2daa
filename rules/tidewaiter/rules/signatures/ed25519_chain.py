"""Certificate chains whose issuers all have Ed25519 keys, which the library's verification of paths refuses.

`cryptography` verifies each signature (RFC 8410) and reads each extension. What RFC 5280 asks of a path beside
that is checked here, and what is seldom used (name constraints, policies that are critical) is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LONGEST = 8
"""Certificates in a path below its root, as where the library verifies it."""
TRIALS = 64
"""Signatures that are verified to find a path: certificates can be made that all seem to issue each other."""
_HANDLED = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
)


class NoPath(ValueError):
    """No path leads to a root; the message says why."""


def find_path(
    leaf: x509.Certificate,
    between: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    moment: datetime,
) -> list[x509.Certificate]:
    """Return the issuers from a leaf's to a root. Raises NoPath, and ValueError for a malformed certificate."""
    _check_extensions(leaf)
    return _Search(between, roots, moment).above(leaf, ())


class _Search:
    def __init__(
        self,
        between: Sequence[x509.Certificate],
        roots: Sequence[x509.Certificate],
        moment: datetime,
    ) -> None:
        self._roots = list(roots)
        self._all = list(dict.fromkeys((*roots, *between)))
        self._moment = moment
        self._trials = 0

    def above(
        self, subject: x509.Certificate, below: tuple[x509.Certificate, ...]
    ) -> list[x509.Certificate]:
        """Return the issuers of a certificate that has so many issuers below it."""
        problem = "none of the certificates has issued it with an Ed25519 key"
        if len(below) >= LONGEST:
            raise NoPath(f"its path is longer than {LONGEST} certificates")
        for issuer in self._all:
            if issuer in below or not self._has_issued(issuer, subject):
                continue
            try:
                _check_issuer(issuer, len(below), self._moment)
                if issuer in self._roots:
                    return [issuer]
                return [issuer, *self.above(issuer, (*below, issuer))]
            except NoPath as error:
                problem = str(error)
        raise NoPath(problem)

    def _has_issued(self, issuer: x509.Certificate, subject: x509.Certificate) -> bool:
        if issuer.subject != subject.issuer or not _is_ed25519(issuer):
            return False
        self._trials += 1
        if self._trials > TRIALS:
            raise NoPath(f"its path is not found by {TRIALS} signatures")
        try:
            subject.verify_directly_issued_by(issuer)
        except (InvalidSignature, TypeError, ValueError):
            return False
        return True


def _check_issuer(issuer: x509.Certificate, below: int, moment: datetime) -> None:
    if not issuer.not_valid_before_utc <= moment <= issuer.not_valid_after_utc:
        raise NoPath("an issuer's certificate is not valid at that time")
    _check_extensions(issuer)
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise NoPath("an issuer is no CA") from None
    if not constraints.ca:
        raise NoPath("an issuer is no CA")
    if constraints.path_length is not None and below > constraints.path_length:
        raise NoPath("an issuer allows no path of that length")
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise NoPath("an issuer may not sign certificates")


def _check_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.NameConstraints):
            raise NoPath("an issuer has name constraints, which are not supported with Ed25519")
        if extension.critical and not isinstance(extension.value, _HANDLED):
            shown = extension.oid.dotted_string
            raise NoPath(f"the critical extension {shown} of a certificate is not supported")


def _is_ed25519(certificate: x509.Certificate) -> bool:
    try:
        return isinstance(certificate.public_key(), ed25519.Ed25519PublicKey)
    except ValueError:
        return False
