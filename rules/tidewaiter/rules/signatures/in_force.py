"""Verification by the `sigstore` library with the members of a trust root that were in force at the time.

A trust root says from when to when each log and certificate authority was in use
(https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto, `valid_for`, both ends
included). The library passes over those that have not begun yet and takes all others, so that a key that was
retired, and may have leaked since, could still vouch for new entries. Here it is shown no others than were in
force; all else is the library's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from sigstore._internal.timestamp import TimestampSource, TimestampVerificationResult
from sigstore.errors import VerificationError
from sigstore.models import TrustedRoot as Root
from sigstore.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigstore.models import Bundle
    from sigstore_models.common.v1 import TimeRange
    from sigstore_models.rekor.v1 import TransparencyLogEntry as EntryMessage
    from sigstore_models.trustroot.v1 import TransparencyLogInstance


class VerifierInForce(Verifier):
    """Also takes a log's signed time whatever the kind of the entry, as long as the log has promised it.

    The library limits that to the kinds that it compares itself. The promise is verified with the entry.
    """

    def __init__(self, root: Root, bundle: Bundle) -> None:
        """Verify one bundle. Raises VerificationError where nothing of the root was in force."""
        logged = logs_in_force(root, bundle.log_entry._inner)  # noqa: SLF001
        super().__init__(trusted_root=_ct_logs_in_force(logged, bundle.signing_certificate))

    def _establish_time(self, bundle: Bundle) -> list[TimestampVerificationResult]:
        entry = bundle.log_entry._inner  # noqa: SLF001
        if entry.kind_version.kind != "intoto" or not promised_time(entry):
            return super()._establish_time(bundle)
        stamps = []
        if bundle.verification_material.timestamp_verification_data:
            if not self._trusted_root.get_timestamp_authorities():
                raise VerificationError("the trust root has no authority for its signed time")
            stamps = self._verify_timestamp_authority(bundle)
        moment = datetime.fromtimestamp(promised_time(entry), UTC)
        source = TimestampSource.TRANSPARENCY_SERVICE
        return [*stamps, TimestampVerificationResult(source=source, time=moment)]

    def _verify_chain_at_time(
        self, certificate: x509.Certificate, timestamp_result: TimestampVerificationResult
    ) -> list[x509.Certificate]:
        inner = self._trusted_root._inner  # noqa: SLF001
        in_force = [
            authority
            for authority in inner.certificate_authorities
            if _covers(authority.valid_for, timestamp_result.time)
        ]
        if not in_force:
            raise VerificationError("no certificate authority of the trust root was in force then")
        root = Root(inner.model_copy(update={"certificate_authorities": in_force}))
        self._fulcio_certificate_chain = root.get_fulcio_certs()
        return super()._verify_chain_at_time(certificate, timestamp_result)


def promised_time(entry: EntryMessage) -> int:
    """Return the time in an entry that the log's promise covers, 0 where there is none."""
    return entry.integrated_time or 0 if entry.inclusion_promise is not None else 0


def logs_in_force(root: Root, entry: EntryMessage) -> Root:
    """Return a trust root with the logs in force at an entry's promised time.

    Raises VerificationError where there is none. An entry without such a time (Rekor 2) has all logs.
    """
    moment = promised_time(entry)
    if not moment:
        return root
    inner = root._inner  # noqa: SLF001
    logs = _covering(inner.tlogs, datetime.fromtimestamp(moment, UTC))
    if not logs:
        raise VerificationError("no log of the trust root was in force when the entry was made")
    return Root(inner.model_copy(update={"tlogs": logs}))


def _ct_logs_in_force(root: Root, certificate: x509.Certificate) -> Root:
    try:
        stamps = certificate.extensions.get_extension_for_class(
            x509.PrecertificateSignedCertificateTimestamps
        ).value
    except x509.ExtensionNotFound:
        return root  # the library refuses it, and says why
    moments = [stamp.timestamp.replace(tzinfo=UTC) for stamp in stamps]
    inner = root._inner  # noqa: SLF001
    logs = [
        log
        for log in inner.ctlogs
        if all(_covers(log.public_key.valid_for, moment) for moment in moments)
    ]
    if not logs:
        raise VerificationError(
            "no certificate transparency log of the trust root was in force when the certificate was made"
        )
    return Root(inner.model_copy(update={"ctlogs": logs}))


def _covering(
    logs: Sequence[TransparencyLogInstance], moment: datetime
) -> list[TransparencyLogInstance]:
    return [log for log in logs if _covers(log.public_key.valid_for, moment)]


def _covers(period: TimeRange | None, moment: datetime) -> bool:
    if period is None:
        return True
    return period.start <= moment and (period.end is None or moment <= period.end)
