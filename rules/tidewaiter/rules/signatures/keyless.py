"""Signatures whose signer is an identity, and log entries, verified by the `sigstore` library.

https://docs.sigstore.dev/about/security/ The library checks the certificate's chain at the signed time,
its certificate transparency stamp, the log entry's inclusion or promise, and that the entry is about this
very signature. It does not check what the signed statement is about; `verify` does that.

cosign 2 keeps a log's promise without the proof of inclusion that the library's own bundles demand. For
those the two classes at the end take the promise alone, as cosign does; all else stays the library's.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore._internal.trust import KeyringPurpose
from sigstore.errors import Error, VerificationError
from sigstore.models import Bundle, ClientTrustConfig, TransparencyLogEntry
from sigstore.models import TrustedRoot as Root
from sigstore.verify import Verifier
from sigstore_models.bundle.v1 import Bundle as BundleMessage
from sigstore_models.rekor.v1 import TransparencyLogEntry as EntryMessage

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.authority import CLAIMS
from tidewaiter.rules.signatures.in_force import VerifierInForce, logs_in_force, promised_time
from tidewaiter.rules.signatures.keys import PublicKey, known_key
from tidewaiter.rules.signatures.log_body import check_body, kind_of
from tidewaiter.rules.signatures.statement import IN_TOTO, BadSignature, unbase64
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_object
from tidewaiter.rules.signatures.trust import Signer, Undecided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidewaiter.rules.signatures.authority import Identity, KeylessAuthority, TrustedRoot
    from tidewaiter.rules.signatures.candidate import Candidate

ROOT_AGE = 24 * 3600.0
"""Seconds after which a trust root that comes by TUF is asked for again."""
FAILURE_AGE = 60.0
"""Seconds for which a trust root that could not be had is not asked for again."""
_SUBJECT_OTHER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_ISSUER_OLD = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_NOT_DER = frozenset(f"1.3.6.1.4.1.57264.1.{number}" for number in range(1, 7))


def check_keyless(authority: KeylessAuthority, candidate: Candidate) -> Signer:
    """Return which identity has signed. Raises BadSignature and Undecided."""
    if not candidate.certificates:
        raise BadSignature("it brings no certificate")
    _check_entries(candidate)
    root = _root(authority.trusted_root)
    _check_certifies(root)
    identities = _Identities(authority.identities)
    try:
        if candidate.bundle:
            bundle = Bundle.from_json(_completed_bundle(candidate))
        else:
            bundle = _annotated_bundle(candidate)
        verifier = VerifierInForce(root, bundle)
        kind, payload = _verified(verifier, bundle, identities, candidate)
    except BadSignature:
        raise
    except (Error, VerificationError) as error:
        raise BadSignature(_brief(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever the library trips over, it is not a yes
        raise BadSignature(f"cannot be verified: {_brief(error)}") from None
    if kind != IN_TOTO or payload != candidate.payload:
        raise BadSignature("the bundle reads differently to the library")
    return Signer(identities.shown, _promised_time(bundle))


def check_logged(
    trusted_root: TrustedRoot, candidate: Candidate, key: PublicKey, signature: bytes
) -> datetime | None:
    """Check that a log has an entry of a signature made with a key or with a certificate's key.

    Returns the time that the log has signed, if it has. Raises BadSignature and Undecided.
    """
    _check_entries(candidate)
    root = _root(trusted_root)
    try:
        if candidate.log_entry is not None:
            message = EntryMessage.from_json(json.dumps(_entry_message(candidate.log_entry)))
            entry: TransparencyLogEntry = _PromisedEntry(message)
        else:
            message = EntryMessage.from_json(json.dumps(_completed(candidate.bundle_entries[0])))
            entry = TransparencyLogEntry(message)
        keyring = logs_in_force(root, message).rekor_keyring(KeyringPurpose.VERIFY)
        entry._verify(keyring)  # noqa: SLF001
        check_body(message.canonicalized_body, candidate, key, signature)
    except BadSignature:
        raise
    except (Error, VerificationError) as error:
        raise BadSignature(f"its log entry is not valid: {_brief(error)}") from None
    except Exception as error:  # noqa: BLE001 - whatever the library trips over, it is not a yes
        raise BadSignature(f"its log entry cannot be verified: {_brief(error)}") from None
    moment = promised_time(message)
    return datetime.fromtimestamp(moment, UTC) if moment else None


def _check_entries(candidate: Candidate) -> None:
    if not candidate.bundle_entries and candidate.log_entry is None:
        raise BadSignature("it has no transparency log entry, which is demanded")
    if len(candidate.bundle_entries) > 1:
        raise BadSignature("it has more than one transparency log entry")
    if any(not isinstance(entry.get("inclusionProof"), dict) for entry in candidate.bundle_entries):
        raise BadSignature("its log entry has no proof of inclusion, which a bundle must have")


def _completed_bundle(candidate: Candidate) -> bytes:
    """Return a bundle in the one form that the library reads; all that it verifies stays the same."""
    document = read_object(candidate.bundle)
    material = document["verificationMaterial"]
    completed = [_completed(entry) for entry in candidate.bundle_entries]
    chained = document["mediaType"] in _OF_ONE_CERTIFICATE and "certificate" not in material
    if not chained and completed == list(candidate.bundle_entries):
        return candidate.bundle
    material["tlogEntries"] = completed
    if chained:
        material["certificate"] = material.pop("x509CertificateChain")["certificates"][0]
    return json.dumps(document).encode()


_OF_ONE_CERTIFICATE = (
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
)
"""Bundles of which the library reads a single certificate, where cosign 3 writes the chain that it was given."""


def _completed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with what its writer leaves out, as ProtoJSON has it for zero and for no elements.

    https://protobuf.dev/programming-guides/json/ The library asks for these fields, which the first entry
    of a log has not.
    """
    proof = {"logIndex": "0", "hashes": [], **entry["inclusionProof"]}
    return {"logIndex": "0", **entry, "inclusionProof": proof}


