"""One of several replicas does the work: which one, a Lease in the cluster says.

The holder renews the Lease; when it has not done so for the Lease's duration another may take it. No two clocks are
compared for that: each replica counts from when it saw the Lease change. Of two that try at once the API server lets one
win, because each states the version that it has read. A holder that cannot renew stops before the others may begin.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cluster.client import Refused, backoff
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping, text, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tidewaiter.rules.cluster.client import Client

DURATION = 15
"""Seconds that a Lease holds after it was renewed: the holder gives up after two thirds, and tries each eighth."""
_API = "/apis/coordination.k8s.io/v1"
_MOST_SECONDS = 3600


def candidate() -> str:
    """Return an identity that tells a process from every other: the host's name, a pod's for one, and chance."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Lease:
    """A named Lease of a namespace, as one candidate sees it. Times are seconds of `clock`, which never goes back."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: int = DURATION,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `identity` tells this candidate from every other."""
        self.identity = identity
        self.holder = ""
        """Who holds it, as last seen."""
        self._client = client
        self._collection = f"{_API}/namespaces/{namespace}/leases"
        self._name = name
        self._namespace = namespace
        self._duration = duration
        self._clock = clock
        self._seen: tuple[str, object, object] | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Say whether this candidate holds the Lease, and holds it for long enough yet to work."""
        return self._left() > 0

    async def try_to_hold(self) -> bool:
        """Take the Lease, or renew it, where nobody else holds it. Raises ClusterError but for a lost race."""
        asked_at = self._clock()
        try:
            there = await self._read()
            if there is None:
                await self._request("POST", self._collection, self._object({}, {}))
            else:
                spec = mapping(there.get("spec"))
                self._observe(spec)
                if self.holder not in {"", self.identity} and not self._has_run_out(spec):
                    self._renewed_at = None
                    return False
                path = f"{self._collection}/{self._name}"
                await self._request("PUT", path, self._object(mapping(there.get("metadata")), spec))
        except Refused as refused:
            if refused.status != 409:
                raise
            self._renewed_at = None  # another was quicker
            return False
        self.holder = self.identity
        # Counted from before the request, as the others cannot have seen it earlier.
        self._renewed_at = asked_at
        return True

    async def release(self) -> None:
        """Let go of the Lease, so that another need not wait for it to run out."""
        if self._renewed_at is None:
            return
        self._renewed_at = None
        there = await self._read()
        spec = mapping(there.get("spec")) if there is not None else {}
        if there is None or spec.get("holderIdentity") != self.identity:
            return
        kept = {key: value for key, value in spec.items() if key != "holderIdentity"}
        body = {**there, "spec": {**kept, "holderIdentity": "", "leaseDurationSeconds": 1}}
        await self._request("PUT", f"{self._collection}/{self._name}", body)

    async def let_go(self) -> None:
        """Release the Lease where that is quickly done."""
        try:
            async with asyncio.timeout(2):
                await self.release()
        except (ClusterError, TimeoutError):
            return  # it runs out by itself

    async def lead(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work whenever, and only while, this candidate holds the Lease; ends when it is cancelled.

        The work is cancelled when the Lease is lost, and begun again when it has been won again. What it raises is
        raised here.
        """
        failures = 0
        working: asyncio.Task[None] | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(self._at_most(self._duration / 3)):
                        await self.try_to_hold()
                    failures = 0
                except (ClusterError, TimeoutError):
                    failures += 1
                if self.is_held and working is None:
                    working = asyncio.create_task(work())
                elif not self.is_held and working is not None:
                    await _end(working)
                    working = None
                if working is not None and working.done():
                    working.result()
                    return
                turn = self._duration / 8
                await asyncio.sleep(
                    self._at_most(min(turn, backoff(failures)) if failures else turn)
                )
        finally:
            if working is not None:
                await _end(working)
            await self.let_go()

    def _left(self) -> float:
        """Return for how long this candidate may still work."""
        if self._renewed_at is None:
            return 0.0
        return self._renewed_at + self._duration * 2 / 3 - self._clock()

    def _at_most(self, seconds: float) -> float:
        """Return a time to wait, not beyond the moment at which the work must end."""
        left = self._left()
        return min(seconds, left) if left > 0 else seconds

    async def _read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._request("GET", f"{self._collection}/{self._name}")
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return found

    async def _request(self, method: str, path: str, body: object = None) -> Any:
        # One attempt: a write that is tried again might meet its own first success.
        return await self._client.request(
            method, path, body, attempts=1, timeout=self._duration / 3
        )

    def _observe(self, spec: dict[str, Any]) -> None:
        state = (
            text(spec.get("holderIdentity")),
            spec.get("renewTime"),
            spec.get("leaseTransitions"),
        )
        self.holder = state[0]
        if state != self._seen:
            self._seen, self._seen_at = state, self._clock()

    def _has_run_out(self, spec: dict[str, Any]) -> bool:
        stated = whole_number(spec.get("leaseDurationSeconds")) or self._duration
        return self._clock() - self._seen_at >= min(stated, _MOST_SECONDS)

    def _object(self, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Return the Lease as held by this candidate; `metadata` has the version that was read."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_mine = spec.get("holderIdentity") == self.identity
        transitions = whole_number(spec.get("leaseTransitions")) or 0
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, "name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self._duration,
                "acquireTime": spec.get("acquireTime") if is_mine else now,
                "renewTime": now,
                "leaseTransitions": transitions + (not is_mine and bool(spec)),
            },
        }


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
