"""The certificate's files are replaced while the server runs."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.certificates import Authority
from tests.webhook.load import load
from tests.webhook.running import config_map, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow


def test_new_handshakes_see_the_new_pair_and_no_request_is_dropped(tmp_path: Path) -> None:
    with running(tmp_path) as server, load(server) as sent:
        until(lambda: sent.answered > 100)
        for number in range(3):
            old = _shown(server)
            _replace(server, f"next-{number}")
            until(lambda old=old: _shown(server) != old)
        answered = sent.answered
        until(lambda: sent.answered > answered + 100)
        sent.stop()
        assert not sent.dropped
        assert not sent.wrong
        assert server.metric("tidewaiter_certificate_reloads_total", result="success") == 3


def test_a_half_written_pair_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        old = _shown(server)
        pair = server.authority.issue("next")
        (tmp_path / "server.crt").write_bytes(pair.certificate.read_bytes())
        until(lambda: "the certificate is not replaced" in server.log)
        assert _shown(server) == old
        assert "is not that of the certificate" in server.log
        assert server.metric("tidewaiter_certificate_reloads_total", result="failure") == 1
        (tmp_path / "server.key").write_bytes(pair.key.read_bytes())
        until(lambda: server.metric("tidewaiter_certificate_reloads_total", result="success") == 1)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nrubbish\n", None])
def test_a_broken_or_missing_file_changes_nothing(tmp_path: Path, content: bytes | None) -> None:
    with running(tmp_path) as server:
        old = _shown(server)
        if content is None:
            (tmp_path / "server.crt").unlink()
        else:
            (tmp_path / "server.crt").write_bytes(content)
        until(lambda: "the certificate is not replaced" in server.log)
        assert _shown(server) == old
        assert server.review(config_map())["allowed"] is True


def test_a_secret_is_replaced_by_swapping_a_link(tmp_path: Path) -> None:
    """The kubelet writes a new folder and renames the link `..data` to it."""
    authority = Authority(tmp_path)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        pair = authority.issue(name)
        pair.certificate.rename(tmp_path / name / "tls.crt")
        pair.key.rename(tmp_path / name / "tls.key")
    (tmp_path / "..data").symlink_to("old")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    options = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    (tmp_path / "run").mkdir()
    with running(tmp_path / "run", *options, tls=False) as server:
        server.tls = ssl.create_default_context(cafile=tmp_path / "ca.crt")
        old = _shown(server)
        (tmp_path / "..data_tmp").symlink_to("new")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        until(lambda: _shown(server) != old)


def test_sighup_looks_at_once(tmp_path: Path) -> None:
    with running(tmp_path, "--reload-interval", "1h") as server:
        old = _shown(server)
        _replace(server, "next")
        time.sleep(0.1)
        server.signal(signal.SIGHUP)
        until(lambda: _shown(server) != old)
        assert server.process.poll() is None


def test_the_metrics_say_when_it_ends(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        left = server.metric("tidewaiter_certificate_expiry_timestamp_seconds") - time.time()
        assert 0 < left < 2 * 86_400


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("server.crt", "other.key", "is not that of the certificate"),
        ("missing.crt", "server.key", "cannot be read: No such file or directory"),
        ("server.key", "server.key", "no PEM certificate"),
        ("server.crt", "server.crt", "no PEM certificate"),
    ],
)
def test_a_pair_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, cert: str, key: str, message: str
) -> None:
    authority = Authority(tmp_path)
    authority.issue("server")
    authority.issue("other")
    command = [sys.executable, "-m", "tidewaiter.webhook", "--inventory", "none"]
    command += ["--tls-cert", cert, "--tls-key", key]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def _replace(server: Webhook, name: str) -> None:
    """Put a new pair in the place of the old, as a renewal does."""
    pair = server.authority.issue(name)
    pair.key.rename(server.folder / "server.key")
    pair.certificate.rename(server.folder / "server.crt")


def _shown(server: Webhook) -> bytes | None:
    with server.connect() as connection:
        return connection.getpeercert(binary_form=True)