def check_root(stated: TrustedRoot, *, for_identities: bool) -> None:
    """Raise InputError where a trust root that is given as text cannot be used."""
    if stated.text:
        root = _root(stated)
        if for_identities:
            _check_certifies(root)


def _check_certifies(root: Root) -> None:
    if not _certifies(root):
        raise InputError(
            "the trust root names no certificate authority or no certificate transparency log, which "
            "identities need"
        )


def _certifies(root: Root) -> bool:
    """Tell whether a trust root is not for logged keys alone."""
    inner = root._inner  # noqa: SLF001
    return bool(inner.certificate_authorities and inner.ctlogs)


_COMPARED_HERE = frozenset({"intoto/0.0.1", "intoto/0.0.2", "hashedrekord/0.0.1", "dsse/0.0.2"})
"""Kinds of log entries of an envelope that the library verifies but does not compare with it."""


def _verified(
    verifier: Verifier, bundle: Bundle, identities: _Identities, candidate: Candidate
) -> tuple[str, bytes]:
    """Return what a bundle signs, verified by the library as far as it knows the log entry and the key."""
    key = bundle.signing_certificate.public_key()
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        return _verified_here(verifier, bundle, identities, candidate)
    if not candidate.is_envelope:
        verifier.verify_artifact(candidate.payload, bundle, identities)
        return IN_TOTO, candidate.payload
    if kind_of(bundle.log_entry._inner.canonicalized_body) in _COMPARED_HERE:  # noqa: SLF001
        return _verified_here(verifier, bundle, identities, candidate)
    return verifier.verify_dsse(bundle, identities)


