"""The published cases of Sigstore clients that concern a bundle with an envelope, made anew by an own Sigstore.

https://github.com/sigstore/sigstore-conformance/tree/main/test/assets/bundle-verify The names are theirs; those
that end in `_fail` must be refused. Cases on log entries of other envelopes, kinds and signatures are in
`test_log_entries`, cases on files rather than images have no counterpart: a bundle of a file is refused.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.rules.signatures.conftest import verdict_of
from tests.rules.signatures.registry_server import RegistryServer
from tests.rules.signatures.signing import SIGN, b64, push_bundle, statement
from tests.rules.signatures.sigstore_world import (
    HAS_OPENSSL,
    ISSUER,
    SUBJECT,
    World,
    new_key,
    sign,
    spki,
)
from tidewaiter.rules.signatures.authority import (
    Identity,
    KeylessAuthority,
    TextMatch,
    TrustedRoot,
)

pytestmark = pytest.mark.skipif(
    not HAS_OPENSSL, reason="openssl, which plays the time-stamping authority, is not installed"
)


class Case:
    """A bundle and a trust root that fit, until a case changes them."""

    def __init__(self, world: World, digest: str, log: int) -> None:
        self.world = world
        self.digest = digest
        self.key = new_key()
        self.certificate = world.certificate(self.key)
        document = statement(digest)
        self.bundle = world.bundle(
            document, key=self.key, certificate=self.certificate, log=log, stamped=True
        )
        self.root: dict[str, Any] = json.loads(world.trusted_root)
        self.subject = SUBJECT
        self.issuer = ISSUER

    @property
    def material(self) -> dict[str, Any]:
        material: dict[str, Any] = self.bundle["verificationMaterial"]
        return material

    @property
    def entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.material["tlogEntries"][0]
        return entry

    @property
    def stamps(self) -> list[dict[str, Any]]:
        stamps: list[dict[str, Any]] = self.material["timestampVerificationData"][
            "rfc3161Timestamps"
        ]
        return stamps

    def stamp(self) -> dict[str, str]:
        assert self.world.timestamps is not None
        signature = base64.b64decode(self.bundle["dsseEnvelope"]["signatures"][0]["sig"])
        return {"signedTimestamp": b64(self.world.timestamps.stamp(signature))}

    def checkpoint(self, change: Callable[[str], str], key: Any = None) -> None:
        """Change a checkpoint's text and sign it anew, as the log or as somebody else."""
        place = self.entry["inclusionProof"]["checkpoint"]
        note, _, signatures = place["envelope"].partition("\n\n")
        changed = change(note + "\n")
        raw = base64.b64decode(signatures.split()[2])
        made = b64(raw[:4] + sign(key, changed.encode())) if key else signatures.split()[2]
        place["envelope"] = f"{changed}\n— log.test {made}\n"


def _authority(case: Case, name: str) -> dict[str, Any]:
    authority: dict[str, Any] = case.root[name][0]
    return authority


def _period(case: Case, member: str, **period: str) -> None:
    place = _authority(case, member)
    (place.get("publicKey") or place)["validFor"] = period


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _other_stamp(case: Case) -> None:
    assert case.world.timestamps is not None
    case.stamps[0]["signedTimestamp"] = b64(case.world.timestamps.stamp(b"another"))


def _borrowed_period(case: Case) -> None:
    """The authority's time is over; another one has no certificates and a period that fits."""
    _period(case, "timestampAuthorities", start="2020-01-01T00:00:00Z", end="2021-01-01T00:00:00Z")
    other = copy.deepcopy(_authority(case, "timestampAuthorities"))
    other["certChain"]["certificates"] = []
    other["validFor"] = {"start": "2020-01-01T00:00:00Z"}
    case.root["timestampAuthorities"].append(other)


def _wrong_key(case: Case, member: str) -> None:
    _authority(case, member)["publicKey"]["rawBytes"] = b64(spki(new_key()))


def _ended_certificate(case: Case) -> None:
    past = datetime.now(UTC) - timedelta(hours=2)
    certificate = case.world.certificate(case.key, start=past)
    document = statement(case.digest)
    case.bundle = case.world.bundle(document, key=case.key, certificate=certificate, log=2)


