"""The policy's section `images` as pydantic models: which images must be signed, by whom, and what attested."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.manifest.duration import InvalidDuration, parse_duration
from tidewaiter.rules.manifest.image import place_problem
from tidewaiter.rules.policy.image_patterns import pattern_problem
from tidewaiter.rules.signatures.authority import CLAIMS, PREDICATE_TYPES, TextMatch

Text = Annotated[StrictStr, Field(min_length=1)]

AUTHORITIES = ("key", "certificate", "keyless", "static")
COMBINATIONS = ("anyOf", "allOf", "atLeast")


def _image_pattern(value: str) -> str:
    problem = pattern_problem(value)
    if problem:
        raise PydanticCustomError("pattern", "{problem}", {"problem": problem})
    return value


def _expression(value: str) -> str:
    try:
        TextMatch(value, is_pattern=True)
    except InputError as error:
        raise PydanticCustomError("regexp", "{why}", {"why": error.message}) from None
    return value


def _place(value: str) -> str:
    problem = place_problem(value)
    if problem:
        raise PydanticCustomError("place", "{problem}", {"problem": problem})
    return value


def _predicate_type(value: str) -> str:
    if value not in PREDICATE_TYPES and ":" not in value:
        raise PydanticCustomError(
            "predicate_type",
            "{stated} is neither a URI nor one of {known}",
            {"stated": repr(value), "known": ", ".join(PREDICATE_TYPES)},
        )
    return value


def _time_span(value: str) -> str:
    try:
        length = parse_duration(value)
    except InvalidDuration as error:
        raise PydanticCustomError("duration", "{why}", {"why": str(error)}) from None
    if not 0 <= length <= _LONGEST:
        raise PydanticCustomError("duration", "is not between 0 and 168h")
    return value


_LONGEST = 7 * 86_400 * 10**9
"""No verdict is kept longer: a key that is withdrawn must count at some time."""

Patterns = Annotated[
    list[Annotated[Text, AfterValidator(_image_pattern)]],
    Field(min_length=1),
]
RegExp = Annotated[Text, AfterValidator(_expression)]
Span = Annotated[Text, AfterValidator(_time_span)]


def _one(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def _one_of(self, names: tuple[str, ...]) -> None:
        stated = [name for name in names if getattr(self, name) is not None]
        if len(stated) != 1:
            raise PydanticCustomError(
                "one_of",
                "one of {names} is asked for here{but}",
                {
                    "names": ", ".join(names),
                    "but": f", not {' and '.join(stated)}" if stated else "",
                },
            )


class SecretReference(_Strict):
    """A key of a Secret; only a gate in the cluster can read it."""

    namespace: Text = Field(description="The Secret's namespace.")
    name: Text = Field(description="The Secret's name.")
    key: Text = Field(
        "cosign.pub", description="The key of its data. Default: cosign.pub, as cosign writes it."
    )


class Material(_Strict):
    """A public key, certificates or a trust root: as text, from a file or from a Secret."""

    model_config = ConfigDict(json_schema_extra=_one("data", "file", "secretRef"))

    data: Text | None = Field(None, description="The text itself.")
    file: Text | None = Field(None, description="A file, as path from the policy file.")
    secretRef: SecretReference | None = Field(  # noqa: N815 - as the file has it
        None, description="A Secret of the cluster."
    )

    @model_validator(mode="after")
    def _check_source(self) -> Material:
        self._one_of(("data", "file", "secretRef"))
        return self


class Key(Material):
    """A public key: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more."""

    hashAlgorithm: Literal["sha256", "sha384", "sha512"] | None = Field(  # noqa: N815
        None, description="The only hash to take. Default: SHA-256 and that of the key's curve."
    )


class Certificate(Material):
    """A certificate authority of your own: its roots."""

    intermediates: Material | None = Field(
        None, description="Certificates between root and signer that signatures do not bring."
    )
    subject: Text | None = Field(None, description="A name in the signer's certificate, exactly.")
    subjectRegExp: RegExp | None = Field(  # noqa: N815
        None, description="A regular expression (RE2) that is found in such a name."
    )
    issuer: Text | None = Field(
        None, description="The issuer's distinguished name (RFC 4514), exactly."
    )
    issuerRegExp: RegExp | None = Field(  # noqa: N815
        None, description="A regular expression (RE2) that is found in it."
    )


class _Claims(_Strict):
    """What a CI system says of a build in the signer's certificate (Fulcio's extensions)."""


def _claims(name: str, kind: object) -> type[BaseModel]:
    fields = {
        claim: (kind, Field(None, description=f"Extension {extension} of Fulcio's certificates."))
        for claim, extension in CLAIMS.items()
    }
    made: type[BaseModel] = create_model(name, __base__=_Claims, **fields)  # type: ignore[call-overload]
    return made


Claims = _claims("Claims", Text | None)
ClaimExpressions = _claims("ClaimExpressions", RegExp | None)


class Keyless(_Strict):
    """An identity that Fulcio, or a certificate authority of a trust root of your own, has certified."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [_one("issuer", "issuerRegExp"), _one("subject", "subjectRegExp")]
        }
    )

    issuer: Text | None = Field(None, description="Who vouches for the identity, exactly.")
    issuerRegExp: RegExp | None = Field(  # noqa: N815
        None, description="A regular expression (RE2) that is found in it."
    )
    subject: Text | None = Field(None, description="The identity, exactly.")
    subjectRegExp: RegExp | None = Field(  # noqa: N815
        None, description="A regular expression (RE2) that is found in it."
    )
    claims: Claims | None = Field(  # type: ignore[valid-type]
        None, description="What the CI system must say of the build, each exactly."
    )
    claimsRegExp: ClaimExpressions | None = Field(  # type: ignore[valid-type] # noqa: N815
        None, description="The same by regular expressions (RE2), each found in the claim."
    )

    @model_validator(mode="after")
    def _check_identity(self) -> Keyless:
        self._one_of(("issuer", "issuerRegExp"))
        self._one_of(("subject", "subjectRegExp"))
        return self