def _verified_here(
    verifier: Verifier, bundle: Bundle, identities: _Identities, candidate: Candidate
) -> tuple[str, bytes]:
    """Do what the library does, up to the signature itself and what the log has recorded of it.

    Of signatures it verifies ECDSA with SHA-256 alone, whatever key has been certified.
    """
    verifier._verify_common_signing_cert(bundle, identities)  # noqa: SLF001
    certificate = bundle.signing_certificate
    key = known_key(certificate.public_key())
    if not key.has_signed(candidate.message, bundle.signature):
        raise BadSignature("not signed by the key of its certificate")
    body = bundle.log_entry._inner.canonicalized_body  # noqa: SLF001
    check_body(body, candidate, key, bundle.signature, certificate)
    envelope = bundle._dsse_envelope  # noqa: SLF001
    if envelope is None:
        return IN_TOTO, candidate.payload
    return envelope._inner.payload_type, envelope._inner.payload  # noqa: SLF001


class _Identities:
    """A verification policy of the library: the certificate must be of one of these identities."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities = identities
        self.shown = ""

    def verify(self, cert: x509.Certificate) -> None:
        """Raise VerificationError where no identity fits."""
        subjects, issuer = _subjects(cert), _issuer(cert)
        for identity in self._identities:
            for subject in subjects:
                if (
                    issuer
                    and identity.issuer.matches(issuer)
                    and identity.subject.matches(subject)
                    and all(
                        (claim := _extension(cert, CLAIMS[name])) and wanted.matches(claim)
                        for name, wanted in identity.claims
                    )
                ):
                    self.shown = f"{subject} (issuer {issuer})"
                    return
        shown = f"{', '.join(subjects) or 'nobody'} (issuer {issuer or 'none'})"
        raise VerificationError(f"signed by {shown}, which is no identity that may sign")


def _subjects(cert: x509.Certificate) -> list[str]:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    found = []
    for name in names:
        if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
            found.append(name.value)
        elif isinstance(name, x509.OtherName) and name.type_id == _SUBJECT_OTHER_NAME:
            found.append(asn1.decode_der(str, name.value))
    return found


def _issuer(cert: x509.Certificate) -> str:
    return _extension(cert, _ISSUER.dotted_string) or _extension(cert, _ISSUER_OLD.dotted_string)


def _extension(cert: x509.Certificate, oid: str) -> str:
    """Return what Fulcio wrote into an extension, empty where it is absent."""
    try:
        value = cert.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    except x509.ExtensionNotFound:
        return ""
    if not isinstance(value, x509.UnrecognizedExtension):
        return ""
    return value.value.decode() if oid in _NOT_DER else asn1.decode_der(str, value.value)


# What the libraries have to say of themselves is for their authors; what matters is in the answer.
for _library in ("sigstore", "tuf"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

_roots: dict[TrustedRoot, tuple[float, Root | Undecided]] = {}
_locks: dict[TrustedRoot, threading.Lock] = {}


def _root(stated: TrustedRoot) -> Root:
    """Return a trust root, kept for a day. Raises InputError and Undecided."""
    # Whoever waits for a root that comes slowly keeps nobody from another one.
    with _locks.setdefault(stated, threading.Lock()):
        until, kept = _roots.get(stated, (0.0, None))
        if kept is None or time.monotonic() >= until:
            try:
                kept = _read_root(stated) if stated.text else _fetch_root(stated)
                until = time.monotonic() + ROOT_AGE
            except Undecided as error:
                kept, until = error, time.monotonic() + FAILURE_AGE
            if len(_roots) >= 64:
                _roots.clear()
            _roots[stated] = (until, kept)
    if isinstance(kept, Undecided):
        raise Undecided(kept.message)
    return kept


def _read_root(stated: TrustedRoot) -> Root:
    try:
        document = _completed_root(read_object(stated.text.encode()))
    except MalformedJson as error:
        raise InputError(f"the trust root cannot be used: it {error}") from None
    descriptor, path = tempfile.mkstemp(suffix=".json")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
        root = Root.from_file(path)
        # Verifying with it must not be what finds out that it is incomplete.
        root.rekor_keyring(KeyringPurpose.VERIFY)
        if _certifies(root):
            Verifier(trusted_root=root)
    except (Error, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the trust root cannot be used: {_brief(error)}") from None
    finally:
        Path(path).unlink(missing_ok=True)
    return root


def _completed_root(document: dict[str, Any]) -> dict[str, Any]:
    """Return a trust root with what its writer leaves out: empty lists and texts, as in `_completed`."""
    found = {"certificateAuthorities": [], "ctlogs": [], **document}
    for member in ("certificateAuthorities", "timestampAuthorities"):
        listed = found.get(member)
        if isinstance(listed, list):
            found[member] = [_with_subject(each) for each in listed]
    return found


def _with_subject(authority: Any) -> Any:
    subject = authority.get("subject", {}) if isinstance(authority, dict) else None
    if not isinstance(subject, dict):
        return authority
    return {**authority, "subject": {"organization": "", "commonName": "", **subject}}


def _fetch_root(stated: TrustedRoot) -> Root:
    where = stated.tuf_url or "the public-good instance"
    try:
        if not stated.tuf_url:
            return ClientTrustConfig.production(offline=stated.offline).trusted_root
        with tempfile.TemporaryDirectory() as folder:
            first = None
            if stated.tuf_root:
                first = Path(folder) / "root.json"
                first.write_text(stated.tuf_root, encoding="utf-8")
            return ClientTrustConfig.from_tuf(stated.tuf_url, stated.offline, first).trusted_root
    except Exception as error:  # noqa: BLE001 - TUF and its HTTP library share no base
        raise Undecided(f"the trust root of {where} cannot be had: {_brief(error)}") from None


def _promised_time(bundle: Bundle) -> float | None:
    return float(promised_time(bundle.log_entry._inner)) or None  # noqa: SLF001


def _annotated_bundle(candidate: Candidate) -> Bundle:
    """Make the library's bundle of what cosign 2 keeps in annotations."""
    if candidate.log_entry is None or len(candidate.signatures) != 1:
        raise BadSignature("it has no transparency log entry, which is demanded")
    signature = base64.b64encode(candidate.signatures[0]).decode()
    certificate = candidate.certificates[0].public_bytes(Encoding.DER)
    document: dict[str, Any] = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": base64.b64encode(certificate).decode()},
            "tlogEntries": [_entry_message(candidate.log_entry)],
        },
    }
    if candidate.is_envelope:
        document["dsseEnvelope"] = {
            "payload": base64.b64encode(candidate.payload).decode(),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": signature}],
        }
    else:
        document["messageSignature"] = {"signature": signature}
    return _AnnotatedBundle(BundleMessage.from_json(json.dumps(document)))