def _second_stamp_outside(case: Case) -> None:
    """The log's own time is within the certificate, that of the authority is not."""
    past = datetime.now(UTC) - timedelta(hours=2)
    certificate = case.world.certificate(case.key, start=past)
    case.bundle = case.world.bundle(
        statement(case.digest),
        key=case.key,
        certificate=certificate,
        moment=past + timedelta(minutes=5),
        stamped=True,
    )


def _statement(case: Case, **more: Any) -> None:
    document = {**statement(case.digest), **more}
    wanted = {name: value for name, value in document.items() if value is not None}
    case.bundle = case.world.bundle(wanted, key=case.key, certificate=case.certificate, log=2)


CASES: dict[str, tuple[int, Callable[[Case], object]]] = {
    "happy-path": (1, lambda case: None),
    "rekor2-dsse-happy-path": (2, lambda case: None),
    "invalid-ct-key_fail": (1, lambda case: _wrong_key(case, "ctlogs")),
    "wrong-log-key_fail": (2, lambda case: _wrong_key(case, "tlogs")),
    "no-timestamp_fail": (2, lambda case: case.material.pop("timestampVerificationData")),
    "rekor2-timestamp-untrusted_fail": (2, lambda case: case.root.update(timestampAuthorities=[])),
    "rekor2-timestamp-of-another-signature_fail": (2, _other_stamp),
    "rekor2-timestamp-outside-cert-validity_fail": (2, _ended_certificate),
    "rekor2-timestamp-outside-trust-root-tsa-validity_fail": (
        2,
        lambda case: _period(
            case,
            "timestampAuthorities",
            start="2020-01-01T00:00:00Z",
            end=_text(datetime.now(UTC) - timedelta(days=1)),
        ),
    ),
    "rekor2-timestamp-wrong-tsa-validity-borrow_fail": (2, _borrowed_period),
    "rekor2-multiple-timestamps": (2, lambda case: case.stamps.append(case.stamp())),
    "rekor2-duplicate-timestamps": (2, lambda case: case.stamps.append(case.stamps[0])),
    "multiple-times-one-outside-cert-validity_fail": (1, _second_stamp_outside),
    "too-many-timestamps_fail": (2, lambda case: case.stamps.extend(case.stamps * 32)),
    "trust-root-ca-outside-validity_fail": (
        2,
        lambda case: _period(
            case, "certificateAuthorities", start="2020-01-01T00:00:00Z", end="2021-01-01T00:00:00Z"
        ),
    ),
    "checkpoint-wrong-roothash_fail": (
        1,
        lambda case: case.checkpoint(lambda note: note.replace("\n1\n", "\n1\nAAAA"), None),
    ),
    "checkpoint-wrong-key_fail": (2, lambda case: case.checkpoint(lambda note: note, new_key())),
    "checkpoint-bad-keyhint_fail": (
        2,
        lambda case: case.entry["inclusionProof"]["checkpoint"].update(
            envelope="log.test\n1\nAAAA\n\n— log.test AAAAAAAAAAAA\n"
        ),
    ),
    "checkpoint-missing_fail": (2, lambda case: case.entry["inclusionProof"].pop("checkpoint")),
    "inclusion-proof-missing_fail": (1, lambda case: case.entry.pop("inclusionProof")),
    "inclusion-proof-other-root_fail": (
        1,
        lambda case: case.entry["inclusionProof"].update(rootHash=b64(b"0" * 32)),
    ),
    "inclusion-proof-wrong-size_fail": (
        2,
        lambda case: case.entry["inclusionProof"].update(hashes=[b64(b"0" * 32)]),
    ),
    "set-of-another-entry_fail": (
        1,
        lambda case: case.entry["inclusionPromise"].update(
            signedEntryTimestamp=case.world.promise("e30=", int(case.entry["integratedTime"]))
        ),
    ),
    "set-missing-integrated-time-unsigned_fail": (
        1,
        lambda case: (
            case.entry.pop("inclusionPromise"),
            case.material.pop("timestampVerificationData"),
        ),
    ),
    "no-log-entry_fail": (1, lambda case: case.material.update(tlogEntries=[])),
    "two-log-entries_fail": (
        1,
        lambda case: case.material["tlogEntries"].append(copy.deepcopy(case.entry)),
    ),
    "bundle-media-type-unknown_fail": (1, lambda case: case.bundle.update(mediaType="v9")),
    "dsse-statement-missing-type_fail": (2, lambda case: _statement(case, _type=None)),
    "dsse-statement-unknown-type_fail": (2, lambda case: _statement(case, _type="https://a/v9")),
    "dsse-statement-without-subject_fail": (2, lambda case: _statement(case, subject=[])),
    "dsse-statement-of-v0.1": (
        2,
        lambda case: _statement(case, _type="https://in-toto.io/Statement/v0.1"),
    ),
    "wrong-identity_fail": (1, lambda case: setattr(case, "subject", "https://evil.test")),
    "wrong-issuer_fail": (1, lambda case: setattr(case, "issuer", "https://evil.test")),
}


