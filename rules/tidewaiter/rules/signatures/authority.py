"""What is asked of an image's signatures: by whom, how many, with what attested.

These are values only: a policy makes them, `verify` answers them. An authority says who may sign;
`AnyOf`, `AllOf` and `AtLeast` combine authorities; an `ImageRequirement` is the whole that one image
has to fulfil. The condition of an attestation is a function that the policy brings, so that nothing
here knows of its language.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from tidewaiter.rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from re import Pattern

PREDICATE_TYPES: Mapping[str, str] = {
    "custom": "https://cosign.sigstore.dev/attestation/v1",
    "cyclonedx": "https://cyclonedx.org/bom",
    "link": "https://in-toto.io/Link/v1",
    "openvex": "https://openvex.dev/ns",
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "spdx": "https://spdx.dev/Document",
    "spdxjson": "https://spdx.dev/Document",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
}
"""The short names that cosign has for predicate types."""

SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
"""The predicate type by which a bundle is a signature; any other makes it an attestation."""

Target = Literal["index", "platforms", "either"]
"""What of a multi-arch image must be signed: the index that the reference names, every platform's
manifest in it, or one of the two. An image of one platform is its own index and manifest."""

Hash = Literal["sha256", "sha384", "sha512"]
Padding = Literal["any", "pkcs1v15", "pss"]


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A text that must be equal, or a pattern (RE2) that must be found in it.

    A pattern is searched for, as cosign and the controllers do it: it holds for a whole value only
    with `^` and `$`.
    """

    text: str
    is_pattern: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty text, which a pattern would find everywhere, and a malformed pattern."""
        if not self.text:
            raise InputError("a text to compare with must not be empty")
        if self.is_pattern:
            _compiled(self.text)

    @property
    def is_anchored(self) -> bool:
        """Whether nothing may stand before or after what is stated."""
        return not self.is_pattern or (self.text[0] == "^" and self.text[-1] == "$")

    def matches(self, value: str) -> bool:
        """Tell whether a value is what is stated."""
        if self.is_pattern:
            return _compiled(self.text).search(value) is not None
        return value == self.text

    def __str__(self) -> str:
        """As it is shown in a reason."""
        return f"/{self.text}/" if self.is_pattern else self.text


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Pattern[str]:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Pattern[str] = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "malformed"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise InputError(f"{pattern!r} is no regular expression: {reason}") from None
    return compiled


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """A Sigstore trust root: the text of a `trustedRoot` JSON, or one to be had by TUF.

    https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
    Without a text it comes from the TUF repository: the public-good instance, or `tuf_url`, whose
    first root is `tuf_root` (JSON). `offline` takes what the library ships or has kept.
    """

    text: str = field(default="", repr=False)
    tuf_url: str = ""
    tuf_root: str = field(default="", repr=False)
    offline: bool = False


PUBLIC_GOOD = TrustedRoot()


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """A time-stamping authority (RFC 3161): PEM certificates, its own first and the root last."""

    chain: str


@dataclass(frozen=True, slots=True)
class KeyAuthority:
    """Whoever holds the private half of a public key (PEM).

    The key says the algorithm: ECDSA on P-256, P-384 or P-521, Ed25519, RSA of 2048 bits or more.
    Without a `hash`, SHA-256 and the one that belongs to the curve are taken. `transparency_log`
    demands an entry in a log of `trusted_root`; `timestamps` demands a signed time.
    """

    key: str
    name: str = "key"
    hash: Hash | None = None
    padding: Padding = "any"
    transparency_log: bool = False
    trusted_root: TrustedRoot | None = None
    timestamps: tuple[TimestampAuthority, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Whoever holds a code-signing certificate of one's own PKI.

    `roots` are PEM certificates that end a chain, `intermediates` those that may stand in it, beside
    those that the signature brings. `subject` is a subject alternative name or the subject's common
    name, `issuer` the issuer's distinguished name (RFC 4514). The chain must be valid at the signed
    time, which comes from `timestamps` or the log, and now where no signed time is.
    """

    roots: str
    intermediates: str = ""
    subject: TextMatch | None = None
    issuer: TextMatch | None = None
    name: str = "certificate"
    transparency_log: bool = False
    trusted_root: TrustedRoot | None = None
    timestamps: tuple[TimestampAuthority, ...] = ()