def _entry_message(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry that an annotation holds as the library's message. Raises BadSignature."""
    try:
        payload = entry["Payload"]
        body = read_object(unbase64(payload["body"], "the log entry's body"))
        return {
            "logIndex": str(int(payload["logIndex"])),
            "logId": {"keyId": base64.b64encode(bytes.fromhex(payload["logID"])).decode()},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(int(payload["integratedTime"])),
            "inclusionPromise": {"signedEntryTimestamp": entry["SignedEntryTimestamp"]},
            # The message must have a proof; there is none, and _PromisedEntry looks at none.
            "inclusionProof": {"logIndex": "0", "treeSize": "1", "rootHash": "", "hashes": []},
            "canonicalizedBody": payload["body"],
        }
    except MalformedJson as error:
        raise BadSignature(f"the log entry's body {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BadSignature):
            raise
        raise BadSignature("its log entry is malformed") from None


class _PromisedEntry(TransparencyLogEntry):
    """An entry with the log's signed promise and without a proof of inclusion."""

    def _validate(self) -> None:
        if self._inner.inclusion_promise is None or not self._inner.integrated_time:
            raise VerificationError("the log entry has no promise of the log")

    def _verify(self, keyring: Any) -> None:
        self._verify_set(keyring)


class _AnnotatedBundle(Bundle):
    """A bundle whose entry is a `_PromisedEntry`."""

    def _verify(self) -> None:
        material = self._inner.verification_material
        if material.certificate is None or len(material.tlog_entries) != 1:
            raise VerificationError("the signature has no certificate or no log entry")
        self._signing_certificate = x509.load_der_x509_certificate(material.certificate.raw_bytes)
        self._log_entry = _PromisedEntry(material.tlog_entries[0])


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
