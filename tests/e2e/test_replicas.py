"""Replicas of the webhook share nothing but the API server: each answers alone, and as the others do."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from tests.webhook.reviews_of import GOOD, deployment
from tests.webhook.running import Webhook, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.api_server import ApiServer

RULES = """
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: shared}
spec:
  profile: production
  admission: {mode: enforce}
"""


def test_replicas_answer_alike_and_the_death_of_one_is_nothing_to_another(
    api_server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        replicas = [stack.enter_context(replica(api_server, tmp_path / each)) for each in "ab"]
        for each in replicas:
            until(lambda each=each: each.request("GET", "/readyz").status == 200, timeout=60)
        asked = deployment(GOOD, name="api", replicas=3)
        asked["metadata"]["namespace"] = namespace
        before = [each.review(asked) for each in replicas]
        assert before[0] == before[1]
        assert not before[0]["allowed"]
        assert "topology-spread" in str(before[0]) or "pdb" in str(before[0])
        replicas[0].signal(signal.SIGKILL)
        replicas[0].process.wait(10)
        assert replicas[1].review(asked) == before[1]
        # What changes in the cluster reaches the one that is left by its own watch.
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "api", "namespace": namespace},
            "spec": {"maxUnavailable": 1, "selector": asked["spec"]["selector"]},
        }
        api_server.admin.create(budget)
        until(lambda: replicas[1].review(asked) != before[1])


def replica(api_server: ApiServer, folder: Path) -> AbstractContextManager[Webhook]:
    """Start a server with files, a home and a cache of its own."""
    folder.mkdir()
    policy = folder / "tidewaiter.yaml"
    policy.write_text(RULES)
    options = ("--policy", str(policy), "--kubeconfig", str(api_server.kubeconfig))
    return running(
        folder,
        *options,
        *("--inventory", "cluster", "--background-audit", "0s"),
        HOME=str(folder),
        TMPDIR=str(folder),
        XDG_CACHE_HOME=str(folder),
    )
