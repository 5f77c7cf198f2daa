"""What a signature says: which digests, and what of them.

Two forms: the payload of simple signing
(https://github.com/containers/image/blob/main/docs/containers-signature.5.md) and the in-toto statement
within a DSSE envelope (https://github.com/secure-systems-lab/dsse, https://in-toto.io/Statement/v1).
Both are read strictly: a field that the form does not know, where ignoring it could change what was
signed, makes the signature worthless.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from tidewaiter.rules.signatures.authority import SIGN_PREDICATE
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_object

IN_TOTO = "application/vnd.in-toto+json"
SUBJECTS = 1024
"""Subjects that one statement may have."""
SIGNATURES = 16
"""Signatures that one envelope may have."""
_STATEMENT_TYPES = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
_SIMPLE_TYPES = ("cosign container image signature", SIGN_PREDICATE)


class BadSignature(ValueError):
    """A signature that says nothing that can be relied on; the message says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is claimed. `subjects` are digests with the annotations that belong to each."""

    subjects: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    predicate_type: str
    predicate: Any = None
    reference: str = ""
    """The `docker-reference` of simple signing, empty in a statement."""

    @property
    def is_signature(self) -> bool:
        """Whether it says only that the image is signed."""
        return self.predicate_type == SIGN_PREDICATE

    def names(self, digest: str) -> bool:
        """Tell whether it is about this digest."""
        return any(subject == digest for subject, _ in self.subjects)

    def annotations(self, digest: str) -> dict[str, str]:
        """Return the annotations that were signed for a digest."""
        found: dict[str, str] = {}
        for subject, stated in self.subjects:
            if subject == digest:
                found.update(stated)
        return found


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope: the payload, and the signatures over `message` (its PAE)."""

    payload: bytes = field(repr=False)
    message: bytes = field(repr=False)
    signatures: tuple[bytes, ...] = field(repr=False)


def read_simple_signing(payload: bytes) -> Statement:
    """Read a payload of simple signing. Raises BadSignature."""
    document = _object(payload, "the payload")
    _only(document, {"critical", "optional"}, "the payload")
    critical = _field(document, "critical", dict, "the payload")
    _only(critical, {"identity", "image", "type"}, "critical")
    image = _field(critical, "image", dict, "critical")
    _only(image, {"docker-manifest-digest"}, "critical.image")
    identity = _field(critical, "identity", dict, "critical")
    _only(identity, {"docker-reference"}, "critical.identity")
    if critical.get("type") not in _SIMPLE_TYPES:
        raise BadSignature(f"critical.type is {_shown(critical.get('type'))}, no image signature")
    digest = _field(image, "docker-manifest-digest", str, "critical.image")
    reference = _field(identity, "docker-reference", str, "critical.identity")
    optional = document.get("optional")
    if optional is not None and not isinstance(optional, dict):
        raise BadSignature("optional is neither null nor an object")
    annotations = tuple(
        (key, value) for key, value in (optional or {}).items() if isinstance(value, str)
    )
    return Statement(((digest, annotations),), SIGN_PREDICATE, reference=reference)


def read_envelope(document: object) -> Envelope:
    """Read a DSSE envelope that carries an in-toto statement. Raises BadSignature."""
    if not isinstance(document, dict):
        raise BadSignature("the envelope is no object")
    kind = _field(document, "payloadType", str, "the envelope")
    if kind != IN_TOTO:
        raise BadSignature(f"the envelope's payload type is {_shown(kind)}, not {IN_TOTO}")
    payload = unbase64(_field(document, "payload", str, "the envelope"), "the envelope's payload")
    listed = _field(document, "signatures", list, "the envelope")
    if not 0 < len(listed) <= SIGNATURES:
        raise BadSignature(f"the envelope has {len(listed)} signatures; 1 to {SIGNATURES} may be")
    signatures = []
    for entry in listed:
        if not isinstance(entry, dict):
            raise BadSignature("a signature of the envelope is no object")
        signature = _field(entry, "sig", str, "a signature of the envelope")
        signatures.append(unbase64(signature, "a signature of the envelope"))
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    return Envelope(payload, message, tuple(signatures))


def read_statement(payload: bytes) -> Statement:
    """Read an in-toto statement, version 0.1 or 1. Raises BadSignature."""
    document = _object(payload, "the statement")
    if document.get("_type") not in _STATEMENT_TYPES:
        raise BadSignature(f"the statement's type is {_shown(document.get('_type'))}")
    predicate_type = _field(document, "predicateType", str, "the statement")
    if not predicate_type:
        raise BadSignature("the statement's predicateType is empty")
    listed = _field(document, "subject", list, "the statement")
    if not 0 < len(listed) <= SUBJECTS:
        raise BadSignature(f"the statement has {len(listed)} subjects; 1 to {SUBJECTS} may be")
    subjects: list[tuple[str, tuple[tuple[str, str], ...]]] = []
    for entry in listed:
        if not isinstance(entry, dict):
            raise BadSignature("a subject of the statement is no object")
        annotations = entry.get("annotations") or {}
        if not isinstance(annotations, dict):
            raise BadSignature("the annotations of a subject are no object")
        texts = tuple((key, value) for key, value in annotations.items() if isinstance(value, str))
        for algorithm, encoded in _field(entry, "digest", dict, "a subject").items():
            if not isinstance(encoded, str):
                raise BadSignature("a subject's digest is no text")
            subjects.append((f"{algorithm}:{encoded}", texts))
    return Statement(tuple(subjects), predicate_type, document.get("predicate"))


def unbase64(text: str, what: str) -> bytes:
    """Decode base64, standard or URL-safe. Raises BadSignature."""
    try:
        return base64.b64decode(text.translate(_STANDARD), validate=True)
    except (ValueError, binascii.Error):
        raise BadSignature(f"{what} is no base64") from None


_STANDARD = str.maketrans("-_", "+/")


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(content)
    except MalformedJson as error:
        raise BadSignature(f"{what} {error}") from None


def _field(
    document: dict[str, Any],
    name: str,
    kind: type[dict[str, Any]] | type[list[Any]] | type[str],
    what: str,
) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        wanted = {"dict": "an object", "list": "a list", "str": "a text"}[kind.__name__]
        raise BadSignature(f"{what} has no {name} that is {wanted}")
    return value


def _only(document: dict[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(document.keys() - known)
    if unknown:
        raise BadSignature(f"{what} has a field that is not known: {_shown(unknown[0])}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}…'"
