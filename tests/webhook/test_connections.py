"""Slow clients, idle ones, and too many of them."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.webhook.load import BODY
from tests.webhook.running import config_map, review_of, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow

HEAD = (
    b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    """A server with short times and few connections."""
    folder = tmp_path_factory.mktemp("impatient")
    options = ("--read-timeout", "1s", "--idle-timeout", "2s", "--max-connections", "40")
    with running(folder, *options) as server:
        yield server


def test_who_sends_nothing_is_closed(impatient: Webhook) -> None:
    with impatient.connect() as connection:
        assert connection.recv(100) == b""


@pytest.mark.parametrize("sent", [HEAD[:30], HEAD, HEAD + BODY[:40]])
def test_who_stops_within_a_request_is_told(impatient: Webhook, sent: bytes) -> None:
    with impatient.connect() as connection:
        connection.sendall(sent)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"POST /validate HTTP/1.1\r\nx: " + b"a" * 500, HEAD + BODY])
def test_who_sends_a_byte_at_a_time_is_told(impatient: Webhook, sent: bytes) -> None:
    began = time.monotonic()
    with impatient.connect() as connection:
        connection.settimeout(0.1)
        answer = b""
        for byte in sent:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(1000)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 3


def test_what_arrives_while_the_server_is_held_up_is_not_late(impatient: Webhook) -> None:
    with impatient.connect() as connection:
        connection.sendall(HEAD + BODY[:40])
        until(lambda: impatient.metric("tidewaiter_requests_in_flight") == 1)
        impatient.signal(signal.SIGSTOP)
        try:
            time.sleep(3)
            connection.sendall(BODY[40:])
        finally:
            impatient.signal(signal.SIGCONT)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_is_closed_later_than_an_unused_one(impatient: Webhook) -> None:
    with impatient.connect() as connection:
        connection.sendall(HEAD + BODY)
        until(lambda: b"no-privileged" in connection.recv(65536))
        began = time.monotonic()
        while connection.recv(65536):
            pass
        assert 1.5 < time.monotonic() - began < 5


def test_who_never_ends_the_handshake_is_closed(impatient: Webhook) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as plain:
        began = time.monotonic()
        assert plain.recv(100) == b""
        assert 5 < time.monotonic() - began < 15


def test_slow_clients_keep_nobody_waiting(impatient: Webhook) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(impatient.connect()).sendall(HEAD + BODY[:40])
        # Other programs take their share of the machine: the best of a few is the server's own.
        times = []
        for _ in range(5):
            began = time.monotonic()
            assert impatient.review(config_map())["allowed"] is True
            times.append(time.monotonic() - began)
        assert min(times) < 0.5
    assert impatient.metric("tidewaiter_requests_refused_total", reason="slow_client") > 0


def test_above_the_limit_the_connection_that_waits_for_longest_is_closed(tmp_path: Path) -> None:
    with running(tmp_path, "--max-connections", "10") as server, ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(10)]
        assert server.review(config_map())["allowed"] is True
        assert idle[0].recv(100) == b""
        idle[9].sendall(HEAD + BODY)
        assert b"HTTP/1.1 200" in idle[9].recv(1000)


def test_where_each_connection_works_a_further_one_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "--max-connections", "5") as server, ExitStack() as stack:
        busy = [stack.enter_context(server.connect()) for _ in range(5)]
        for connection in busy:
            connection.sendall(HEAD + BODY[:40])
        until(lambda: _is_refused(server))
        for connection in busy:
            connection.sendall(BODY[40:])
            assert b"HTTP/1.1 200" in connection.recv(1000)


def test_a_thousand_idle_connections_starve_nobody(tmp_path: Path) -> None:
    with running(tmp_path) as server, ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(1000)]
        assert server.metric("tidewaiter_connections_open") >= 1000
        times = []
        for number in range(20):
            began = time.monotonic()
            assert server.review(config_map(str(number)))["allowed"] is True
            times.append(time.monotonic() - began)
        assert sorted(times)[5] < 0.1
        idle[500].sendall(HEAD + BODY)
        assert b"HTTP/1.1 200" in idle[500].recv(1000)


def test_more_requests_at_once_than_the_limit_are_told_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path, "--max-in-flight", "3") as server, ExitStack() as stack:
        busy = [stack.enter_context(server.connect()) for _ in range(3)]
        for connection in busy:
            connection.sendall(HEAD + BODY[:40])
        until(lambda: server.metric("tidewaiter_requests_in_flight") == 3)
        refused = server.post("/validate", review_of(config_map()))
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert server.request("GET", "/livez").status == 200
        for connection in busy:
            connection.sendall(BODY[40:])
            assert b"HTTP/1.1 200" in connection.recv(1000)
        assert server.review(config_map())["allowed"] is True


def test_many_large_bodies_at_once_do_not_fill_the_memory(tmp_path: Path) -> None:
    large = json.dumps(review_of(config_map(text="x" * 6 * 2**20))).encode()
    with running(tmp_path, "--read-timeout", "1m") as server:
        statuses: list[int] = []

        def send() -> None:
            statuses.append(server.post("/validate", large).status)

        threads = [threading.Thread(target=send) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {200, 429}
        assert 200 in statuses
        assert server.metric("process_resident_memory_bytes") < 500e6


def _is_refused(server: Webhook) -> bool:
    with server.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        return connection.recv(1000).startswith(b"HTTP/1.1 503 ")
