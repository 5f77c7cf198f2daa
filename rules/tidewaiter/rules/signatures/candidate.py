"""A signature as it was found: what it says, which bytes it signs, and what it brings to prove it.

Nothing in a candidate has been verified. Here the forms in which cosign keeps signatures become one:

    simple signing  a layer with the payload, the rest in its annotations
    DSSE            a layer with an envelope, the rest in its annotations (attestations)
    bundle          a layer that holds all: https://docs.sigstore.dev/about/bundle/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509

from tidewaiter.rules.signatures.statement import (
    BadSignature,
    Statement,
    read_envelope,
    read_simple_signing,
    read_statement,
    unbase64,
)
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

SIMPLE_SIGNING_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE_LAYER = "application/vnd.dsse.envelope.v1+json"
BUNDLE_PREFIX = "application/vnd.dev.sigstore.bundle"
BUNDLE_TYPES = (
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
)
CHAIN = 16
"""Certificates that a signature may bring."""
TIMESTAMPS = 32
"""Signed times that a signature may bring."""
_SIGNATURE = "dev.cosignproject.cosign/signature"
_CERTIFICATE = "dev.sigstore.cosign/certificate"
_CHAIN = "dev.sigstore.cosign/chain"
_LOG_ENTRY = "dev.sigstore.cosign/bundle"
_TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One signature, or an envelope with several over the same bytes.

    `message` are the signed bytes, `envelope` those of an envelope that stood alone, `bundle` is the
    Sigstore bundle (JSON) where one was served; `log_entry` the entry (and its promise) that an
    annotation held.
    """

    form: str
    digest: str
    statement: Statement
    message: bytes = field(repr=False)
    signatures: tuple[bytes, ...] = field(repr=False)
    payload: bytes = field(default=b"", repr=False)
    envelope: bytes = field(default=b"", repr=False)
    certificates: tuple[x509.Certificate, ...] = ()
    timestamps: tuple[bytes, ...] = field(default=(), repr=False)
    bundle: bytes = field(default=b"", repr=False)
    bundle_entries: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    log_entry: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def is_envelope(self) -> bool:
        """Whether the signed bytes are DSSE's encoding of the payload."""
        return self.message is not self.payload


def read_simple(
    form: str, digest: str, content: bytes, annotations: Mapping[str, str]
) -> Candidate:
    """Read a layer of simple signing. Raises BadSignature."""
    signature = annotations.get(_SIGNATURE, "")
    if not signature:
        raise BadSignature(f"the layer has no annotation {_SIGNATURE}")
    return Candidate(
        form,
        digest,
        read_simple_signing(content),
        content,
        (unbase64(signature, "the signature"),),
        payload=content,
        certificates=_annotated_certificates(annotations),
        timestamps=_annotated_timestamps(annotations),
        log_entry=_annotated_entry(annotations),
    )


def read_dsse(form: str, digest: str, content: bytes, annotations: Mapping[str, str]) -> Candidate:
    """Read a layer that is an envelope. Raises BadSignature."""
    envelope = read_envelope(_document(content, "the envelope"))
    return Candidate(
        form,
        digest,
        read_statement(envelope.payload),
        envelope.message,
        envelope.signatures,
        payload=envelope.payload,
        envelope=content,
        certificates=_annotated_certificates(annotations),
        timestamps=_annotated_timestamps(annotations),
        log_entry=_annotated_entry(annotations),
    )


def read_bundle(form: str, digest: str, content: bytes) -> Candidate:
    """Read a Sigstore bundle with an envelope. Raises BadSignature."""
    document = _document(content, "the bundle")
    if document.get("mediaType") not in BUNDLE_TYPES:
        shown = str(document.get("mediaType"))[:80]
        raise BadSignature(f"the bundle has the media type {shown!r}, which is not supported")
    if "messageSignature" in document:
        raise BadSignature("the bundle signs a file and not an image: it has no envelope")
    envelope = read_envelope(document.get("dsseEnvelope"))
    if len(envelope.signatures) != 1:
        raise BadSignature("the bundle's envelope has more than one signature")
    material = _mapping(document.get("verificationMaterial"), "verificationMaterial")
    stamps = _mapping(material.get("timestampVerificationData") or {}, "timestampVerificationData")
    return Candidate(
        form,
        digest,
        read_statement(envelope.payload),
        envelope.message,
        envelope.signatures,
        payload=envelope.payload,
        certificates=_bundled_certificates(material),
        timestamps=tuple(
            unbase64(_text(entry, "signedTimestamp"), "a timestamp")
            for entry in _entries(stamps, "rfc3161Timestamps", TIMESTAMPS)
        ),
        bundle=content,
        bundle_entries=tuple(_entries(material, "tlogEntries", 8)),
    )


def _bundled_certificates(material: Mapping[str, Any]) -> tuple[x509.Certificate, ...]:
    kinds = [key for key in ("publicKey", "certificate", "x509CertificateChain") if key in material]
    if len(kinds) != 1:
        raise BadSignature("the bundle must have either a public key's hint or a certificate")
    if kinds == ["publicKey"]:
        return ()
    if kinds == ["certificate"]:
        listed = [_mapping(material["certificate"], "certificate")]
    else:
        chain = _mapping(material["x509CertificateChain"], "x509CertificateChain")
        listed = _entries(chain, "certificates", CHAIN)
        if not listed:
            raise BadSignature("the bundle's chain has no certificate")
    found = []
    for entry in listed:
        der = unbase64(_text(entry, "rawBytes"), "a certificate")
        try:
            found.append(x509.load_der_x509_certificate(der))
        except (ValueError, x509.InvalidVersion):
            raise BadSignature("a certificate of the bundle cannot be read") from None
    return tuple(found)


def _annotated_certificates(annotations: Mapping[str, str]) -> tuple[x509.Certificate, ...]:
    leaf, chain = annotations.get(_CERTIFICATE, ""), annotations.get(_CHAIN, "")
    if not leaf:
        return ()
    if (leaf + chain).count("-----BEGIN ") > CHAIN:
        raise BadSignature(f"the signature brings more than {CHAIN} certificates")
    try:
        found = x509.load_pem_x509_certificates(leaf.encode())
        found += x509.load_pem_x509_certificates(chain.encode()) if chain.strip() else []
    except (ValueError, x509.InvalidVersion):
        raise BadSignature("the signature's certificate cannot be read") from None
    return tuple(found)


def _annotated_timestamps(annotations: Mapping[str, str]) -> tuple[bytes, ...]:
    text = annotations.get(_TIMESTAMP, "")
    if not text.strip() or text.strip() == "null":
        return ()
    stamp = _text(_document(text.encode(), "the timestamp"), "SignedRFC3161Timestamp")
    return (unbase64(stamp, "the timestamp"),)


def _annotated_entry(annotations: Mapping[str, str]) -> Mapping[str, Any] | None:
    text = annotations.get(_LOG_ENTRY, "")
    if not text.strip() or text.strip() == "null":
        return None
    return _document(text.encode(), "the log entry")


def _document(content: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(content)
    except MalformedJson as error:
        raise BadSignature(f"{what} {error}") from None


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadSignature(f"the bundle's {what} is no object")
    return value


def _entries(document: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    listed = document.get(name) or []
    if not isinstance(listed, list) or len(listed) > most:
        raise BadSignature(f"the bundle's {name} are no list of at most {most}")
    return [_mapping(entry, f"entry of {name}") for entry in listed]


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise BadSignature(f"the signature has no {name} that is a text")
    return value