REASONS = {
    "invalid-ct-key": "SCT verify failed",
    "wrong-log-key": "checkpoint: invalid signature",
    "no-timestamp": "signed timestamp",
    "rekor2-timestamp-untrusted": "no Timestamp Authorities",
    "rekor2-timestamp-of-another-signature": "not enough sources of verified time",
    "rekor2-timestamp-outside-cert-validity": "not valid at validation time",
    "rekor2-timestamp-outside-trust-root-tsa-validity": "not enough sources of verified time",
    "rekor2-timestamp-wrong-tsa-validity-borrow": "missing a certificate",
    "rekor2-duplicate-timestamps": "duplicate timestamp",
    "multiple-times-one-outside-cert-validity": "not valid at validation time",
    "too-many-timestamps": "no list of at most 32",
    "trust-root-ca-outside-validity": "was in force then",
    "checkpoint-wrong-roothash": "checkpoint: invalid signature",
    "checkpoint-wrong-key": "checkpoint: invalid signature",
    "checkpoint-bad-keyhint": "Signature not found for log",
    "checkpoint-missing": "with checkpoint",
    "inclusion-proof-missing": "no proof of inclusion",
    "inclusion-proof-other-root": "invalid root hash",
    "inclusion-proof-wrong-size": "wrong size",
    "set-of-another-entry": "invalid inclusion promise",
    "set-missing-integrated-time-unsigned": "inclusion promise or signed timestamp",
    "no-log-entry": "no transparency log entry",
    "two-log-entries": "more than one transparency log entry",
    "bundle-media-type-unknown": "media type",
    "dsse-statement-missing-type": "type is None",
    "dsse-statement-unknown-type": "type is 'https://a/v9'",
    "dsse-statement-without-subject": "0 subjects",
    "wrong-identity": "no identity that may sign",
    "wrong-issuer": "no identity that may sign",
}
"""Why each is refused, so that none is for a slip in its making."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("name", CASES)
def test_a_published_case(registry: RegistryServer, world: World, name: str) -> None:
    version, change = CASES[name]
    case = Case(world, registry.push_image("app"), version)
    change(case)
    push_bundle(registry, "app", case.digest, case.bundle)
    identity = Identity(TextMatch(case.issuer), TextMatch(case.subject))
    authority = KeylessAuthority((identity,), TrustedRoot(json.dumps(case.root)))
    verdict = verdict_of(f"{registry.host}/app:v1", authority)
    reason = REASONS.get(name.removesuffix("_fail"))
    if reason is None:
        assert verdict.status == "verified", verdict.reasons
        assert verdict.evidence[0].predicate_type == SIGN
    else:
        assert verdict.status == "refused", verdict
        assert reason in verdict.reasons[0]
        assert not verdict.evidence


def test_each_case_that_must_fail_is_among_the_refused() -> None:
    """Of those that others let pass, one is refused: a signed time that stands twice, which others count once."""
    failing = {name.removesuffix("_fail") for name in CASES if name.endswith("_fail")}
    assert REASONS.keys() - failing == {"rekor2-duplicate-timestamps"}
    assert failing <= REASONS.keys()
