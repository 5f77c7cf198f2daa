"""Certificates without another component: the server makes its own, and tells the API server whom to trust.

The replicas share one Secret. Whoever finds something due takes the Lease, writes the next keyring, and lets the Lease
go; the others wait and take what it made. What makes that safe whatever becomes of the holder is the resourceVersion:
each write states that which was read. Before a certificate is shown, the bundle that it needs stands in the `caBundle`
of each webhook configuration; that is read before the Secret, so that nobody who was held up in between can put back a
bundle that a newer one has replaced.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#authenticate-apiservers
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidewaiter.rules.cluster.client import Refused, backoff, open_client
from tidewaiter.rules.cluster.lease import DURATION, Lease, candidate
from tidewaiter.rules.errors import ClusterError, InputError
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.own_authority import (
    Keyring,
    Lifetimes,
    as_secret_data,
    from_secret_data,
    is_overdue,
    renewed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.webhook.settings import Settings

LEASE = "tidewaiter-certificates"
_CONFLICT, _NOT_FOUND = 409, 404
_NOT_ALLOWED = frozenset({401, 403})
_ATTEMPTS = 8
_START = 60.0
"""Seconds that a server waits at its start for the cluster to take its certificate."""
_PATIENCE = 2.0
"""Durations of the Lease after which a replica without any certificate waits for its holder no longer."""
_UNTRUSTED_CHECK = 5.0
"""Seconds between two looks for a webhook configuration that is not there."""
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class _AnotherMakesIt(Exception):
    """There is no keyring yet, and another replica holds the Lease."""


@dataclass(frozen=True, slots=True)
class OwnCertificates:
    """Where the keyring is kept, whom it is for, and who must trust it.

    `names` are the server's DNS names and addresses, the first that of its Service; `configurations` are the
    ValidatingWebhookConfigurations of which the entries that lead here get the bundle.
    """

    namespace: str
    secret: str
    names: tuple[str, ...]
    configurations: tuple[str, ...]
    lifetimes: Lifetimes = field(default_factory=Lifetimes)


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Where the pair in force is written for the TLS library, which reads files only."""

    certificate: str
    key: str


