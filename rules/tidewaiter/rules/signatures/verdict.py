"""The answer to whether an image is signed as is asked, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["verified", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One signature that was verified: who made it, in which form, and which authority it fulfils.

    `signer` is a key's fingerprint or a certificate's subject, `digest` what was signed, `signed_at`
    the proven time in seconds since 1970.
    """

    authority: str
    signer: str
    form: str
    digest: str
    predicate_type: str = ""
    signed_at: float | None = None


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """A statement about the image whose signature was verified."""

    predicate_type: str
    predicate: Any
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """What was found out of one image.

    `refused` means that every signature there is has been looked at and what is asked is not there;
    `unknown` that this could not be found out. Both have reasons. `digest` is empty where the
    reference could not be resolved.
    """

    image: str
    digest: str
    status: Status
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    attestations: tuple[VerifiedAttestation, ...] = ()