class AtLeast(_Strict):
    """Several of a list."""

    count: Annotated[StrictInt, Field(ge=1)] = Field(description="How many.")
    of: Annotated[list[Authority], Field(min_length=1)] = Field(description="Of which.")

    @model_validator(mode="after")
    def _check_count(self) -> AtLeast:
        if self.count > len(self.of):
            raise PydanticCustomError(
                "count",
                "{count} of {number} is more than there are",
                {"count": self.count, "number": len(self.of)},
            )
        return self


class Authority(_Strict):
    """Who must have signed: one authority, or a combination of several."""

    model_config = ConfigDict(json_schema_extra=_one(*AUTHORITIES, *COMBINATIONS))

    name: Text | None = Field(None, description="What messages call it.")
    key: Key | None = Field(None, description="A public key, as PEM.")
    certificate: Certificate | None = Field(
        None, description="A certificate authority of your own, as PEM."
    )
    keyless: Keyless | None = Field(None, description="A certified identity.")
    static: Literal["pass", "deny"] | None = Field(
        None, description="No signature is looked for: all pass, or none."
    )
    anyOf: Annotated[list[Authority], Field(min_length=1)] | None = Field(  # noqa: N815
        None, description="One of these is enough."
    )
    allOf: Annotated[list[Authority], Field(min_length=1)] | None = Field(  # noqa: N815
        None, description="All of these."
    )
    atLeast: AtLeast | None = Field(None, description="So many of these.")  # noqa: N815
    transparencyLog: Literal["required", "ignored"] | None = Field(  # noqa: N815
        None,
        description="Whether the signature must be in a transparency log of the trust root. "
        "Default: required.",
    )
    timestamp: Annotated[list[Material], Field(min_length=1)] | None = Field(
        None,
        description="RFC 3161 authorities, one of which must have timestamped the signature: the "
        "certificates of each, as PEM, its own first.",
    )
    trustedRoot: Material | None = Field(  # noqa: N815
        None,
        description="A trust root (trusted_root.json) of your own. Default: that of Sigstore's "
        "public instance.",
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Authority:
        self._one_of((*AUTHORITIES, *COMBINATIONS))
        signed = self.key is not None or self.certificate is not None or self.keyless is not None
        for name in ("transparencyLog", "timestamp", "trustedRoot"):
            if not signed and getattr(self, name) is not None:
                self._refuse(f"{name} stands beside key, certificate or keyless")
        if self.keyless is not None and self.transparencyLog == "ignored":
            self._refuse("a keyless signature is nothing without its entry in a transparency log")
        if self.keyless is not None and self.timestamp is not None:
            self._refuse("the authorities of keyless timestamps are those of its trust root")
        return self

    def _refuse(self, why: str) -> NoReturn:
        raise PydanticCustomError("contradiction", "{why}", {"why": why})


class Condition(_Strict):
    """What must hold of an attestation."""

    expression: Text = Field(
        description="In CEL: true where it holds. It sees `predicate`, `predicateType`, `now` and `today`."
    )
    message: Text | None = Field(None, description="What is said where it does not.")


class AttestationDemand(_Strict):
    """An attestation that an image must have."""

    type: Annotated[Text, AfterValidator(_predicate_type)] = Field(
        description=f"The predicate type, as URI or short: {', '.join(PREDICATE_TYPES)}."
    )
    authorities: Authority | None = Field(
        None, description="Who must have signed it. Default: those of the entry."
    )
    conditions: list[Condition] | None = Field(
        None, description="What must hold of its predicate: all of these, of one attestation."
    )


class ImageEntry(_Strict):
    """Some images, and what is asked of them."""

    name: Text | None = Field(None, description="What messages call it.")
    match: Patterns = Field(
        description="Which images: registry and path without tag; * stops at a slash, ** does not."
    )
    exclude: Patterns | None = Field(None, description="Which of these are left out.")
    authorities: Authority = Field(description="Who must have signed.")
    signatures: Literal["required", "ignored"] | None = Field(
        None,
        description="Whether an image signature is asked for, or attestations only. Default: required.",
    )
    attestations: list[AttestationDemand] | None = Field(
        None, description="What must be attested: all of these."
    )
    target: Literal["index", "platforms", "either"] | None = Field(
        None,
        description="What of a multi-platform image must be signed: the index, the image of every "
        "platform, or one of the two. Default: index.",
    )
    annotations: dict[str, StrictStr] | None = Field(
        None, description="Annotations that a signature must carry to count, each with its value."
    )
    sameReference: StrictBool | None = Field(  # noqa: N815
        None,
        description="Whether the repository that was signed must be the one that is pulled from; a "
        "mirror breaks that. Default: false.",
    )
    signatureRepository: Text | None = Field(  # noqa: N815
        None, description="Where signatures and attestations are, if not beside the image."
    )
    onUnreachable: Literal["deny", "warn", "allow"] | None = Field(  # noqa: N815
        None,
        description="What follows where it cannot be found out, as the registry does not answer. "
        "Default: deny.",
    )

    @model_validator(mode="after")
    def _check_demand(self) -> ImageEntry:
        if self.signatures == "ignored" and not self.attestations:
            raise PydanticCustomError(
                "demand", "this asks for nothing: signatures are ignored, attestations not named"
            )
        return self


class PullSecret(_Strict):
    """A Secret with the login of a registry."""

    namespace: Text = Field(description="The Secret's namespace.")
    name: Text = Field(description="The Secret's name.")


class RegistryAuthority(_Strict):
    """Certificate authorities of registries: as text or from a file."""

    model_config = ConfigDict(json_schema_extra=_one("data", "file"))

    data: Text | None = Field(None, description="The certificates, as PEM.")
    file: Text | None = Field(None, description="A file, as path from the policy file.")

    @model_validator(mode="after")
    def _check_source(self) -> RegistryAuthority:
        self._one_of(("data", "file"))
        return self


class Mirror(_Strict):
    """Places that are asked before a registry."""

    of: Annotated[Text, AfterValidator(_place)] = Field(
        description="The registry, or the beginning of a repository's name in it."
    )
    places: Annotated[list[Annotated[Text, AfterValidator(_place)]], Field(min_length=1)] = Field(
        description="What stands in its place, as host:port or host:port/path, in the order in which they are asked."
    )


class ImageSettings(_Strict):
    """How the entries of `images` work together."""

    matching: Literal["all", "first"] | None = Field(
        None,
        description="Whether all entries that match an image must hold, or the first one only. "
        "Default: all.",
    )
    unmatched: Literal["allow", "deny"] | None = Field(
        None, description="What follows for images that no entry matches. Default: allow."
    )
    keepVerified: Span | None = Field(  # noqa: N815
        None, description="How long a positive verdict is kept. Default: 1h."
    )
    keepRefused: Span | None = Field(  # noqa: N815
        None, description="How long a negative verdict is kept. Default: 1m."
    )
    pullSecrets: list[PullSecret] | None = Field(  # noqa: N815
        None,
        description="Secrets of type kubernetes.io/dockerconfigjson by which registries are logged in to, "
        "where the cluster can be read.",
    )
    podPullSecrets: StrictBool | None = Field(  # noqa: N815
        None,
        description="Whether registries are logged in to by the pull secrets of the pods in question, or else "
        "of their service accounts, where the cluster can be read. Default: false.",
    )
    lastKnownTags: StrictBool | None = Field(  # noqa: N815
        None,
        description="Whether a tag counts as what it last stood for while its registry cannot be reached, for as "
        "long as a positive verdict is kept. Default: true.",
    )
    registryAuthorities: list[RegistryAuthority] | None = Field(  # noqa: N815
        None,
        description="Certificate authorities that registries are trusted by, beside those of the system.",
    )
    mirrors: list[Mirror] | None = Field(
        None,
        description="Places that are asked before registries; of several that fit the longest.",
    )
    plainHTTP: list[Text] | None = Field(  # noqa: N815
        None, description="Registries, as host:port, that are spoken to without TLS."
    )
