"""Certificates without another component: the server makes its own, and tells the API server whom to trust.

The replicas share one Secret. Whoever finds something due writes the next keyring with the resourceVersion that
it read, so that of several that start at once one wins and the others take what it made. Before a certificate is
shown, the bundle that it needs stands in the `caBundle` of each webhook configuration.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#authenticate-apiservers
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidewaiter.rules.cluster.client import Refused, backoff, open_client
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
    from collections.abc import Callable, Mapping

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.webhook.settings import Settings

_CONFLICT, _NOT_FOUND = 409, 404
_NOT_ALLOWED = frozenset({401, 403})
_ATTEMPTS = 8
_START = 60.0
"""Seconds that a server waits at its start for the cluster to take its certificate."""
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


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


async def take_into_use(
    client: Client,
    own: OwnCertificates,
    files: PairFiles,
    *,
    last: Keyring | None = None,
    may_renew: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Keyring:
    """Make the step that is due, see to it that clients trust the result, and write the pair to its files.

    `last` is what this replica had before: it is put back where the Secret was deleted or broken meanwhile.
    `may_renew` false leaves a renewal to the replica that leads, unless that has not come in time. Raises
    ClusterError; the files are then as before.
    """
    keyring = await _shared_keyring(client, own, last, may_renew, now)
    for name in own.configurations:
        await _trust(client, name, keyring.bundle, own.names)
    _write_pair(files, as_secret_data(keyring))
    return keyring


class Renewal:
    """What keeps the certificates of a running server good. `may_renew` says whether this replica leads."""

    def __init__(self, client: Client, own: OwnCertificates) -> None:
        """Make a folder for the pair that nobody else can read; in a pod, have it in memory."""
        self.may_renew: Callable[[], bool] = lambda: True
        self._client = client
        self._own = own
        self._folder = tempfile.mkdtemp(prefix="tidewaiter-tls-")
        self.files = PairFiles(
            os.path.join(self._folder, "tls.crt"), os.path.join(self._folder, "tls.key")
        )
        self._last: Keyring | None = None

    async def step(self) -> None:
        """See `take_into_use`."""
        self._last = await take_into_use(
            self._client, self._own, self.files, last=self._last, may_renew=self.may_renew()
        )

    async def run(self) -> None:
        """Make the steps as they become due, until cancelled; what fails is logged and tried again."""
        failures = 0
        while True:
            pause = self._own.lifetimes.check.total_seconds()
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


async def begin_renewal(settings: Settings) -> Renewal:
    """Return a renewal with a first pair in its files.

    The webhook configuration may be applied after the server, so what is refused is tried again for a while.
    Raises ClusterError.
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


async def _shared_keyring(
    client: Client,
    own: OwnCertificates,
    last: Keyring | None,
    may_renew: bool,
    now: Callable[[], datetime],
) -> Keyring:
    collection = f"/api/v1/namespaces/{own.namespace}/secrets"
    for attempt in range(_ATTEMPTS):
        secret = await _read(client, f"{collection}/{own.secret}")
        present = _keyring_in(secret)
        wanted = renewed(present or last, own.names, own.lifetimes, now())
        if wanted is present or (
            present is not None and not may_renew and not is_overdue(present, now())
        ):
            return present or wanted
        body = _secret(own, secret, wanted)
        try:
            if secret is None:
                await client.request("POST", collection, body, idempotent=False)
            else:
                await client.request("PUT", f"{collection}/{own.secret}", body, idempotent=False)
        except Refused as refused:
            if refused.status != _CONFLICT:
                raise
            await asyncio.sleep(backoff(attempt, first=0.05))
            continue
        logger.info(
            "a certificate was issued, good until %s", wanted.certificate.not_valid_after_utc
        )
        return wanted
    msg = (
        f"the Secret {own.namespace}/{own.secret} was changed by others {_ATTEMPTS} times in a row"
    )
    raise ClusterError(msg)


async def _read(client: Client, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await client.request("GET", path)
    except Refused as refused:
        if refused.status != _NOT_FOUND:
            raise
        return None
    return found


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


async def _trust(client: Client, name: str, bundle: bytes, names: tuple[str, ...]) -> None:
    """Put the bundle into the entries of a webhook configuration that lead to this server."""
    path = f"{_CONFIGURATIONS}/{name}"
    text = base64.b64encode(bundle).decode()
    for attempt in range(_ATTEMPTS):
        configuration = await client.request("GET", path)
        ours = [
            webhook["clientConfig"]
            for webhook in configuration.get("webhooks") or ()
            if not names_led_to(webhook.get("clientConfig") or {}).isdisjoint(names)
        ]
        if not ours:
            msg = f"no entry of the ValidatingWebhookConfiguration {name} leads to {' or '.join(names)}"
            raise ClusterError(msg)
        if all(each.get("caBundle") == text for each in ours):
            return
        for each in ours:
            each["caBundle"] = text
        try:
            await client.request("PUT", path, configuration, idempotent=False)
        except Refused as refused:
            if refused.status != _CONFLICT:
                raise
            await asyncio.sleep(backoff(attempt, first=0.05))
            continue
        logger.info("the ValidatingWebhookConfiguration %s trusts the present authorities", name)
        return
    msg = f"the ValidatingWebhookConfiguration {name} was changed by others {_ATTEMPTS} times in a row"
    raise ClusterError(msg)


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
