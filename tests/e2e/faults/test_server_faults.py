"""Game days with the webhook itself: killed, upgraded, with an expired certificate, a full disk, a wrong clock."""

from __future__ import annotations

import copy
import datetime as dt
import http.client
import json
import re
import resource
import secrets
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.client import Refused
from tests.e2e.faults.gate import HOST_PID, asking_for, gate, registered
from tests.e2e.faults.proxy import Proxy
from tests.webhook.running import config_map, review_of, running, until
from tidewaiter.rules.audit_chain import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api_server import Cluster
    from tests.webhook.running import Webhook

ROOT = Path(__file__).parents[3]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def test_the_only_replica_is_killed(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The only replica is killed under load, as for want of memory, and started again."""
    authority = cluster.server.authority
    usual = ["--inventory", "cluster", "--kubeconfig", str(cluster.server.kubeconfig)]
    usual += ["--background-audit", "0s", "--audit-log", str(tmp_path / "audit.log")]
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path, *usual, authority=authority))
        until(lambda: first.request("GET", "/readyz").status == 200, 60)
        stack.enter_context(registered(cluster, shop, first.port))
        asked = stack.enter_context(asking_for(cluster, shop, users=4))
        asked.until_whole(time.monotonic(), within=10)
        first.signal(signal.SIGKILL)
        sees = asked.until_failing(time.monotonic())
        began = time.monotonic()
        again = ("--bind", f"127.0.0.1:{first.port}")
        stack.enter_context(running(tmp_path, *usual, *again, authority=authority))
        seconds = asked.until_whole(began, within=30)
    assert not verify([str(tmp_path / "audit.log")]).breaks
    note(f"`{_without_ports(sees)}`", asked, seconds, within=30)


def test_the_only_replica_runs_out_of_memory(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The only replica gets no more memory while large reviews come, and is started again.

    The limit is one on its address space: what asks for more is refused it at any place in the program, which is worse
    than to be killed.
    """
    authority = cluster.server.authority
    large = copy.deepcopy(HOST_PID)
    large["metadata"] = {"name": "large", "namespace": shop}
    large["spec"]["containers"][0]["env"] = [
        {"name": f"NAME_{number}", "value": "x" * 900} for number in range(2000)
    ]
    allowed: list[dict[str, Any]] = []

    def send(webhook: Webhook, until: float) -> None:
        while time.monotonic() < until and webhook.process.poll() is None:
            with suppress(OSError, http.client.HTTPException):
                answer = webhook.post("/validate", review_of(large))
                if answer.status == 200 and answer.json["response"]["allowed"]:
                    allowed.append(answer.json)

    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path, authority=authority))
        stack.enter_context(registered(cluster, shop, first.port))
        asked = stack.enter_context(asking_for(cluster, shop))
        asked.until_whole(time.monotonic(), within=10)
        send(first, time.monotonic() + 1)
        pages = int(Path(f"/proc/{first.process.pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 20 * 2**20
        resource.prlimit(first.process.pid, resource.RLIMIT_AS, (limit, limit))
        began = time.monotonic()
        senders = [
            threading.Thread(target=send, args=(first, began + 8), daemon=True) for _ in range(16)
        ]
        for sender in senders:
            sender.start()
        with suppress(subprocess.TimeoutExpired):
            first.process.wait(8)
        # Where it has come through that, a liveness probe that fails ends it.
        first.process.kill()
        first.process.wait()
        for sender in senders:
            sender.join(30)
        sees = asked.until_failing(began)
        again = ("--bind", f"127.0.0.1:{first.port}")
        back = time.monotonic()
        stack.enter_context(running(tmp_path, *again, authority=authority))
        seconds = asked.until_whole(back, within=30)
    assert allowed == []
    note(f"`{_without_ports(sees)}`", asked, seconds, within=30)


def test_the_certificate_expires(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The certificate of the webhook expires, and its files are replaced."""
    authority = cluster.server.authority
    with (
        running(tmp_path, authority=authority) as webhook,
        Proxy(webhook.port).running() as proxy,
        registered(cluster, shop, proxy.port),
        asking_for(cluster, shop) as asked,
    ):
        asked.until_whole(time.monotonic(), within=10)
        authority.issue("server", tmp_path, lifetime=dt.timedelta(seconds=2))
        until(lambda: webhook.metric("tidewaiter_certificate_reloads_total", result="success"))
        time.sleep(2)
        # Connections that are open go on; it shows when the API server makes new ones.
        proxy.cut()
        proxy.mend()
        until(lambda: any("expired" in each for each in asked.failures()), 20)
        sees = next(each for each in asked.failures() if "expired" in each)
        authority.issue("server", tmp_path)
        replaced = time.monotonic()
        seconds = asked.until_whole(replaced, within=30)
    note(f"`{_without_ports(sees)}`", asked, seconds, within=30)


def test_the_disk_is_full(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The disk of the audit log is full."""
    log = tmp_path / "audit.log"
    options = ("--inventory", "none", "--audit-log", str(log))
    with (
        gate(cluster, shop, tmp_path, *options) as webhook,
        asking_for(cluster, shop) as asked,
    ):
        pid = webhook.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        size = log.stat().st_size + 2000
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        until(lambda: webhook.metric("tidewaiter_audit_log_write_failures_total") > 0, 30)
        asked.until_whole(time.monotonic(), within=10)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        back = time.monotonic()
        until(lambda: "the audit log is written again" in webhook.log, 30)
        seconds = time.monotonic() - back
        asked.stop()
        assert webhook.end() == 0
    assert not verify([str(log)]).breaks
    sees = (
        "verdicts as before; the lines wait in memory and are written later, no decision is missing"
    )
    note(sees, asked, seconds, within=30)


def test_the_clock_is_wrong(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The clock of the webhook jumps forty days ahead and comes back."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).strftime("%Y-%m-%d")
    exemption = {
        "match": {"namespaces": [shop], "names": ["exempt-*"]},
        "rules": ["no-host-namespaces"],
        "reason": "moves out this week",
        "expires": tomorrow,
    }
    spec = {"profile": "pss-baseline", "exemptions": [exemption]}
    policy = {"apiVersion": "tidewaiter.dev/v1", "kind": "Policy", "metadata": {"name": "shop"}}
    (tmp_path / "policy.yaml").write_text(json.dumps({**policy, "spec": spec}))
    clock = tmp_path / "clock"
    clock.write_text("+0")
    usual = ["--kubeconfig", str(cluster.server.kubeconfig), "--inventory", "cluster"]
    usual += ["--background-audit", "0s", "--policy", str(tmp_path / "policy.yaml")]
    exempt = {**HOST_PID, "metadata": {"name": "exempt-1", "namespace": shop}}

    def is_let_in() -> bool:
        try:
            cluster.server.admin.create(exempt, dryRun="All")
        except Refused as refused:
            return "is denied by policy shop" not in str(refused)
        return True

    with (
        running(
            tmp_path,
            *usual,
            authority=cluster.server.authority,
            LD_PRELOAD=str(FAKETIME),
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        ) as webhook,
        registered(cluster, shop, webhook.port),
        asking_for(cluster, shop) as asked,
    ):
        until(lambda: webhook.request("GET", "/readyz").status == 200, 60)
        assert is_let_in()
        clock.write_text("+40d")
        until(lambda: not is_let_in(), 10)
        assert webhook.request("GET", "/readyz").status == 200
        asked.until_whole(time.monotonic(), within=10)
        clock.write_text("+0")
        back = time.monotonic()
        until(is_let_in, 10)
        seconds = max(time.monotonic() - back, asked.until_whole(back, within=10))
    assert asked.failures() == []
    sees = "verdicts as before, but exemptions that end by then count no more"
    note(sees, asked, seconds, within=10)


def test_a_policy_that_denies_everything(
    cluster: Cluster, shop: str, tmp_path: Path, note: Callable[..., None]
) -> None:
    """A policy denies everything; the registration is deleted to break the glass, and the policy mended.

    The namespaces that the cluster lives by are not touched.
    """
    rule = {
        "name": "nothing-at-all",
        "severity": "error",
        "summary": "nothing may be changed",
        "remediation": "Ask the platform team.",
        "match": {"kinds": ["*"]},
        "expression": "false",
        "message": "the platform is closed",
    }
    policy: dict[str, Any] = {
        "apiVersion": "tidewaiter.dev/v1",
        "kind": "Policy",
        "metadata": {"name": "closed"},
        "spec": {"profile": "recommended", "admission": {"exempt": {"groups": ["break-glass"]}}},
    }
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps(policy))
    admin = cluster.server.admin

    def sees_refusal(**metadata: str) -> str:
        wanted = {**config_map(), "metadata": {"name": f"a-{secrets.token_hex(3)}", **metadata}}
        try:
            admin.create(wanted, dryRun="All")
        except Refused as refused:
            return str(refused.status.get("message"))
        return ""

    options = ("--inventory", "none", "--policy", str(path), "--service", f"tidewaiter.{shop}-home")
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{shop}-home"}}
    admin.create(home)
    authority = cluster.server.authority
    with (
        running(tmp_path, *options, authority=authority) as webhook,
        registered(cluster, shop, webhook.port, also=(f"{shop}-home", "kube-system")) as name,
        asking_for(cluster, shop) as asked,
    ):
        asked.until_whole(time.monotonic(), within=10)
        asked.stop()
        closed = {**policy, "spec": {**policy["spec"], "customRules": [rule]}}
        path.write_text(json.dumps(closed))
        until(lambda: "the platform is closed" in sees_refusal(namespace=shop), 20)
        told = sees_refusal(namespace=shop)
        # What the cluster and the webhook itself recover by is let through.
        assert sees_refusal(namespace="kube-system") == ""
        assert sees_refusal(namespace=f"{shop}-home") == ""
        # Deleting the registration is never asked about.
        registration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
        }
        kept = admin.read(registration)
        broken = time.monotonic()
        admin.delete(registration)
        until(lambda: sees_refusal(namespace=shop) == "", 20)
        seconds = time.monotonic() - broken
        path.write_text(json.dumps(policy))
        until(lambda: webhook.metric("tidewaiter_policy_reloads_total", result="success") >= 2)
        kept["metadata"] = {"name": name}
        admin.create(kept)
        with asking_for(cluster, shop) as after:
            after.until_whole(time.monotonic(), within=20)
    said = re.sub(r"shop-[0-9a-f]+/a-[0-9a-f]+", "shop/NAME", _on_one_line(told))
    note(f"`{said}`", asked, seconds, within=10)


def _without_ports(message: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", _on_one_line(message))


def _on_one_line(message: str) -> str:
    return re.sub(r"20[0-9]{2}-[-0-9T:]+Z", "…", " ".join(message.split()))
