"""Which of several replicas leads, by a Lease of a real API server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tidewaiter.rules.cluster.client import open_client
from tidewaiter.rules.cluster.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.e2e.api_server import ApiServer

Object = dict[str, Any]
NAME = "work"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def read(server: ApiServer, namespace: str) -> Object:
    metadata = {"name": NAME, "namespace": namespace}
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return server.admin.read({**kind, "metadata": metadata})


def with_candidates(
    server: ApiServer, namespace: str, test: Callable[[Lease, Lease, Clock], Awaitable[None]]
) -> None:
    """Run a test with two candidates for one Lease, each with a client of its own, on one clock."""

    async def run() -> None:
        clock = Clock()
        path = str(server.kubeconfig)
        async with open_client(path) as one, open_client(path) as two:
            await test(
                Lease(one, namespace, NAME, "a", clock=clock),
                Lease(two, namespace, NAME, "b", clock=clock),
                clock,
            )

    asyncio.run(run())


def test_only_one_candidate_holds_the_lease(api_server: ApiServer, namespace: str) -> None:
    async def test(one: Lease, two: Lease, clock: Clock) -> None:
        assert await one.try_to_hold()
        assert not await two.try_to_hold()
        assert one.is_held
        assert not two.is_held
        assert two.holder == "a"

    with_candidates(api_server, namespace, test)
    spec = read(api_server, namespace)["spec"]
    assert spec["holderIdentity"] == "a"
    assert spec["leaseDurationSeconds"] == 15


def test_of_two_that_try_at_once_one_wins(api_server: ApiServer, namespace: str) -> None:
    async def test(one: Lease, two: Lease, clock: Clock) -> None:
        for _ in range(5):
            won = await asyncio.gather(one.try_to_hold(), two.try_to_hold())
            assert sorted(won) == [False, True]
            clock.now += 100  # it runs out for both

    with_candidates(api_server, namespace, test)


def test_a_lease_that_is_renewed_is_never_taken(api_server: ApiServer, namespace: str) -> None:
    async def test(one: Lease, two: Lease, clock: Clock) -> None:
        for _ in range(5):
            assert await one.try_to_hold()
            assert not await two.try_to_hold()
            clock.now += 10

    with_candidates(api_server, namespace, test)


def test_a_lease_whose_holder_is_gone_is_taken_once_it_has_run_out(
    api_server: ApiServer, namespace: str
) -> None:
    async def test(one: Lease, two: Lease, clock: Clock) -> None:
        assert await one.try_to_hold()
        assert not await two.try_to_hold()
        clock.now += 14.9
        assert not await two.try_to_hold()
        assert not one.is_held  # it stops before another may begin
        clock.now += 0.2
        assert await two.try_to_hold()
        assert not await one.try_to_hold()

    with_candidates(api_server, namespace, test)
    assert read(api_server, namespace)["spec"]["leaseTransitions"] == 1


def test_the_clock_of_another_replica_decides_nothing(
    api_server: ApiServer, namespace: str
) -> None:
    async def test(one: Lease, two: Lease, clock: Clock) -> None:
        assert await one.try_to_hold()
        lease = read(api_server, namespace)
        lease["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z"  # a clock decades behind
        api_server.admin.replace(lease)
        assert not await two.try_to_hold()
        clock.now += 14
        assert not await two.try_to_hold()

    with_candidates(api_server, namespace, test)


def test_a_released_lease_is_taken_at_once(api_server: ApiServer, namespace: str) -> None:
    async def test(one: Lease, two: Lease, clock: Clock) -> None:
        assert await one.try_to_hold()
        assert not await two.try_to_hold()
        await one.release()
        assert await two.try_to_hold()
        await one.release()  # of what it does not hold it lets go of nothing
        assert not await one.try_to_hold()

    with_candidates(api_server, namespace, test)


@pytest.mark.slow
def test_work_ends_with_the_lease_and_another_replica_goes_on(
    api_server: ApiServer, namespace: str
) -> None:
    working: set[str] = set()
    most = 0
    log: list[str] = []

    async def lead(name: str) -> None:
        async def work() -> None:
            nonlocal most
            working.add(name)
            log.append(name)
            most = max(most, len(working))
            try:
                await asyncio.Event().wait()
            finally:
                working.discard(name)

        async with open_client(str(api_server.kubeconfig)) as client:
            await Lease(client, namespace, NAME, name, duration=3).lead(work)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what is waited for is on the server
                await asyncio.sleep(0.05)

    async def run() -> None:
        tasks = {name: asyncio.create_task(lead(name)) for name in ("a", "b")}
        await until(lambda: bool(working))
        (first,) = working
        tasks[first].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[first]
        await until(lambda: len(log) == 2)
        (second,) = working
        assert second != first
        # Somebody takes the Lease away from the one that works.
        lease = read(api_server, namespace)
        lease["spec"]["holderIdentity"] = "somebody"
        api_server.admin.replace(lease)
        await until(lambda: not working)
        await until(lambda: len(log) == 3)
        tasks[second].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[second]

    asyncio.run(run())
    assert most == 1
