"""The policy file is changed while the server runs."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.webhook.load import load
from tests.webhook.running import PRIVILEGED, review_of, running, until
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.webhook.admission import parse_review
from tidewaiter.webhook.inventory_source import FixedInventory
from tidewaiter.webhook.metrics import Metrics
from tidewaiter.webhook.policy_watch import PolicyWatch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow

STRICT = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: strict}\nspec: {}\n"
LAX = STRICT.replace("strict", "lax").replace("{}", "{rules: {no-privileged: {enabled: false}}}")
BROKEN = "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec: {profil: all}\n"


def test_a_new_policy_comes_into_force(tmp_path: Path) -> None:
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(STRICT)
    with running(tmp_path, "--policy", str(policy)) as server:
        assert _denies_privileged(server)
        policy.write_text(LAX)
        until(lambda: "policy lax" in server.log)
        assert not _denies_privileged(server)
        assert server.metric("tidewaiter_policy_info", name="lax") == 1
        assert server.metric("tidewaiter_policy_info") == 1
        assert server.metric("tidewaiter_policy_reloads_total", result="success") == 1
        first, second = (line["policyHash"] for line in server.audit)
        assert first != second


def test_the_last_good_policy_stays_when_the_file_becomes_invalid(tmp_path: Path) -> None:
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(LAX)
    with running(tmp_path, "--policy", str(policy)) as server:
        for content in (BROKEN, "a: [", ""):
            policy.write_text(content)
            until(lambda: server.metric("tidewaiter_policy_valid") == 0)
            assert not _denies_privileged(server)
            assert server.request("GET", "/readyz").status == 200
            assert "policy file: not in force" in server.request("GET", "/readyz?verbose").text
            policy.write_text(LAX)
            until(lambda: server.metric("tidewaiter_policy_valid") == 1)
        policy.unlink()
        until(lambda: server.metric("tidewaiter_policy_valid") == 0)
        assert not _denies_privileged(server)
        assert "the last good one stays: " in server.log
        assert "did you mean 'profile'" in server.log
        assert server.metric("tidewaiter_policy_reloads_total", result="failure") >= 4


def test_a_config_map_is_replaced_by_swapping_a_link(tmp_path: Path) -> None:
    for name, content in (("old", STRICT), ("new", LAX)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tidewaiter.yaml").write_text(content)
    (tmp_path / "..data").symlink_to("old")
    (tmp_path / "tidewaiter.yaml").symlink_to("..data/tidewaiter.yaml")
    with running(tmp_path, "--policy", str(tmp_path / "tidewaiter.yaml")) as server:
        assert _denies_privileged(server)
        (tmp_path / "..data_tmp").symlink_to("new")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        until(lambda: not _denies_privileged(server))


def test_sighup_looks_at_once(tmp_path: Path) -> None:
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(STRICT)
    with running(tmp_path, "--reload-interval", "1h") as server:
        assert _denies_privileged(server)
        policy.write_text(LAX)
        server.signal(signal.SIGHUP)
        until(lambda: not _denies_privileged(server))


def test_reviews_go_on_while_the_policy_is_read(tmp_path: Path) -> None:
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(STRICT)
    with running(tmp_path, "--policy", str(policy)) as server, load(server, 4) as sent:
        for number in range(5):
            policy.write_text(STRICT.replace("strict", f"strict-{number}"))
            until(lambda number=number: f"policy strict-{number} " in server.log)
        sent.stop()
        assert not sent.dropped
        assert not sent.wrong


def test_a_mistake_at_the_start_is_a_sentence(tmp_path: Path) -> None:
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(BROKEN)
    command = [sys.executable, "-m", "tidewaiter.webhook", "--inventory", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "tidewaiter.yaml:4:" in done.stderr
    assert "Traceback" not in done.stderr


def _denies_privileged(server: Webhook) -> bool:
    status = server.review(PRIVILEGED).get("status", {})
    return "no-privileged" in status.get("message", "")


def test_a_policy_that_is_replaced_is_gone_without_a_collection(tmp_path: Path) -> None:
    """What was loaded is kept out of the collector's way, so a policy in cycles would stay for ever."""
    policy = tmp_path / "tidewaiter.yaml"
    policy.write_text(STRICT)
    watch = PolicyWatch(
        str(policy), lambda _: FixedInventory(LiveInventory(), "nothing"), Metrics()
    )
    watch.current.reviewer.review(
        parse_review(review_of(PRIVILEGED)), today="2026-01-01", out_of_time=lambda: False
    )
    before = weakref.ref(watch.current.reviewer)
    gc.disable()
    try:
        policy.write_text(LAX)
        assert asyncio.run(watch.reload())
        assert before() is None
    finally:
        gc.enable()
        gc.unfreeze()
