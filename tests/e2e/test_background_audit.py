"""The webhook's own audit of a real cluster: one replica does it, and another goes on when that one is gone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.e2e.report_definitions import OPEN_REPORTS
from tidewaiter.rules.cluster.access import find_access
from tidewaiter.webhook.background_audit import BackgroundAudit, open_background_audit
from tidewaiter.webhook.metrics import Metrics
from tidewaiter.webhook.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api_server import ApiServer
    from tidewaiter.rules.policy.compiled import PlainPolicy

pytestmark = pytest.mark.slow


def default_policy() -> PlainPolicy:
    return {}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"tidewaiter_{name}", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - another process does what is waited for
            await asyncio.sleep(0.1)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_one_replica_audits_and_writes_reports_and_another_goes_on(
    api_server: ApiServer, namespace: str
) -> None:
    for definition in OPEN_REPORTS:
        api_server.admin.apply(definition)
    pod = {"containers": [{"name": "api", "image": "registry.example/api:latest"}]}
    metadata = {"name": "api", "namespace": namespace}
    api_server.admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    path = str(api_server.kubeconfig)
    replicas = [Metrics(), Metrics()]

    def runs(metrics: Metrics) -> float:
        return value(metrics, "background_audits_total", result="complete")

    async def run() -> None:
        audits = [
            BackgroundAudit(find_access(path), default_policy, 1.0, metrics, kubeconfig=path)
            for metrics in replicas
        ]
        tasks = [asyncio.create_task(each.run()) for each in audits]
        await until(lambda: any(map(runs, replicas)))
        leader = 0 if value(replicas[0], "background_audit_leader") else 1
        other = 1 - leader
        assert value(replicas[leader], "background_audit_leader") == 1
        assert runs(replicas[other]) == 0
        await ended(tasks[leader])
        assert value(replicas[leader], "background_audit_leader") == 0
        await until(lambda: runs(replicas[other]) > 0)
        await ended(tasks[other])
        for metrics in replicas:
            labels = {"rule": "no-latest-tag", "severity": "error"}
            assert value(metrics, "background_audit_findings", **labels) >= 1
            assert value(metrics, "background_audit_objects") > 10
            assert value(metrics, "background_audit_success_timestamp_seconds") > 1_700_000_000

    asyncio.run(run())
    report = {"apiVersion": "openreports.io/v1alpha1", "kind": "Report"}
    (found,) = api_server.admin.list_objects({**report, "metadata": {"namespace": namespace}})
    assert found["scope"]["name"] == "api"
    assert "no-latest-tag" in [each["rule"] for each in found["results"]]


def test_a_cluster_that_cannot_be_read_is_counted_and_logged(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(api_server.kubeconfig)
    metrics = Metrics()

    async def run() -> None:
        audit = BackgroundAudit(
            find_access(path), default_policy, 1.0, metrics, kubeconfig=f"{path}.missing"
        )
        task = asyncio.create_task(audit.run())
        await until(lambda: bool(value(metrics, "background_audits_total", result="incomplete")))
        await ended(task)

    asyncio.run(run())
    assert "the kubeconfig cannot be read" in caplog.text


def test_there_is_no_audit_without_a_cluster_or_where_it_is_switched_off() -> None:
    for settings in (Settings(inventory="none"), Settings(background_audit=0.0)):
        assert open_background_audit(settings, default_policy, Metrics()) is None
