"""The game day of an upgrade: two versions side by side, who share whatever replicas share."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import ssl
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.admission import configuration, configured
from tests.e2e.conftest import make_namespace
from tests.e2e.faults.gate import asking_for
from tests.e2e.faults.proxy import Proxy
from tests.e2e.faults.signed import KEY, Valkey, pod_of, policy_for, registry
from tests.webhook.running import running, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api_server import Cluster
    from tests.signed_images import Registry
    from tests.webhook.running import Webhook

__all__ = ["registry"]

ROOT = Path(__file__).parents[3]
LIFETIME = "30s"
"""Of certificate and authority: the next authority is made after 20 s, while both versions run."""


def test_one_of_two_versions_replaces_the_other(
    cluster: Cluster, shop: str, registry: Registry, tmp_path: Path, note: Callable[..., None]
) -> None:
    """Replicas of an older version are replaced by this one, one by one, under load.

    They share the Secret of their certificates, which are renewed meanwhile, the verdicts on images in one Valkey, and
    the Leases. The older ones end by SIGTERM.
    """
    older = _older_version(tmp_path / "older")
    home = make_namespace(cluster.server)
    signed, unsigned = (registry.image(f"shop/{name}") for name in ("good", "bad"))
    registry.sign(signed, KEY)
    secret = tmp_path / "verdicts-secret"
    secret.write_text(secrets.token_hex(32))
    with ExitStack() as stack:
        store = Valkey(tmp_path)
        stack.callback(store.stop)
        balancer = stack.enter_context(Proxy().running())
        url = f"https://127.0.0.1:{balancer.port}/validate"
        wanted = configuration(f"gate-{shop}", [url], None, namespaces=[shop], timeoutSeconds=5)
        stack.enter_context(configured(cluster.server, wanted))
        options = [
            *("--inventory", "cluster", "--kubeconfig", str(cluster.server.kubeconfig)),
            *("--background-audit", "2s", "--drain-grace", "2s"),
            *("--policy", str(policy_for(tmp_path, registry.host))),
            *("--verdicts", store.url, "--verdicts-secret", str(secret)),
            *("--own-certificate", "tidewaiter-tls", "--service", f"tidewaiter.{home}"),
            *("--own-name", "127.0.0.1", "--webhook-configuration", f"gate-{shop}"),
            *("--certificate-lifetime", LIFETIME, "--authority-lifetime", LIFETIME),
        ]

        def start(name: str, path: str = "") -> Webhook:
            folder = tmp_path / name
            folder.mkdir()
            made = stack.enter_context(running(folder, *options, tls=False, PYTHONPATH=path))
            made.tls = ssl._create_unverified_context()
            until(lambda: made.request("GET", "/readyz").status == 200, 60)
            balancer.targets.append(made.port)
            return made

        def replace(each: Webhook) -> None:
            each.signal(signal.SIGTERM)
            # As the endpoints of a Service, which follow readiness a moment later.
            time.sleep(0.3)
            balancer.targets.remove(each.port)
            assert each.process.wait(30) == 0

        def authorities() -> str:
            name = {"name": "tidewaiter-tls", "namespace": home}
            found = cluster.server.admin.read(
                {"apiVersion": "v1", "kind": "Secret", "metadata": name}
            )
            return str(found["data"]["ca.crt"])

        old = [start(f"old-{number}", older) for number in (1, 2)]
        users = asking_for(cluster, shop, bad=pod_of(unsigned), good=pod_of(signed), users=4)
        asked = stack.enter_context(users)
        began = time.monotonic()
        asked.until_whole(began, within=30)
        before, ready = authorities(), time.monotonic()
        new = [start("new-1")]
        replace(old[0])
        until(lambda: authorities() != before, 60)
        new.append(start("new-2"))
        replace(old[1])
        replaced = time.monotonic()
        seconds = asked.until_whole(replaced, within=10)
        audits = "tidewaiter_background_audits_total"
        until(lambda: any(each.metric(audits, result="complete") for each in new), 60)
        asked.stop()
        assert store.keys() > 0
    assert asked.failures(since=ready) == []
    note("nothing: no request fails", asked, seconds, within=10)


def _older_version(folder: Path) -> str:
    """Return the PYTHONPATH of this project as it was some commits ago."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", "HEAD~30"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip("an older version needs a checkout with 30 commits of history")
    folder.mkdir()
    archive = subprocess.run(
        [*git, "archive", found.stdout.strip(), "rules", "cli", "webhook"],
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return os.pathsep.join(str(folder / part) for part in ("rules", "cli", "webhook"))
