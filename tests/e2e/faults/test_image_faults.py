"""Game days with what signed images are verified by: the registry, and the place where replicas keep verdicts."""

from __future__ import annotations

import re
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.faults.asking import DENIED
from tests.e2e.faults.game_day import shortened
from tests.e2e.faults.gate import asking_for, gate
from tests.e2e.faults.proxy import Proxy
from tests.e2e.faults.signed import KEY, Valkey, pod_of, policy_for, registry
from tests.webhook.running import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.api_server import Cluster
    from tests.signed_images import Registry


__all__ = ["registry"]


def test_the_registry_is_down(
    cluster: Cluster, shop: str, registry: Registry, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The image registry is down.

    What is kept of its verdicts goes on to count.
    """
    known, unsigned, new = (registry.image(f"shop/{name}") for name in ("known", "bad", "new"))
    registry.sign(known, KEY)
    registry.sign(new, KEY)
    policy = policy_for(tmp_path, registry.host)
    with gate_for(cluster, shop, tmp_path, policy, unsigned, known) as asked:
        registry.stop()
        stopped = time.monotonic()
        asked.until_whole(stopped, within=10)
        # Every pod of an image that nobody has asked about is refused.
        with asking_for(cluster, shop, bad=pod_of(new), good=pod_of(known), users=1) as unknown:
            unknown.until_whole(stopped, within=20)
            refused = [each.message for each in unknown.attempts if each.outcome == DENIED]
        assert unknown.wrongly_denied == []
        registry.start()
        back = time.monotonic()
        with asking_for(cluster, shop, bad=pod_of(unsigned), good=pod_of(new), users=1) as after:
            seconds = after.until_whole(back, within=30)
    assert any("could not be verified" in each for each in refused)
    sees = f"known images run as before; of a new one: `{_told(refused)}`"
    note(sees, asked, seconds, within=30)


def test_the_registry_is_slow(
    cluster: Cluster, shop: str, registry: Registry, tmp_path: Path, note: Callable[..., None]
) -> None:
    """The image registry takes requests and does not answer."""
    port = int(registry.host.rpartition(":")[2])
    with Proxy(port).running() as proxy:
        host = f"localhost:{proxy.port}"
        images = [
            registry.image(f"shop/{name}").replace(registry.host, host)
            for name in ("known", "bad", "new")
        ]
        known, unsigned, new = images
        for each in (known, new):
            registry.sign(each.replace(host, registry.host), KEY)
        policy = policy_for(tmp_path, host, registry.host)
        with gate_for(cluster, shop, tmp_path, policy, unsigned, known, timeout=3) as asked:
            proxy.stall()
            stalled = time.monotonic()
            asked.until_whole(stalled, within=10)
            with asking_for(cluster, shop, bad=pod_of(new), good=pod_of(known), users=1) as unknown:
                unknown.until_whole(stalled, within=20)
                slow = [each for each in unknown.attempts if each.outcome == DENIED]
            # The answer comes before the API server gives up, so the user hears why.
            assert all(each.ended - each.began < 3 for each in slow)
            proxy.mend()
            back = time.monotonic()
            with asking_for(
                cluster, shop, bad=pod_of(unsigned), good=pod_of(new), users=1
            ) as after:
                seconds = after.until_whole(back, within=30)
    told = _told([each.message for each in slow])
    sees = f"known images run as before; of a new one, before the API server's timeout: `{told}`"
    note(sees, asked, seconds, within=30)


def test_valkey_is_down(
    cluster: Cluster, shop: str, registry: Registry, tmp_path: Path, note: Callable[..., None]
) -> None:
    """Valkey, where replicas keep verdicts on images, is down, and the registry with it for a while."""
    pytest.importorskip("valkey", reason="the extra valkey is not installed")
    known, unsigned, new, next_one = (
        registry.image(f"shop/{name}") for name in ("known", "bad", "new", "next")
    )
    for each in (known, new, next_one):
        registry.sign(each, KEY)
    policy = policy_for(tmp_path, registry.host)
    secret = tmp_path / "verdicts-secret"
    secret.write_text(secrets.token_hex(32))
    store = Valkey(tmp_path)
    try:
        options = ("--verdicts", store.url, "--verdicts-secret", str(secret))
        with gate_for(cluster, shop, tmp_path, policy, unsigned, known, *options) as asked:
            store.stop()
            stopped = time.monotonic()
            asked.until_whole(stopped, within=10)
            with asking_for(cluster, shop, bad=pod_of(unsigned), good=pod_of(new)) as other:
                other.until_whole(stopped, within=15)
                assert other.failures() == []
            registry.stop()
            never = pod_of(known.replace("known", "never"))
            with asking_for(cluster, shop, bad=never, good=pod_of(known)) as both:
                both.until_whole(time.monotonic(), within=15)
                assert both.wrongly_allowed == 0
            registry.start()
            store.start()
            back = time.monotonic()
            # A server that has failed is asked again after a second.
            time.sleep(1.2)
            with asking_for(cluster, shop, bad=pod_of(unsigned), good=pod_of(next_one)) as after:
                seconds = after.until_whole(back, within=30)
                until(lambda: store.keys() > 0, 30)
    finally:
        store.stop()
    assert asked.failures() == []
    note("verdicts as before, each found out anew by each replica", asked, seconds, within=60)


@contextmanager
def gate_for(
    cluster: Cluster,
    shop: str,
    folder: Path,
    policy: Path,
    unsigned: str,
    signed: str,
    *options: str,
    timeout: int = 5,
) -> Iterator[Any]:
    """Run a gate that asks for signatures, and users who try an unsigned and a signed image."""
    fixed = ("--inventory", "none", "--policy", str(policy))
    with (
        gate(cluster, shop, folder, *fixed, *options, bad=pod_of(unsigned), timeoutSeconds=timeout),
        asking_for(cluster, shop, bad=pod_of(unsigned), good=pod_of(signed)) as asked,
    ):
        asked.until_whole(time.monotonic(), within=20)
        yield asked


def _told(messages: list[str]) -> str:
    """Return what the user is told, without what differs from run to run."""
    said = " ".join(shortened(messages, 2000).partition("denied the request: ")[2].split())
    said = re.sub(r"shop-[0-9a-f]+/", "shop/", said)
    said = re.sub(r"localhost:[0-9]+/", "registry.example/", said)
    said = re.sub(r"sha256:[0-9a-f]+", "sha256:…", said)
    return said if len(said) < 300 else f"{said[:300]}…"