CLAIMS: Mapping[str, str] = {
    "githubWorkflowTrigger": "1.3.6.1.4.1.57264.1.2",
    "githubWorkflowSha": "1.3.6.1.4.1.57264.1.3",
    "githubWorkflowName": "1.3.6.1.4.1.57264.1.4",
    "githubWorkflowRepository": "1.3.6.1.4.1.57264.1.5",
    "githubWorkflowRef": "1.3.6.1.4.1.57264.1.6",
    "buildSignerUri": "1.3.6.1.4.1.57264.1.9",
    "buildSignerDigest": "1.3.6.1.4.1.57264.1.10",
    "runnerEnvironment": "1.3.6.1.4.1.57264.1.11",
    "sourceRepositoryUri": "1.3.6.1.4.1.57264.1.12",
    "sourceRepositoryDigest": "1.3.6.1.4.1.57264.1.13",
    "sourceRepositoryRef": "1.3.6.1.4.1.57264.1.14",
    "sourceRepositoryIdentifier": "1.3.6.1.4.1.57264.1.15",
    "sourceRepositoryOwnerUri": "1.3.6.1.4.1.57264.1.16",
    "sourceRepositoryOwnerIdentifier": "1.3.6.1.4.1.57264.1.17",
    "buildConfigUri": "1.3.6.1.4.1.57264.1.18",
    "buildConfigDigest": "1.3.6.1.4.1.57264.1.19",
    "buildTrigger": "1.3.6.1.4.1.57264.1.20",
    "runInvocationUri": "1.3.6.1.4.1.57264.1.21",
    "sourceRepositoryVisibility": "1.3.6.1.4.1.57264.1.22",
}
"""What a Fulcio certificate says of the CI run, by name and extension.
https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed without a key: the OIDC issuer, the subject, and claims by the names of `CLAIMS`."""

    issuer: TextMatch
    subject: TextMatch
    claims: tuple[tuple[str, TextMatch], ...] = ()


@dataclass(frozen=True, slots=True)
class KeylessAuthority:
    """Whoever has proved one of these identities to the certificate authority of a trust root.

    A log entry, a certificate transparency stamp and a signed time are always demanded.
    """

    identities: tuple[Identity, ...]
    trusted_root: TrustedRoot = PUBLIC_GOOD
    name: str = "keyless"


@dataclass(frozen=True, slots=True)
class StaticAuthority:
    """An answer that asks nobody."""

    passes: bool
    message: str = ""
    name: str = "static"


Authority = KeyAuthority | CertificateAuthority | KeylessAuthority | StaticAuthority


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the parts is enough."""

    parts: tuple[Authorities, ...]

    def __post_init__(self) -> None:
        """Refuse no parts at all."""
        _check_parts(self.parts)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part is needed."""

    parts: tuple[Authorities, ...]

    def __post_init__(self) -> None:
        """Refuse no parts at all."""
        _check_parts(self.parts)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many of the parts are needed, each another authority."""

    count: int
    parts: tuple[Authorities, ...]

    def __post_init__(self) -> None:
        """Refuse a count that cannot be reached or asks nothing, and a part that would count twice."""
        _check_parts(self.parts)
        if not 1 <= self.count <= len(self.parts):
            raise InputError(f"{self.count} of {len(self.parts)} authorities cannot be asked for")
        signers = [_without_name(part) for part in self.parts]
        if any(signer in signers[:at] for at, signer in enumerate(signers)):
            raise InputError("an authority stands twice among those of which some must sign")


def _check_parts(parts: tuple[Authorities, ...]) -> None:
    if not parts:
        raise InputError("no authority is named")


def _without_name(part: Authorities) -> object:
    if isinstance(part, KeyAuthority):
        return "".join(part.key.split())
    if isinstance(part, AnyOf | AllOf | AtLeast):
        return part
    return replace(part, name="")


Authorities = Authority | AnyOf | AllOf | AtLeast


@dataclass(frozen=True, slots=True)
class AttestationRequirement:
    """An attestation of one predicate type must be there, signed by its authorities.

    `condition` takes the predicate (JSON) and returns why it does not fulfil what is asked, or None.
    One attestation that fulfils it is enough. Without `authorities` those of the image are meant.
    """

    predicate_type: str
    condition: Callable[[Any], str | None] | None = None
    authorities: Authorities | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class ImageRequirement:
    """All that an image has to fulfil.

    `authorities` is None where only attestations are asked. `annotations` must stand in a signature
    that is to count. `same_reference` demands that the signed `docker-reference` is the repository
    that is asked for, which a mirror breaks and a bundle does not have. `signature_repository` is
    where signatures are kept if not beside the image (cosign's COSIGN_REPOSITORY).
    """

    authorities: Authorities | None
    annotations: tuple[tuple[str, str], ...] = ()
    attestations: tuple[AttestationRequirement, ...] = ()
    target: Target = "index"
    same_reference: bool = False
    signature_repository: str = ""

    def __post_init__(self) -> None:
        """Refuse a requirement that asks nothing, and an attestation that nobody may sign."""
        if self.authorities is None:
            if not self.attestations:
                raise InputError("an image must be asked for a signature or an attestation")
            for attestation in self.attestations:
                if attestation.authorities is None:
                    msg = f"nobody is named who may sign {attestation.predicate_type}"
                    raise InputError(msg)
