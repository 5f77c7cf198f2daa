"""The report of `tidewaiter verify`, as text and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidewaiter.rules.signatures.verdict import Evidence, ImageVerdict

_STATUSES = ("verified", "refused", "unknown")


def text_form(verdicts: Sequence[ImageVerdict]) -> Iterator[str]:
    """Yield the report for people, a line for each image and what it rests on below."""
    for verdict in verdicts:
        yield f"{verdict.status:<8}  {_named(verdict)}\n"
        for reason in verdict.reasons:
            yield f"          {_printable(reason)}\n"
        attested = {id(one.evidence) for one in verdict.attestations}
        for evidence in verdict.evidence:
            what = evidence.predicate_type if id(evidence) in attested else "signed"
            yield f"          {what} by {_printable(evidence.signer)}, {evidence.form}{_when(evidence)}\n"
    counts = [
        f"{count} {status}"
        for status in _STATUSES
        if (count := sum(verdict.status == status for verdict in verdicts))
    ]
    yield f"{', '.join(counts)}\n"


def json_form(verdicts: Sequence[ImageVerdict]) -> Iterator[str]:
    """Yield the report for programs."""
    from json import dumps

    document = {
        "version": 1,
        "tool": {"name": "tidewaiter", "version": __version__},
        "summary": {
            status: sum(verdict.status == status for verdict in verdicts) for status in _STATUSES
        },
        "images": [_facts(verdict) for verdict in verdicts],
    }
    yield dumps(document, indent=1)
    yield "\n"


def _facts(verdict: ImageVerdict) -> dict[str, Any]:
    attested = {id(one.evidence) for one in verdict.attestations}
    return {
        "image": verdict.image,
        "digest": verdict.digest or None,
        "status": verdict.status,
        "reasons": list(verdict.reasons),
        "signatures": [
            _evidence(evidence) for evidence in verdict.evidence if id(evidence) not in attested
        ],
        "attestations": [
            {
                "predicateType": one.predicate_type,
                **_evidence(one.evidence),
                "predicate": one.predicate,
            }
            for one in verdict.attestations
        ],
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "authority": evidence.authority,
        "signer": evidence.signer,
        "form": evidence.form,
        "digest": evidence.digest,
        "signedAt": _moment(evidence.signed_at) if evidence.signed_at is not None else None,
    }


def _named(verdict: ImageVerdict) -> str:
    image = _printable(verdict.image)
    return image if not verdict.digest or "@" in image else f"{image}@{verdict.digest}"


def _when(evidence: Evidence) -> str:
    return f", {_moment(evidence.signed_at)}" if evidence.signed_at is not None else ""


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _printable(text: str) -> str:
    """A registry's words without what would steer a terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)
