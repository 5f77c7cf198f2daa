"""The audit log of a running server: a line for each decision, whatever happens to the disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.webhook.load import load
from tests.webhook.running import PRIVILEGED, config_map, review_of, running, until
from tidewaiter.rules.audit_chain import verify

if TYPE_CHECKING:
    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_line_says_who_asked_for_what_and_what_was_decided(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        review = review_of(PRIVILEGED, dryRun=True, operation="CREATE")
        server.post("/validate", review, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
        until(lambda: server.audit)
        (line,) = server.audit
    assert line["seq"] == 1
    assert line["previous"] == "0" * 64
    assert line["gate"] == "validate"
    assert line["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert (line["user"], line["operation"], line["dryRun"]) == ("jane", "CREATE", True)
    assert line["object"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "shop",
        "name": "web",
        "subresource": "",
    }
    assert (line["allowed"], line["verdict"]) == (False, "denied")
    found = {each["rule"]: each for each in line["rules"]}
    assert found["no-privileged"]["effect"] == "deny"
    pointer = "/spec/containers/0/securityContext/privileged"
    assert found["no-privileged"]["pointer"] == pointer
    assert 0 < line["latencyMs"] < 10_000
    assert line["traceId"] == TRACE
    assert len(line["policyHash"]) == 16
    assert time.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "rubbish",
        f"00-{TRACE}-b7ad6b7169203331",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331-01-more",
    ],
)
def test_what_is_no_traceparent_is_no_trace(webhook: Webhook, traceparent: str) -> None:
    before = len(webhook.audit)
    webhook.post("/validate", review_of(config_map()), traceparent=traceparent)
    until(lambda: len(webhook.audit) > before)
    assert webhook.audit[-1]["traceId"] == ""


def test_the_chain_goes_on_across_rotation_and_restarts(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    options = ("--audit-log", str(log), "--audit-log-size", "20000", "--audit-log-files", "50")
    for run in range(1, 3):
        with running(tmp_path, *options) as server:
            for number in range(60):
                server.review(config_map(f"settings-{number}"))
            assert server.end() == 0
        files = sorted(map(str, tmp_path.glob("audit.log*")))
        found = verify(files)
        assert not found.breaks
        assert (found.first, found.last) == (1, 60 * run)
    assert len(files) > 2
    assert all(os.path.getsize(file) <= 20000 for file in files)
    assert log.stat().st_mode & 0o077 == 0


def test_the_servers_log_tells_where_the_chain_stands(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path, "--audit-log", str(log), "--audit-log-size", "4Ki") as server:
        for _ in range(6):
            server.review(PRIVILEGED)
        assert server.end() == 0
        told = server.log
    assert "begins a new file after line" in told
    head = verify([str(path) for path in tmp_path.glob("audit.log*")]).head
    assert f"the audit log ends with line 6 with the hash {head}" in told
    with running(tmp_path, "--audit-log", str(log)) as server:
        assert f"the audit log goes on after line 6 with the hash {head}" in server.log


def test_the_oldest_files_go(tmp_path: Path) -> None:
    options = ("--audit-log", str(tmp_path / "a"), "--audit-log-size", "4096")
    with running(tmp_path, *options, "--audit-log-files", "2") as server:
        for _ in range(40):
            server.review(config_map())
        assert server.end() == 0
    assert {each.name for each in tmp_path.glob("a*")} == {"a", "a.1"}
    found = verify([str(tmp_path / "a"), str(tmp_path / "a.1")])
    assert not found.breaks
    assert found.first > 1
    assert found.last == 40


def test_a_line_cut_off_by_a_crash_is_removed_and_told(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path, "--audit-log", str(log)) as server:
        server.review(config_map())
        server.review(config_map())
        until(lambda: log.read_bytes().count(b"\n") == 2)
        server.signal(signal.SIGKILL)
        server.process.wait()
    with log.open("ab") as file:
        file.write(b'{"seq":3,"previous":"ab')
    (found,) = verify([str(log)]).breaks
    assert found.place.line == 3
    with running(tmp_path, "--audit-log", str(log)) as server:
        server.review(config_map())
        assert server.end() == 0
        assert "the last line was cut off" in server.log
    found_after = verify([str(log)])
    assert not found_after.breaks
    assert found_after.last == 4
    assert b'"event":"torn"' in log.read_bytes()


def test_a_file_renamed_by_somebody_else_is_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path, "--audit-log", str(log)) as server:
        server.review(config_map())
        until(lambda: log.exists() and log.read_bytes().count(b"\n") == 1)
        log.rename(tmp_path / "moved")
        server.review(config_map())
        until(log.exists)
        assert server.end() == 0
    assert not verify([str(tmp_path / "moved"), str(log)]).breaks


def test_a_full_disk_changes_no_verdict_and_is_caught_up_with(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path, "--audit-log", str(log)) as server:
        pid = server.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # Beyond this size a write fails, after it has written what fits.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
        for _ in range(100):
            assert server.review(config_map())["allowed"] is True
        until(lambda: server.metric("tidewaiter_audit_log_write_failures_total") > 0)
        assert server.metric("tidewaiter_audit_log_waiting") > 0
        assert "the audit log cannot be written, its lines wait: File too large" in server.log
        assert log.read_bytes().endswith(b"\n")
        assert server.review(PRIVILEGED)["allowed"] is False
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        until(lambda: server.metric("tidewaiter_audit_log_waiting") == 0)
        until(lambda: "the audit log is written again" in server.log)
        assert server.end() == 0
    found = verify([str(log)])
    assert not found.breaks
    assert found.last == 101


def test_a_folder_that_is_gone_for_a_while_costs_no_line_and_no_connection(tmp_path: Path) -> None:
    """The number of the closed file goes to a connection, which must not be closed in its place."""
    folder, away = tmp_path / "logs", tmp_path / "away"
    folder.mkdir()
    log = folder / "audit.log"
    with running(tmp_path, "--audit-log", str(log)) as server:
        server.review(config_map())
        until(lambda: log.read_bytes().count(b"\n") == 1)
        folder.rename(away)
        server.review(config_map())
        until(lambda: "the audit log cannot be written" in server.log)
        clients = [server.client() for _ in range(8)]
        for client in clients:
            client.connect()
        until(lambda: server.metric("tidewaiter_audit_log_write_failures_total") >= 3)
        for client in clients:
            client.request("GET", "/livez")
            assert client.getresponse().read() == b"ok\n"
            client.close()
        away.rename(folder)
        until(lambda: "the audit log is written again" in server.log)
        assert server.end() == 0
        assert "Traceback" not in server.log
    found = verify([str(log)])
    assert not found.breaks
    assert found.last == 2


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("/dev/full", "cannot be written, its lines wait: No space left on device"),
        ("/dev/null", "is not known to be on the disk"),
    ],
)
def test_a_device_in_place_of_a_file_is_a_sentence(tmp_path: Path, device: str, said: str) -> None:
    with running(tmp_path, "--audit-log", device) as server:
        assert server.review(PRIVILEGED)["allowed"] is False
        until(lambda: device == "/dev/null" or said in server.log)
        assert server.end() == 0
        assert said in server.log
        assert "Traceback" not in server.log


def test_who_does_not_read_stdout_keeps_nobody_waiting(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        with running(tmp_path, stdout=writing) as server:
            for _ in range(300):
                began = time.monotonic()
                assert server.review(config_map())["allowed"] is True
                assert time.monotonic() - began < 2
            assert server.metric("tidewaiter_audit_log_waiting") > 0
            assert server.end() == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_no_line_is_missing_after_a_load(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path, "--audit-log", str(log)) as server, load(server, 4) as sent:
        until(lambda: sent.answered > 300)
        sent.stop()
        time.sleep(0.3)
        assert server.end() == 0
        answered = sent.answered
    found = verify([str(log)])
    assert not found.breaks
    assert found.last == answered


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (b"hello\n", "audit.log", "the last line is no line of an audit log"),
        (None, "missing/audit.log", "cannot be written: No such file or directory"),
        (None, ".", "cannot be written: Is a directory"),
    ],
)
def test_a_log_that_cannot_be_continued_is_a_sentence(
    tmp_path: Path, content: Any, path: str, message: str
) -> None:
    if content is not None:
        (tmp_path / path).write_bytes(content)
    command = [sys.executable, "-m", "tidewaiter.webhook", "--inventory", "none"]
    done = subprocess.run(
        [*command, "--audit-log", path], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_two_servers_do_not_write_to_one_file(tmp_path: Path) -> None:
    with running(tmp_path, "--audit-log", str(tmp_path / "audit.log")) as server:
        command = [sys.executable, "-m", "tidewaiter.webhook", "--inventory", "none"]
        done = subprocess.run(
            [*command, "--bind", "127.0.0.1:0", "--audit-log", "audit.log"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert "another process writes to it" in done.stderr
        assert server.review(config_map())["allowed"] is True


def test_without_a_log_nothing_is_written(tmp_path: Path) -> None:
    with running(tmp_path, "--audit-log", "none") as server:
        server.review(config_map())
        assert server.end() == 0
    assert not server.audit
