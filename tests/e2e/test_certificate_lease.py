"""Which of several replicas makes the certificate that all of them show: the holder of a Lease, and never two."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.e2e.admission import configuration, configured
from tests.e2e.client import Refused
from tidewaiter.rules.cluster.access import find_access
from tidewaiter.rules.cluster.client import Client, open_client
from tidewaiter.rules.cluster.lease import Lease
from tidewaiter.webhook.own_authority import Lifetimes
from tidewaiter.webhook.own_certificates import LEASE, OwnCertificates, Renewal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.e2e.api_server import ApiServer

LIFETIMES = Lifetimes(timedelta(seconds=30), timedelta(seconds=30))
"""The Lease lasts for 3 s then."""


class Clock:
    """The time of day, which a test moves."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def registered(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """The name of a configuration that leads to the replicas, of which nobody asks them here."""
    wanted = configuration(
        f"own-{namespace}", ["https://127.0.0.1:9/validate"], None, namespaces=["nowhere"]
    )
    with configured(api_server, wanted):
        yield wanted["metadata"]["name"]


@asynccontextmanager
async def replica(
    server: ApiServer, namespace: str, name: str, clock: Clock, client: Client | None = None
) -> AsyncIterator[Renewal]:
    own = OwnCertificates(namespace, "tidewaiter-tls", ("127.0.0.1",), (name,), LIFETIMES)
    renewal = Renewal(client or open_client(str(server.kubeconfig)), own, now=clock)
    try:
        yield renewal
    finally:
        await renewal.close()


def certificate_of(renewal: Renewal) -> bytes:
    with open(renewal.files.certificate, "rb") as file:
        return file.read()


def object_of(kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    versions = {
        "Lease": "coordination.k8s.io/v1",
        "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    }
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": versions.get(kind, "v1"), "kind": kind, "metadata": metadata}


def has_secret(server: ApiServer, namespace: str) -> bool:
    try:
        server.admin.read(object_of("Secret", "tidewaiter-tls", namespace))
    except Refused:
        return False
    return True


def trusted(server: ApiServer, name: str) -> list[x509.Certificate]:
    found = server.admin.read(object_of("ValidatingWebhookConfiguration", name))
    return x509.load_pem_x509_certificates(
        base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"])
    )


def test_of_many_that_start_at_once_one_makes_the_certificate(
    api_server: ApiServer, namespace: str, registered: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        many = [replica(api_server, namespace, registered, Clock()) for _ in range(8)]
        renewals = [await each.__aenter__() for each in many]
        started = time.monotonic()
        await asyncio.gather(*(each.step() for each in renewals))
        assert time.monotonic() - started < 10
        assert len({certificate_of(each) for each in renewals}) == 1
        for each in many:
            await each.__aexit__(None, None, None)

    caplog.set_level("INFO", "tidewaiter")
    asyncio.run(run())
    assert caplog.text.count("a certificate was issued") == 1
    # Nobody is waited for when a certificate is due next.
    lease = api_server.admin.read(object_of("Lease", LEASE, namespace))
    assert lease["spec"].get("holderIdentity", "") == ""


def test_a_replica_waits_for_the_holder_and_takes_over_from_one_that_died(
    api_server: ApiServer, namespace: str, registered: str
) -> None:
    async def run() -> None:
        async with (
            open_client(str(api_server.kubeconfig)) as client,
            replica(api_server, namespace, registered, Clock()) as renewal,
        ):
            holder = Lease(client, namespace, LEASE, "another", duration=3)
            assert await holder.try_to_hold()
            step = asyncio.create_task(renewal.step())
            await asyncio.sleep(1)
            assert not has_secret(api_server, namespace)
            await asyncio.wait_for(step, 30)  # the holder has not said a word since
            assert has_secret(api_server, namespace)

    asyncio.run(run())


@pytest.mark.slow
def test_a_lease_that_somebody_holds_for_an_hour_keeps_nobody_from_a_first_certificate(
    api_server: ApiServer, namespace: str, registered: str
) -> None:
    async def run() -> None:
        async with (
            open_client(str(api_server.kubeconfig)) as client,
            replica(api_server, namespace, registered, Clock()) as renewal,
        ):
            assert await Lease(client, namespace, LEASE, "another", duration=3600).try_to_hold()
            await asyncio.wait_for(renewal.step(), 30)
            assert has_secret(api_server, namespace)

    asyncio.run(run())


def test_what_is_due_is_left_to_the_holder_until_it_is_overdue(
    api_server: ApiServer, namespace: str, registered: str
) -> None:
    async def run() -> None:
        clock = Clock()
        async with (
            open_client(str(api_server.kubeconfig)) as client,
            replica(api_server, namespace, registered, clock) as renewal,
        ):
            await renewal.step()
            first = certificate_of(renewal)
            assert await Lease(client, namespace, LEASE, "another", duration=3600).try_to_hold()
            clock.ahead = timedelta(seconds=21)  # two thirds of its life are over
            await renewal.step()
            assert len(trusted(api_server, registered)) == 1
            clock.ahead = timedelta(seconds=26)  # five sixths
            await renewal.step()
            assert len(trusted(api_server, registered)) == 2
            assert certificate_of(renewal) == first
            clock.ahead = timedelta(seconds=31)
            await renewal.step()
            assert certificate_of(renewal) != first

    asyncio.run(run())


class HeldUp(Client):
    """A client that is held up once, for as long as a test likes, between the Secret and the configuration."""

    def __init__(self, server: ApiServer) -> None:
        super().__init__(find_access(str(server.kubeconfig)))
        self.is_held_up = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self._knows_secret = False

    async def request(self, method: str, path: str, *rest: Any, **options: Any) -> Any:
        if self._knows_secret and "webhookconfigurations" in path:
            self.is_held_up.set()
            await self.may_go_on.wait()
        answer = await super().request(method, path, *rest, **options)
        self._knows_secret |= path.endswith("/secrets")
        return answer


def test_a_replica_that_was_held_up_puts_back_no_bundle_that_a_newer_one_has_replaced(
    api_server: ApiServer, namespace: str, registered: str
) -> None:
    async def run() -> None:
        clock, held_up = Clock(), HeldUp(api_server)
        async with (
            replica(api_server, namespace, registered, clock, held_up) as slow,
            replica(api_server, namespace, registered, clock) as quick,
        ):
            step = asyncio.create_task(slow.step())
            await held_up.is_held_up.wait()
            clock.ahead = timedelta(seconds=26)
            await quick.step()
            newest = trusted(api_server, registered)
            assert len(newest) == 2
            held_up.may_go_on.set()
            await asyncio.wait_for(step, 30)
            assert trusted(api_server, registered) == newest

    asyncio.run(run())


def test_a_server_whose_configuration_comes_later_serves_and_is_trusted_then(
    api_server: ApiServer, namespace: str
) -> None:
    name = f"later-{secrets.token_hex(4)}"

    async def run() -> None:
        async with replica(api_server, namespace, name, Clock()) as renewal:
            await renewal.step()
            wanted = configuration(
                name, ["https://127.0.0.1:9/validate"], None, namespaces=["nowhere"]
            )
            with configured(api_server, wanted):
                await renewal.step()
                shown = x509.load_pem_x509_certificate(certificate_of(renewal))
                (authority,) = trusted(api_server, name)
                shown.verify_directly_issued_by(authority)

    asyncio.run(run())
