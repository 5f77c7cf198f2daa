"""Reviews of large objects: the same verdict, in time, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.webhook.running import PRIVILEGED, config_map, pod, review_of, running, until
from tidewaiter.webhook.apart import MOST_MEMORY, Apart, GaveUp
from tidewaiter.webhook.decision import ReviewedObject
from tidewaiter.webhook.reviews import LARGE, MOST_WAITING
from tidewaiter.webhook.slow_reviews import SLOW, SlowReviews

if TYPE_CHECKING:
    from tests.webhook.running import Webhook

pytestmark = pytest.mark.slow

TRIES = 4


def pod_of(containers: int) -> dict[str, Any]:
    """Return a pod of many containers, each of which breaks several rules: the slowest there is for its size."""
    value = pod()
    image = "registry.example/app:1.0"
    value["spec"]["containers"] = [{"name": f"c{n}", "image": image} for n in range(containers)]
    return value


SOME = json.dumps(review_of(pod_of(2_000))).encode()
MANY = json.dumps(review_of(pod_of(8_000))).encode()


def test_small_reviews_are_answered_while_a_large_one_is_judged(webhook: Webhook) -> None:
    for _ in range(TRIES):
        whole, waits = _beside(webhook, MANY)
        if len(waits) > 10 and max(waits) < whole / 4:
            return
    pytest.fail(f"a small review waited {max(waits):.2f} s for one that took {whole:.2f} s")


def _beside(webhook: Webhook, large: bytes) -> tuple[float, list[float]]:
    """Return how long a large review took, and each of the small ones that were sent beside it."""
    waits = []
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        answer = pool.submit(webhook.post, "/validate", large)
        client = webhook.client()
        small = json.dumps(review_of(PRIVILEGED)).encode()
        while not answer.done():
            sent = time.monotonic()
            client.request("POST", "/validate", small, {"content-type": "application/json"})
            assert client.getresponse().read()
            waits.append(time.monotonic() - sent)
        client.close()
        whole = time.monotonic() - began
    assert answer.result().json["response"]["allowed"] is False
    return whole, waits


def test_a_large_review_is_answered_before_its_own_timeout(webhook: Webhook) -> None:
    for _ in range(TRIES):
        began = time.monotonic()
        answer = webhook.post("/validate?timeout=1s", MANY)
        seconds = time.monotonic() - began
        assert answer.json["response"]["allowed"] is False
        if seconds < 1:
            return
    pytest.fail(f"the answer took {seconds:.2f} s")


def test_every_answer_of_a_large_review_counts_and_some_are_told(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        response = server.post("/validate", SOME).json["response"]
        assert response["allowed"] is False
        assert "drop-all-capabilities: container c0" in response["status"]["message"]
        until(lambda: server.audit)
        (line,) = server.audit
        assert len(line["rules"]) == 200
        found = server.metric("tidewaiter_rule_answers_total")
        assert line["moreRules"] + 200 == found
        assert server.metric("tidewaiter_rule_answers_total", rule="drop-all-capabilities") == 2_000


def test_an_update_of_a_large_object_is_held_against_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\n"
        "spec: {admission: {ratchet: true}}\n"
    )
    with running(tmp_path, "--policy", "policy.yaml") as server:
        old = pod_of(700)
        same = server.review(old, operation="UPDATE", oldObject=old)
        assert same["allowed"] is True
        assert same["warnings"]
        assert server.review(pod_of(701), operation="UPDATE", oldObject=old)["allowed"] is False


def test_a_large_body_that_is_no_review_is_refused(webhook: Webhook) -> None:
    padding = b" " * LARGE
    broken = webhook.post("/validate", b"{" + padding)
    assert (broken.status, "not JSON" in broken.json["message"]) == (400, True)
    assert webhook.post("/validate", b"{}" + padding).status == 400
    assert webhook.post("/image-policy", b"{}" + padding).status == 400


def test_many_images_are_reviewed(webhook: Webhook) -> None:
    images = [{"image": f"registry.example/app-{n}:latest"} for n in range(2_500)]
    review = {
        "apiVersion": "imagepolicy.k8s.io/v1alpha1",
        "kind": "ImageReview",
        "spec": {"namespace": "shop", "containers": images},
    }
    assert len(json.dumps(review)) > LARGE
    status = webhook.post("/image-policy", review).json["status"]
    assert status["allowed"] is False
    assert "image-digest" in status["reason"]


def test_a_review_whose_copy_is_killed_is_denied(tmp_path: Path) -> None:
    with running(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/validate", MANY)
        until(lambda: _children(server))
        os.kill(_children(server)[0], signal.SIGKILL)
        response = answer.result().json["response"]
        assert response["allowed"] is False
        assert response["status"]["code"] == 500
        assert "could not be judged" in server.log
        # Nothing is left of it, and the next is judged.
        until(lambda: not _children(server))
        assert "drop-all-capabilities" in server.post("/validate", SOME).text
        for result in ("failure", "success"):
            assert server.metric("tidewaiter_reviews_apart_total", result=result) == 1


def test_where_no_copy_can_be_made_the_server_judges_itself(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.client()
        # The only connection so far, and the server has it.
        client.request("GET", "/livez")
        assert client.getresponse().read()
        used = _descriptors(server)
        free = next(number for number in range(len(used) + 1) if number not in used)
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (free, hard))
        client.request("POST", "/validate", SOME, {"content-type": "application/json"})
        assert json.load(client.getresponse())["response"]["allowed"] is False
        assert "no copy of the server can be made" in server.log
        client.close()


def test_what_the_policy_lets_in_without_a_verdict_is_let_in(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\n"
        "spec: {admission: {onTimeout: warn}}\n"
    )
    with running(tmp_path, "--policy", "policy.yaml") as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/validate", MANY)
        until(lambda: _children(server))
        os.kill(_children(server)[0], signal.SIGKILL)
        response = answer.result().json["response"]
        assert response["allowed"] is True
        assert "could not judge" in response["warnings"][0]


def test_a_large_review_is_answered_at_the_end_of_the_server(tmp_path: Path) -> None:
    with running(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/validate", MANY)
        until(lambda: _children(server))
        assert server.end() == 0
        assert answer.result().json["response"]["allowed"] is False


def test_a_copy_gets_no_more_memory_than_stated() -> None:
    with pytest.raises(GaveUp, match="memory"):
        _apart(lambda: b"%d" % len(bytearray(2 * MOST_MEMORY)))
    half = MOST_MEMORY // 2
    assert _apart(lambda: b"%d" % len(bytearray(half))) == b"%d" % half


def test_work_that_ends_by_itself_never_is_ended_in_time() -> None:
    with pytest.raises(GaveUp, match="too long"):
        _apart(_for_ever, 0.2)


def test_an_answer_that_is_cut_off_is_none() -> None:
    def ended_while_it_writes() -> bytes:
        write = os.write

        def part(descriptor: int, content: bytes) -> int:
            write(descriptor, content[:20])
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        os.write = part  # type: ignore[assignment]
        return b"an answer that is longer than that"

    with pytest.raises(GaveUp, match="failed"):
        _apart(ended_while_it_writes)


def test_work_that_fails_gives_no_answer() -> None:
    with pytest.raises(GaveUp, match="failed"):
        _apart(lambda: b"%d" % int("nothing"))


def test_who_waits_for_a_turn_waits_no_longer_than_its_time() -> None:
    async def both() -> Any:
        apart = Apart()
        first = asyncio.create_task(apart.run(_first, 20))
        await asyncio.sleep(0.05)
        with pytest.raises(GaveUp, match="too long"):
            await apart.run(lambda: b"second", 0.1)
        return await first

    assert asyncio.run(both()) == b"first"


def test_many_large_reviews_at_once_leave_room_for_small_ones(tmp_path: Path) -> None:
    number = MOST_WAITING + 16
    with running(tmp_path, "--max-in-flight", str(number)) as server:
        with ThreadPoolExecutor(number) as pool:
            answers = [
                pool.submit(server.post, "/validate?timeout=5s", SOME) for _ in range(number)
            ]
            until(lambda: any(each.done() and each.result().status == 429 for each in answers))
            assert server.review(config_map())["allowed"] is True
        statuses = Counter(each.result().status for each in answers)
        assert set(statuses) == {200, 429}
        assert all(
            each.result().json["response"]["allowed"] is False
            for each in answers
            if each.result().status == 200
        )


def test_what_took_long_once_holds_nobody_up_again(tmp_path: Path) -> None:
    names = "object.spec.containers.all"
    expression = f"{names}(x, {names}(y, {names}(z, x.name != 'q' || y.name == z.name)))"
    (tmp_path / "policy.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\n"
        "spec: {profile: pss-baseline, customRules: [{name: slow-rule, severity: error, message: x, "
        f'match: {{kinds: [Pod]}}, expression: "{expression}"}}]}}\n'
    )
    slow = json.dumps(review_of(pod_of(60))).encode()
    assert len(slow) < LARGE
    with running(tmp_path, "--policy", "policy.yaml") as server:
        first = server.post("/validate", slow).json["response"]
        for _ in range(TRIES):
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(server.post, "/validate", slow)
                until(lambda: _children(server))
                began = time.monotonic()
                assert server.review(config_map())["allowed"] is True
                held_up = answer.done()
                seconds = time.monotonic() - began
                assert answer.result().json["response"] == first
            if not held_up:
                return
        pytest.fail(f"a small review waited for {seconds:.2f} s")


def test_a_review_is_expected_to_take_long_by_kind_size_and_policy() -> None:
    slow, one, other = SlowReviews(), ReviewedObject(kind="Pod"), ReviewedObject(kind="Job")
    policy: Any = object()
    slow.note(one, 1_000, policy, SLOW / 2)
    assert not slow.expects(one, 1_000, policy)
    slow.note(one, 1_000, policy, SLOW)
    assert slow.expects(one, 500, policy)
    assert not slow.expects(one, 499, policy)
    assert not slow.expects(other, 1_000, policy)
    assert not slow.expects(one, 1_000, object())  # type: ignore[arg-type]


def _apart(work: Any, seconds: float = 20) -> Any:
    async def run() -> Any:
        return await Apart().run(work, seconds)

    return asyncio.run(run())


def _for_ever() -> None:
    while True:
        pass


def _descriptors(server: Webhook) -> set[int]:
    return {int(name) for name in os.listdir(f"/proc/{server.process.pid}/fd")}


def _children(server: Webhook) -> list[int]:
    pid = server.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _first() -> bytes:
    time.sleep(1)
    return b"first"
