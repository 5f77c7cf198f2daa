"""The server's own authority: every certificate that is shown is one that every client already trusts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.rules.errors import InputError
from tidewaiter.webhook.own_authority import (
    Keyring,
    Lifetimes,
    as_secret_data,
    from_secret_data,
    names_of,
    renewed,
)

NAMES = ("tidewaiter.tidewaiter.svc", "127.0.0.1")
START = datetime(2026, 1, 1, tzinfo=UTC)


def is_trusted(keyring: Keyring, bundle: bytes, now: datetime) -> bool:
    """Verify as a TLS client does, by a bundle that it may have got earlier."""
    verifier = (
        PolicyBuilder()
        .store(Store(x509.load_pem_x509_certificates(bundle)))
        .time(now)
        .build_server_verifier(x509.DNSName(NAMES[0]))
    )
    try:
        verifier.verify(keyring.certificate, [])
    except x509.verification.VerificationError:
        return False
    return True


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(
    authority=st.integers(3, 90),
    share=st.floats(0.2, 0.9),
    step=st.floats(0.5, 0.99),
)
def test_a_client_that_hears_of_the_bundle_in_time_trusts_every_certificate(
    authority: int, share: float, step: float
) -> None:
    lifetimes = Lifetimes(timedelta(minutes=authority), timedelta(minutes=authority * share))
    now, keyring, heard = START, renewed(None, NAMES, lifetimes, START), b""
    authorities, certificates = set(), set()
    while now < START + 3 * lifetimes.authority:
        heard = keyring.bundle  # of the check before, which is sooner than the spread
        now += min(lifetimes.check, lifetimes.spread) * step
        keyring = renewed(keyring, NAMES, lifetimes, now)
        authorities.add(keyring.authorities[0].serial_number)
        certificates.add(keyring.certificate.serial_number)
        assert is_trusted(keyring, heard, now)
        assert is_trusted(keyring, keyring.bundle, now)
        assert len(keyring.authorities) <= 2
    assert len(authorities) > 3
    assert len(certificates) > 3


def test_nothing_is_renewed_before_it_is_due() -> None:
    lifetimes = Lifetimes()
    keyring = renewed(None, NAMES, lifetimes, START)
    assert renewed(keyring, NAMES, lifetimes, START + timedelta(days=15)) is keyring


def test_a_server_that_slept_for_years_starts_anew() -> None:
    lifetimes = Lifetimes()
    keyring = renewed(None, NAMES, lifetimes, START)
    later = START + timedelta(days=1000)
    assert is_trusted(renewed(keyring, NAMES, lifetimes, later), keyring.bundle, later) is False
    again = renewed(keyring, NAMES, lifetimes, later)
    assert is_trusted(again, again.bundle, later)


def test_other_names_get_another_certificate_of_the_same_authority() -> None:
    lifetimes = Lifetimes()
    keyring = renewed(None, NAMES, lifetimes, START)
    other = renewed(keyring, ("a.b.svc", "::1"), lifetimes, START + timedelta(hours=1))
    assert names_of(other.certificate) == {"a.b.svc", "::1"}
    assert other.authorities == keyring.authorities


def test_a_secret_gives_back_what_was_put_into_it() -> None:
    keyring = renewed(None, NAMES, Lifetimes(), START)
    read = from_secret_data(as_secret_data(keyring))
    assert (read.authorities, read.certificate) == (keyring.authorities, keyring.certificate)
    assert as_secret_data(read) == as_secret_data(keyring)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ca.crt": None}, "no field 'ca.crt'"),
        ({"tls.key": b"nothing"}, "no certificates and keys"),
        ({"tls.crt": b""}, "no certificates and keys"),
        ({"tls.key": "ca.key"}, "tls.key is not the key of tls.crt"),
        ({"ca.key": "tls.key"}, "ca.key is not the key"),
        ({"ca.crt": "tls.crt"}, "ca.key is not the key"),
    ],
)
def test_a_secret_that_somebody_has_changed_is_refused(
    change: dict[str, bytes | str | None], message: str
) -> None:
    data = as_secret_data(renewed(None, NAMES, Lifetimes(), START))
    for name, value in change.items():
        if value is None:
            del data[name]
        else:
            data[name] = data[value] if isinstance(value, str) else value
    with pytest.raises(InputError, match=message):
        from_secret_data(data)


def test_a_certificate_of_a_stranger_is_refused() -> None:
    ours = as_secret_data(renewed(None, NAMES, Lifetimes(), START))
    theirs = as_secret_data(renewed(None, NAMES, Lifetimes(), START))
    mixed = {**ours, "tls.crt": theirs["tls.crt"], "tls.key": theirs["tls.key"]}
    with pytest.raises(InputError, match="issued by none"):
        from_secret_data(mixed)
