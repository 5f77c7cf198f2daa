"""Judging what is already in the cluster, from time to time, by the policy that holds for reviews.

Reviews see what changes; a policy that has changed, an object that another has left without its budget, and what was
there before the webhook are seen here. The scan reads the cluster itself: the inventory holds of each object only what
other objects' rules ask. It runs in a process of its own, at low priority, so that no review waits for it, and in one
of the replicas, the one that holds the Lease.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from tidewaiter.rules.cluster.access import find_access
from tidewaiter.rules.cluster.client import Client
from tidewaiter.rules.cluster.lease import Lease, candidate
from tidewaiter.rules.record import record
from tidewaiter.webhook.images import DEFAULT_PLACE
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.settings import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.cluster.access import Access
    from tidewaiter.rules.policy.compiled import PlainPolicy
    from tidewaiter.webhook.metrics import Metrics
    from tidewaiter.webhook.settings import Settings

LEASE = "tidewaiter-background-audit"
_PROCESS = "tidewaiter.rules.cluster.audit_process"
_FIRST_AFTER = 30.0
"""Seconds within which the first audit begins: the replicas of a rollout need not all hurry."""
_SPREAD = 0.1
_LIMIT = 3600.0
"""An audit that takes longer than this is ended."""
_SHOWN_ERRORS = 5
_ENDING = 5.0


@record
class Outcome:
    """What came of an audit.

    `findings` counts by rule, and severity or status; `reports` is None where none can be. `namespaces` are the worst
    first, with the number of errors, warnings, infos and unknown answers.
    """

    seconds: float
    objects: int
    findings: dict[tuple[str, str], int]
    reports: dict[str, int] | None
    errors: tuple[str, ...]
    namespaces: tuple[tuple[str, int, int, int, int], ...] = ()
    ended: float = 0.0


class BackgroundAudit:
    """Audits each `interval` seconds, give or take a tenth, while this replica holds the Lease."""

    def __init__(
        self,
        access: Access,
        policy: Callable[[], PlainPolicy],
        interval: float,
        metrics: Metrics,
        *,
        kubeconfig: str | None = None,
        verdicts: str = DEFAULT_PLACE,
        verdicts_secret: str = "",
    ) -> None:
        """Prepare. `policy` is asked at each audit; `kubeconfig` is what `access` was found by.

        `verdicts` is where those on images are kept, and `verdicts_secret` what seals them on a server.
        """
        self._access = access
        self._policy = policy
        self._interval = interval
        self._metrics = metrics
        self._kubeconfig = kubeconfig
        self._verdicts = verdicts
        self._verdicts_secret = verdicts_secret
        self._told_of_reports = False
        self.latest: Outcome | None = None
        """The last audit that got through, by this replica."""

    async def run(self) -> None:
        """Audit until cancelled, and let go of the Lease then."""
        namespace = self._access.namespace or "default"
        async with Client(self._access) as client:
            await Lease(client, namespace, LEASE, candidate()).lead(self._audits)

    async def _audits(self) -> None:
        logger.info("background audit: this replica does it")
        self._metrics.background_audit_leader.set(1)
        try:
            await asyncio.sleep(random.uniform(0, min(_FIRST_AFTER, self._interval / 2)))  # noqa: S311 - no secret
            while True:
                self._tell(await self._audit())
                spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - no secret
                await asyncio.sleep(self._interval * spread)
        finally:
            self._metrics.background_audit_leader.set(0)

    async def _audit(self) -> Outcome:
        job = {
            "kubeconfig": self._kubeconfig,
            "context": None,
            "policy": self._policy(),
            "verdicts": self._verdicts,
            "verdictsSecret": self._verdicts_secret,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _PROCESS,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:  # no memory, or too many processes: perhaps next time
            return Outcome(0.0, 0, {}, None, (f"no process can be started: {error.strerror}",))
        try:
            async with asyncio.timeout(_LIMIT):
                answer = await _ask(
                    process, orjson.dumps(job, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
                )
        except TimeoutError:
            return Outcome(_LIMIT, 0, {}, None, (f"it has not ended after {_LIMIT:g} s",))
        finally:
            await _end(process)
        return _outcome(answer, process.returncode)

    def _tell(self, outcome: Outcome) -> None:
        metrics = self._metrics
        metrics.background_audits.labels("incomplete" if outcome.errors else "complete").inc()
        metrics.background_audit_seconds.set(outcome.seconds)
        if outcome.objects:
            self.latest = outcome
            metrics.background_audit_objects.set(outcome.objects)
            metrics.background_audit_findings.clear()
            for (rule, severity), count in outcome.findings.items():
                metrics.background_audit_findings.labels(rule, severity).set(count)
        if not outcome.errors:
            metrics.background_audit_success.set(time.time())
        for error in outcome.errors[:_SHOWN_ERRORS]:
            logger.warning("background audit: %s", error)
        more = len(outcome.errors) - _SHOWN_ERRORS
        if more > 0:
            logger.warning("background audit: and %d more such errors", more)
        reports = outcome.reports
        if reports is None and outcome.objects and not self._told_of_reports:
            self._told_of_reports = True
            logger.warning(
                "background audit: the cluster has no definitions of reports, so none are written"
            )
        logger.info(
            "background audit: %d objects in %.1f s, %d findings%s",
            outcome.objects,
            outcome.seconds,
            sum(outcome.findings.values()),
            "; reports: {applied} written, {unchanged} as before, {removed} removed".format(
                **reports
            )
            if reports
            else "",
        )


def open_background_audit(
    settings: Settings, policy: Callable[[], PlainPolicy], metrics: Metrics
) -> BackgroundAudit | None:
    """Return the audit that the settings ask for, None for none. Raises ClusterError."""
    if settings.inventory != CLUSTER or not settings.background_audit:
        return None
    kubeconfig = settings.kubeconfig or None
    access = find_access(kubeconfig)
    return BackgroundAudit(
        access,
        policy,
        settings.background_audit,
        metrics,
        kubeconfig=kubeconfig,
        verdicts=settings.verdicts,
        verdicts_secret=settings.verdicts_secret,
    )


async def _ask(process: asyncio.subprocess.Process, job: bytes) -> bytes:
    """Give the process its job and return its answer; its standard input stays open, or it would end."""
    if process.stdin is None or process.stdout is None:
        return b""
    with suppress(ConnectionError):
        process.stdin.write(job)
        await process.stdin.drain()
    return await process.stdout.read()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_ENDING):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _outcome(answer: bytes, code: int | None) -> Outcome:
    try:
        told: dict[str, Any] = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return Outcome(0.0, 0, {}, None, (f"the process ended with {code} and no answer",))
    return Outcome(
        told["seconds"],
        told.get("objects", 0),
        {(rule, severity): count for rule, severity, count in told.get("findings", ())},
        told.get("reports"),
        tuple(told["errors"]),
        tuple((name, *counts) for name, *counts in told.get("namespaces", ())),
        time.time(),
    )
