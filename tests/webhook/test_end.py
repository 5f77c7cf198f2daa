"""SIGTERM: not ready first, then no new connections, and every request answered."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.webhook.load import BODY, load
from tests.webhook.running import running, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_no_request_is_dropped_under_load(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-grace", "1s") as server, load(server) as sent:
        until(lambda: sent.answered > 200)
        assert server.end() == 0
        time.sleep(0.2)
        assert not sent.dropped
        assert not sent.wrong
        assert sent.refused_connections
    assert len(server.audit) == sent.answered
    assert server.log.rstrip().endswith("ended")


def test_it_is_not_ready_first_and_answers_meanwhile(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-grace", "2s") as server:
        server.signal(signal.SIGTERM)
        until(lambda: server.request("GET", "/readyz").status == 503)
        answer = server.post("/validate", BODY)
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert server.request("GET", "/livez").status == 200
        assert "running: shutting down" in server.request("GET", "/readyz").text
        assert server.process.wait(10) == 0


def test_a_request_that_has_begun_is_answered(tmp_path: Path) -> None:
    head = b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    with running(tmp_path) as server, server.connect() as connection:
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(BODY) + BODY[:50])
        until(lambda: server.metric("tidewaiter_requests_in_flight") == 1)
        server.signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(BODY[50:])
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert b"no-privileged" in answer
        assert server.process.wait(10) == 0


def test_who_never_ends_a_request_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-timeout", "1s") as server, server.connect() as connection:
        connection.sendall(b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n")
        assert server.end() == 0
        assert "connections are cut off" in server.log or connection.recv(1000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_connections_do_not_keep_it_from_ending(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path) as server, server.connect():
        began = time.monotonic()
        server.signal(number)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 6


def test_a_second_signal_shortens_the_grace(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-grace", "1m") as server:
        server.signal(signal.SIGINT)
        until(lambda: "shutting down" in server.log)
        server.signal(signal.SIGINT)
        assert server.process.wait(10) == 0
