"""Game days with what is sent to the webhook, and with the files that it reads, while users go on."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import Refused
from tests.e2e.faults.flood import flood
from tests.e2e.faults.gate import HOST_PID, asking_for, gate
from tests.webhook.running import pod, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.api_server import Cluster

FLOOD, SECONDS = 2000, 3.0


def test_a_flood(cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]) -> None:
    """A flood of 2,000 reviews a second, from a client that waits for no answer."""
    with (
        gate(cluster, shop, tmp_path, "--inventory", "none", timeoutSeconds=10) as webhook,
        asking_for(cluster, shop) as asked,
    ):
        found = asyncio.run(flood(webhook.port, webhook.tls, HOST_PID, FLOOD, SECONDS))
        ended = time.monotonic()
        seconds = asked.until_whole(ended, within=20)
        assert found["allowed"] == 0
        assert found["denied"] > 0
        assert webhook.process.poll() is None
        until(lambda: webhook.metric("tidewaiter_requests_in_flight") < 5, 20)
    sees = "answers that take longer; what is beyond `--max-in-flight` is turned away with 429, and the API server tries again"
    note(sees, asked, seconds, within=20)


def test_a_review_that_is_too_large(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """An object whose review is larger than `--max-body`.

    The API server writes `<` as six characters, so that an object of 2 MiB makes a review of more than 10.
    """
    wanted: dict[str, Any] = pod(env=[{"name": "PAGE", "value": "<" * 2_000_000}])
    wanted["metadata"] = {"name": "large", "namespace": shop}
    with gate(cluster, shop, tmp_path, "--inventory", "none") as webhook:
        with asking_for(cluster, shop) as asked:
            with pytest.raises(Refused) as refused:
                cluster.server.admin.create(wanted, dryRun="All")
            seconds = asked.until_whole(time.monotonic(), within=10)
        assert webhook.metric("tidewaiter_requests_refused_total", reason="too_large") >= 1
    said = str(refused.value.status["message"])
    assert "failed calling webhook" in said
    said = said.replace(str(webhook.port), "PORT")
    note(f"`{' '.join(said.split())}`", asked, seconds, within=10)


def test_a_thousand_slow_clients(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """A thousand connections are open, each with a request that does not come to its end."""
    with (
        ExitStack() as stack,
        gate(cluster, shop, tmp_path, "--inventory", "none", "--read-timeout", "5s") as webhook,
        asking_for(cluster, shop) as asked,
    ):
        for _ in range(1000):
            connection = stack.enter_context(webhook.connect())
            connection.sendall(
                b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\n{"
            )
        opened = time.monotonic()
        seconds = asked.until_whole(opened, within=10)
        slow = "tidewaiter_requests_refused_total"
        until(lambda: webhook.metric(slow, reason="slow_client") == 1000, 60)
    assert asked.failures() == []
    note("verdicts as ever; a slow client hears 408", asked, seconds, within=10)


def test_files_change_under_load(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """Certificate and key are replaced again and again, and the policy file is broken and mended."""
    policy = tmp_path / "policy.yaml"
    good = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec: {}\n"
    policy.write_text(good)
    options = ("--inventory", "none", "--policy", str(policy))
    with gate(cluster, shop, tmp_path, *options) as webhook:
        with asking_for(cluster, shop, users=4) as asked:
            policy.write_text("kind: [")
            until(lambda: webhook.metric("tidewaiter_policy_valid") == 0)
            for _ in range(6):
                cluster.server.authority.issue("server", tmp_path)
                time.sleep(0.3)
            asked.until_whole(time.monotonic(), within=10)
            policy.write_text(good)
            mended = time.monotonic()
            until(lambda: webhook.metric("tidewaiter_policy_valid") == 1)
            seconds = max(time.monotonic() - mended, asked.until_whole(mended, within=10))
        assert webhook.metric("tidewaiter_certificate_reloads_total", result="success") >= 2
    assert asked.failures() == []
    note("nothing: the last good policy and certificate count", asked, seconds, within=10)
