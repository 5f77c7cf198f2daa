"""What an entry of a transparency log records, held against the signature that it is shown for.

That an entry is in a log the library says. What its body records (the canonical form in which Rekor keeps
each kind of entry, https://github.com/sigstore/rekor/tree/main/pkg/types) is compared here: the very message,
the very signature, and the key or certificate that made it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.keys import known_key, read_der_key, read_public_key
from tidewaiter.rules.signatures.statement import IN_TOTO, BadSignature, unbase64
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidewaiter.rules.signatures.candidate import Candidate
    from tidewaiter.rules.signatures.keys import PublicKey

_HASHES = frozenset({"sha256", "sha384", "sha512"})


class _Record(NamedTuple):
    """`hashed` are parts of a candidate, each with an algorithm and a digest.

    `signers` are signatures with what made them; None stands for each signature of an envelope whose
    bytes are among the hashed.
    """

    hashed: tuple[tuple[str, str, bytes], ...]
    signers: list[tuple[bytes | None, bytes]]


def kind_of(body: bytes) -> str:
    """Return an entry's kind and version. Raises BadSignature."""
    document = _document(body)
    return f"{document.get('kind')}/{document.get('apiVersion')}"


def check_body(
    body: bytes,
    candidate: Candidate,
    key: PublicKey,
    signature: bytes,
    certificate: x509.Certificate | None = None,
) -> None:
    """Check that an entry records this message, this signature and this key, or this certificate.

    Raises BadSignature.
    """
    document = _document(body)
    kind = kind_of(body)
    read = _RECORDED.get(kind)
    if read is None:
        raise BadSignature(f"its log entry is of the kind {kind[:80]}, which is not supported")
    try:
        record = read(document["spec"])
    except KeyError as error:
        raise BadSignature(f"its log entry lacks {error}") from None
    except (TypeError, AttributeError, IndexError, UnicodeDecodeError):
        raise BadSignature("its log entry is malformed") from None
    for what, algorithm, digest in record.hashed:
        _check_hash(what, algorithm, digest, candidate)
    for made, who in record.signers:
        if made in {None, signature} and _is_of(who, key, certificate):
            return
    raise BadSignature("its log entry is of another signature or key")


def _check_hash(what: str, algorithm: str, digest: bytes, candidate: Candidate) -> None:
    content = {
        "message": candidate.message,
        "payload": candidate.payload,
        "envelope": candidate.envelope,
    }[what]
    if not content:
        raise BadSignature(
            f"its log entry records a hash of the {what}, which is kept in no comparable form"
        )
    name = str(algorithm).lower().replace("sha2_", "sha")
    if name not in _HASHES or hashlib.new(name, content).digest() != digest:
        raise BadSignature(f"its log entry is of another {what}")


def _document(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body)
    except MalformedJson as error:
        raise BadSignature(f"its log entry {error}") from None


def _hashedrekord_1(spec: Mapping[str, Any]) -> _Record:
    signed = spec["signature"]
    signer = (_bytes(signed["content"]), _bytes(signed["publicKey"]["content"]))
    return _Record((_hash_1("message", spec["data"]["hash"]),), [signer])


def _hashedrekord_2(spec: Mapping[str, Any]) -> _Record:
    inner = spec["hashedRekordV002"]
    hashed = "message", inner["data"]["algorithm"], _bytes(inner["data"]["digest"])
    return _Record((hashed,), [_signer_2(inner["signature"])])


def _dsse_1(spec: Mapping[str, Any]) -> _Record:
    signers = [(_bytes(one["signature"]), _bytes(one["verifier"])) for one in spec["signatures"]]
    return _Record((_hash_1("payload", spec["payloadHash"]),), [*signers])


def _dsse_2(spec: Mapping[str, Any]) -> _Record:
    inner = spec["dsseV002"]
    hashed = inner["payloadHash"]
    hashed = "payload", hashed["algorithm"], _bytes(hashed["digest"])
    return _Record((hashed,), [_signer_2(one) for one in inner["signatures"]])


def _intoto_1(spec: Mapping[str, Any]) -> _Record:
    """Read an entry that records no signature, only the hash of the envelope's text that has it."""
    content = spec["content"]
    hashed = [_hash_1("envelope", content["hash"])]
    if "payloadHash" in content:
        hashed.append(_hash_1("payload", content["payloadHash"]))
    return _Record(tuple(hashed), [(None, _bytes(spec["publicKey"]))])


def _intoto_2(spec: Mapping[str, Any]) -> _Record:
    """Read an entry whose signatures are base64 twice; the hash of the envelope is the client's own."""
    content = spec["content"]
    envelope = content["envelope"]
    if envelope["payloadType"] != IN_TOTO:
        raise BadSignature("its log entry is of another payload type")
    signers = [
        (_bytes(_bytes(one["sig"]).decode()), _bytes(one["publicKey"]))
        for one in envelope["signatures"]
    ]
    return _Record((_hash_1("payload", content["payloadHash"]),), [*signers])


_RECORDED: Mapping[str, Callable[[Mapping[str, Any]], _Record]] = {
    "hashedrekord/0.0.1": _hashedrekord_1,
    "hashedrekord/0.0.2": _hashedrekord_2,
    "dsse/0.0.1": _dsse_1,
    "dsse/0.0.2": _dsse_2,
    "intoto/0.0.1": _intoto_1,
    "intoto/0.0.2": _intoto_2,
}


def _hash_1(what: str, stated: Mapping[str, Any]) -> tuple[str, str, bytes]:
    try:
        return what, stated["algorithm"], bytes.fromhex(stated["value"])
    except ValueError:
        raise BadSignature("its log entry is malformed") from None


def _signer_2(signed: Mapping[str, Any]) -> tuple[bytes, bytes]:
    verifier = signed["verifier"]
    material = verifier.get("publicKey") or verifier["x509Certificate"]
    return _bytes(signed["content"]), _bytes(material["rawBytes"])


def _bytes(text: str) -> bytes:
    return unbase64(text, "its log entry")


def _is_of(recorded: bytes, key: PublicKey, certificate: x509.Certificate | None) -> bool:
    """Tell whether a log has recorded a key, or where one is given this very certificate."""
    try:
        if certificate is not None:
            return _certificate_of(recorded) == certificate
        return _key_of(recorded) == key.der
    except (InputError, UnsupportedAlgorithm, ValueError):
        raise BadSignature("its log entry has a key that cannot be read") from None


def _certificate_of(recorded: bytes) -> x509.Certificate:
    """Return a certificate, of Rekor 1 in PEM, of Rekor 2 in DER. Raises ValueError."""
    if recorded.startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificate(recorded)
    return x509.load_der_x509_certificate(recorded)


def _key_of(recorded: bytes) -> bytes:
    """Return the SPKI of a key or certificate, PEM or DER. Raises InputError and ValueError."""
    if recorded.startswith(b"-----BEGIN CERTIFICATE"):
        return known_key(x509.load_pem_x509_certificate(recorded).public_key()).der
    if recorded.startswith(b"-----BEGIN"):
        return read_public_key(recorded.decode()).der
    try:
        return read_der_key(recorded).der
    except InputError:
        return known_key(x509.load_der_x509_certificate(recorded).public_key()).der
