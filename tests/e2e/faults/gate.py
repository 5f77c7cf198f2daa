"""The webhook in front of a namespace of a real cluster: it fails closed, and users go on asking."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.admission import configuration, configured
from tests.e2e.faults.asking import Asking, asking
from tests.webhook.running import config_map, pod, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.e2e.api_server import Cluster
    from tests.webhook.running import Webhook

HOST_PID = pod()
HOST_PID["spec"]["hostPID"] = True
"""What the default policy denies and the API server by itself does not."""


@contextmanager
def gate(
    cluster: Cluster, shop: str, folder: Path, *options: str, bad: Any = HOST_PID, **fields: Any
) -> Iterator[Webhook]:
    """Run a webhook that fails closed in front of a namespace, until the block is left.

    `bad` is what its policy denies; `fields` are those of the registration.
    """
    # The last of an option counts.
    usual = ["--inventory", "cluster", "--kubeconfig", str(cluster.server.kubeconfig)]
    usual += ["--background-audit", "0s"]
    with running(folder, *usual, *options, authority=cluster.server.authority) as webhook:
        until(lambda: webhook.request("GET", "/readyz").status == 200, 60)
        with registered(cluster, shop, webhook.port, bad=bad, **fields):
            yield webhook


@contextmanager
def registered(
    cluster: Cluster,
    shop: str,
    *ports: int,
    bad: Any = HOST_PID,
    also: Sequence[str] = (),
    **fields: Any,
) -> Iterator[str]:
    """Have the API server ask webhooks, and wait until it does; yield the configuration's name."""
    wanted = configuration(
        f"gate-{shop}",
        [f"https://127.0.0.1:{port}/validate" for port in ports],
        cluster.server.authority.certificate.read_bytes(),
        namespaces=[shop, *also],
        **{"timeoutSeconds": 5, **fields},
    )
    with configured(cluster.server, wanted):
        # The API server hears of the configuration a moment after it has stored it.
        with asking_for(cluster, shop, bad) as first:
            first.until_whole(time.monotonic(), within=30)
        yield wanted["metadata"]["name"]


@contextmanager
def asking_for(
    cluster: Cluster, shop: str, bad: Any = HOST_PID, good: Any = None, users: int = 2
) -> Iterator[Asking]:
    """Have users ask in a namespace."""
    with asking(lambda: cluster.server.admin, shop, bad, good or config_map(), users) as asked:
        yield asked
