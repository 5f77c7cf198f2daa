"""Requests without pause on several connections, as the API server keeps them open, from a thread."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.webhook.running import PRIVILEGED, review_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.webhook.running import Webhook

BODY = json.dumps(review_of(PRIVILEGED)).encode()


class Load:
    """What came of the requests. `dropped` are those that were sent, at least in part, and not answered."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._stopping = threading.Event()
        self.answered = 0
        self.dropped: list[str] = []
        self.wrong: list[int] = []
        self.refused_connections = 0

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        client: http.client.HTTPSConnection | None = None
        while not self._stopping.is_set():
            if client is None:
                client = self._webhook.client()
                try:
                    client.connect()
                except OSError:
                    # Nobody listens any more: nothing was sent.
                    self.refused_connections += 1
                    return
            try:
                client.request("POST", "/validate", BODY, {"content-type": "application/json"})
                response = client.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.dropped.append(f"{type(error).__name__}: {error}")
                client = None
                continue
            if response.status != 200 or b"no-privileged" not in body:
                self.wrong.append(response.status)
            self.answered += 1
            if response.will_close:
                client.close()
                client = None


@contextmanager
def load(webhook: Webhook, connections: int = 8) -> Iterator[Load]:
    """Send requests until the block is left."""
    made = Load(webhook)
    threads = [threading.Thread(target=made.run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.stop()
        for thread in threads:
            thread.join(30)
