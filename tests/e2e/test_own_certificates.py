"""The webhook makes its own certificates, shares them among replicas and renews them with no review lost."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.e2e.admission import configuration, configured
from tests.e2e.api_server import free_port
from tests.e2e.client import Refused
from tests.e2e.conftest import make_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.api_server import ApiServer


@pytest.fixture
def home(api_server: ApiServer) -> str:
    """The namespace of the webhook itself, which it must not be asked about: it could never start."""
    return make_namespace(api_server, "home")


LIFETIME = 30
"""Seconds of an authority's life: the next is made after 20, and shown 5 later."""


@contextmanager
def replica(
    api_server: ApiServer, namespace: str, configuration_name: str, port: int, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    command = (
        sys.executable,
        "-m",
        "tidewaiter.webhook",
        f"--bind=127.0.0.1:{port}",
        "--inventory=none",
        "--audit-log=none",
        f"--kubeconfig={api_server.kubeconfig}",
        "--own-certificate=tidewaiter-tls",
        f"--service=tidewaiter.{namespace}",
        "--own-name=127.0.0.1",
        f"--webhook-configuration={configuration_name}",
        f"--certificate-lifetime={LIFETIME}s",
        f"--authority-lifetime={LIFETIME}s",
        "--reload-interval=100ms",
        "--drain-grace=0s",
    )
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=output, cwd=log.parent)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def secret_of(api_server: ApiServer, namespace: str) -> dict[str, bytes]:
    found = api_server.admin.read(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "tidewaiter-tls", "namespace": namespace},
        }
    )
    return {name: base64.b64decode(value) for name, value in found["data"].items()}


def config_map(namespace: str) -> dict[str, Any]:
    metadata = {"name": f"probe-{secrets.token_hex(4)}", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def wait_until_served(api_server: ApiServer, namespace: str, logs: list[Path]) -> None:
    end = time.monotonic() + 40
    while True:
        try:
            api_server.admin.create(config_map(namespace), dryRun="All")
            return
        except Refused:
            if time.monotonic() > end:
                pytest.fail("\n".join(log.read_text() for log in logs))
            time.sleep(0.2)


def test_replicas_that_start_at_once_share_a_certificate_and_renew_it_under_load(
    api_server: ApiServer, namespace: str, home: str, tmp_path: Path
) -> None:
    ports = [free_port(), free_port(), free_port()]
    logs = [tmp_path / f"replica-{port}.log" for port in ports]
    wanted = configuration(
        f"own-{namespace}",
        [f"https://127.0.0.1:{port}/validate" for port in ports],
        None,
        namespaces=[namespace],
    )
    with ExitStack() as stack:
        stack.enter_context(configured(api_server, wanted))
        replicas = [
            stack.enter_context(replica(api_server, home, wanted["metadata"]["name"], port, log))
            for port, log in zip(ports, logs, strict=True)
        ]
        wait_until_served(api_server, namespace, logs)

        authorities, certificates, failures, sent = set(), set(), [], 0
        end = time.monotonic() + 2.2 * LIFETIME
        while time.monotonic() < end:
            try:
                api_server.admin.create(config_map(namespace), dryRun="All")
            except Refused as refused:
                failures.append(str(refused))
            sent += 1
            if sent % 10 == 0:
                data = secret_of(api_server, home)
                authorities.add(x509.load_pem_x509_certificate(data["ca.crt"]).serial_number)
                certificates.add(x509.load_pem_x509_certificate(data["tls.crt"]).serial_number)
            time.sleep(0.01)
        assert all(each.poll() is None for each in replicas)
    assert failures == []
    assert sent > 200
    assert len(authorities) >= 3, "the authority was not renewed"
    assert len(certificates) >= 3, "the certificate was not renewed"
    for log in logs:
        assert "Traceback" not in log.read_text()


def test_a_secret_that_is_deleted_is_put_back_as_it_was(
    api_server: ApiServer, namespace: str, home: str, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    wanted = configuration(
        f"own-{namespace}", [f"https://127.0.0.1:{port}/validate"], None, namespaces=[namespace]
    )
    with (
        configured(api_server, wanted),
        replica(api_server, home, wanted["metadata"]["name"], port, log),
    ):
        wait_until_served(api_server, namespace, [log])
        before = secret_of(api_server, home)
        api_server.admin.request("DELETE", f"/api/v1/namespaces/{home}/secrets/tidewaiter-tls")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                after = secret_of(api_server, home)
                break
            except Refused:
                time.sleep(0.1)
        assert after["ca.crt"].endswith(before["ca.crt"])
        api_server.admin.create(config_map(namespace), dryRun="All")


def test_a_server_that_may_not_write_its_secret_says_so_and_ends(
    api_server: ApiServer, home: str, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    text = api_server.kubeconfig.read_text(encoding="utf-8")
    kubeconfig.write_text(text.replace(api_server.token, api_server.user_token), encoding="utf-8")
    command = (
        sys.executable,
        "-m",
        "tidewaiter.webhook",
        "--bind=127.0.0.1:0",
        "--inventory=none",
        f"--kubeconfig={kubeconfig}",
        "--own-certificate=tidewaiter-tls",
        f"--service=tidewaiter.{home}",
        "--webhook-configuration=tidewaiter",
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 2
    assert "forbidden" in done.stderr
    assert "Traceback" not in done.stderr