class Renewal:
    """What makes the certificates of a server, and keeps them good while it runs."""

    def __init__(
        self,
        client: Client,
        own: OwnCertificates,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make a folder for the pair that nobody else can read; in a pod, have it in memory."""
        self._client = client
        self._own = own
        self._now = now
        self._lease_seconds = _lease_seconds(own.lifetimes)
        self._lease = Lease(client, own.namespace, LEASE, candidate(), duration=self._lease_seconds)
        self._folder = tempfile.mkdtemp(prefix="tidewaiter-tls-")
        self.files = PairFiles(
            os.path.join(self._folder, "tls.crt"), os.path.join(self._folder, "tls.key")
        )
        self._last: Keyring | None = None
        self._missing: frozenset[str] = frozenset()

    async def step(self) -> None:
        """Make what is due, see to it that clients trust it, and write the pair to its files.

        Raises ClusterError; the files are then as before.
        """
        patient_until = time.monotonic() + _PATIENCE * self._lease_seconds
        conflicts = 0
        try:
            for attempt in itertools.count():
                try:
                    return await self._try_step(is_patient=time.monotonic() < patient_until)
                except _AnotherMakesIt:
                    pass
                except Refused as refused:
                    conflicts += 1
                    if refused.status != _CONFLICT or conflicts == _ATTEMPTS:
                        raise
                await asyncio.sleep(backoff(attempt, first=0.05, most=0.5))
        finally:
            await self._lease.let_go()

    async def run(self) -> None:
        """Make the steps as they become due, until cancelled; what fails is logged and tried again."""
        failures = 0
        while True:
            pause = self._own.lifetimes.check.total_seconds()
            if self._missing:
                pause = min(pause, _UNTRUSTED_CHECK)
            await asyncio.sleep(min(pause, backoff(failures)) if failures else pause)
            try:
                await self.step()
                failures = 0
            except (ClusterError, OSError) as error:
                failures += 1
                logger.error("the certificates stay as they are: %s", error)

    async def close(self) -> None:
        """Remove the files and close the connections."""
        shutil.rmtree(self._folder, ignore_errors=True)
        await self._client.close()

    async def _try_step(self, *, is_patient: bool) -> None:
        own = self._own
        found = {name: await self._read(f"{_CONFIGURATIONS}/{name}") for name in own.configurations}
        keyring = await self._shared_keyring(is_patient)
        for name, configuration in found.items():
            if configuration is not None:
                await self._trust(name, configuration, keyring.bundle)
        self._tell_of_missing(frozenset(name for name, each in found.items() if each is None))
        _write_pair(self.files, as_secret_data(keyring))
        self._last = keyring

    async def _shared_keyring(self, is_patient: bool) -> Keyring:
        """Return what is in the Secret, after having made the step that is due where it is this replica's turn."""
        own = self._own
        collection = f"/api/v1/namespaces/{own.namespace}/secrets"
        secret = await self._read(f"{collection}/{own.secret}")
        present = _keyring_in(secret)
        # Put back what this replica had where the Secret was deleted or broken meanwhile.
        wanted = renewed(present or self._last, own.names, own.lifetimes, self._now())
        if wanted is present:
            return present
        is_urgent = not is_patient or (present is not None and is_overdue(present, self._now()))
        if not await self._is_its_turn(is_urgent):
            if present is None:
                raise _AnotherMakesIt
            return present
        body = _secret(own, secret, wanted)
        if secret is None:
            await self._client.request("POST", collection, body, idempotent=False)
        else:
            path = f"{collection}/{own.secret}"
            await self._client.request("PUT", path, body, idempotent=False)
        logger.info(
            "a certificate was issued, good until %s", wanted.certificate.not_valid_after_utc
        )
        return wanted

    async def _is_its_turn(self, is_urgent: bool) -> bool:
        """Take the Lease; where time presses, the version that was read has to be guard enough."""
        try:
            return await self._lease.try_to_hold() or is_urgent
        except ClusterError:
            if is_urgent:
                return True
            raise

    async def _trust(self, name: str, configuration: dict[str, Any], bundle: bytes) -> None:
        """Put the bundle into the entries of a webhook configuration that lead to this server."""
        text = base64.b64encode(bundle).decode()
        names = self._own.names
        ours = _entries_for(configuration, names)
        if not ours:
            msg = f"no entry of the ValidatingWebhookConfiguration {name} leads to {' or '.join(names)}"
            raise ClusterError(msg)
        if all(each.get("caBundle") == text for each in ours):
            return
        for each in ours:
            each["caBundle"] = text
        path = f"{_CONFIGURATIONS}/{name}"
        await self._client.request("PUT", path, configuration, idempotent=False)
        logger.info("the ValidatingWebhookConfiguration %s trusts the present authorities", name)

    def _tell_of_missing(self, missing: frozenset[str]) -> None:
        for name in sorted(missing - self._missing):
            logger.warning(
                "there is no ValidatingWebhookConfiguration %s: nobody asks this server by it", name
            )
        self._missing = missing

    async def _read(self, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._client.request("GET", path)
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None
        return found


async def begin_renewal(settings: Settings) -> Renewal:
    """Return a renewal with a first pair in its files.

    The rights may be applied a moment after the server, so what fails is tried again for a while. Raises ClusterError.
    """
    name, namespace = settings.service
    own = OwnCertificates(
        namespace=namespace,
        secret=settings.own_secret,
        names=(
            f"{name}.{namespace}.svc",
            f"{name}.{namespace}.svc.cluster.local",
            *settings.own_names,
        ),
        configurations=settings.webhook_configurations,
        lifetimes=Lifetimes(
            timedelta(seconds=settings.authority_lifetime),
            timedelta(seconds=min(settings.certificate_lifetime, settings.authority_lifetime)),
        ),
    )
    renewal = Renewal(open_client(settings.kubeconfig or None), own)
    end = time.monotonic() + _START
    failures = 0
    while True:
        try:
            await renewal.step()
            return renewal
        except ClusterError as error:
            if time.monotonic() >= end or _is_final(error):
                await renewal.close()
                raise
            failures += 1
            logger.warning("waiting for a certificate: %s", error)
            await asyncio.sleep(backoff(failures, most=2.0))


def _is_final(error: ClusterError) -> bool:
    """Say whether waiting changes nothing: who we are is not known, or may not do this."""
    return isinstance(error, Refused) and error.status in _NOT_ALLOWED


def _lease_seconds(lifetimes: Lifetimes) -> int:
    """Return how long a holder that died is waited for: much less than a renewal may take, a third of a life."""
    return max(3, min(DURATION, int(lifetimes.certificate.total_seconds() / 10)))


def _keyring_in(secret: Mapping[str, Any] | None) -> Keyring | None:
    """Read the keyring; one that is broken is replaced like one that is not there."""
    if secret is None:
        return None
    try:
        data = {
            name: base64.b64decode(value, validate=True)
            for name, value in (secret.get("data") or {}).items()
        }
        return from_secret_data(data)
    except (InputError, binascii.Error, TypeError) as error:
        logger.warning("the Secret of the certificates is made anew: %s", error)
        return None


def _secret(
    own: OwnCertificates, present: Mapping[str, Any] | None, keyring: Keyring
) -> dict[str, Any]:
    data = {
        name: base64.b64encode(value).decode() for name, value in as_secret_data(keyring).items()
    }
    if present is not None:
        return {**present, "data": data}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": own.secret,
            "namespace": own.namespace,
            "labels": {"app.kubernetes.io/managed-by": "tidewaiter"},
        },
        "type": "kubernetes.io/tls",
        "data": data,
    }


def _entries_for(configuration: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the clientConfig of each entry that leads to one of the names."""
    return [
        webhook["clientConfig"]
        for webhook in configuration.get("webhooks") or ()
        if not names_led_to(webhook.get("clientConfig") or {}).isdisjoint(names)
    ]


def names_led_to(client_config: Mapping[str, Any]) -> frozenset[str]:
    """Return the host that a webhook's clientConfig leads to, by Service or by URL."""
    service = client_config.get("service")
    if isinstance(service, dict):
        return frozenset({f"{service.get('name')}.{service.get('namespace')}.svc"})
    return frozenset({urlsplit(str(client_config.get("url", ""))).hostname or ""})


def _write_pair(files: PairFiles, data: Mapping[str, bytes]) -> None:
    """Write the key first: a certificate without its key is refused by who reads them, and the old pair stays."""
    for path, content in ((files.key, data["tls.key"]), (files.certificate, data["tls.crt"])):
        try:
            with open(path, "rb") as file:
                if file.read() == content:
                    continue
        except FileNotFoundError:
            pass
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(f"{path}.new", path)
