"""A user who goes on creating, through the API server, what is to be denied and what is to be let in."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e.client import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.client import Client

Object = dict[str, Any]

DENIED, ALLOWED, FAILED = "denied", "allowed", "failed"
VERDICT = "denied the request: "
"""What the API server says where a webhook has given a verdict, and not where it could not be asked."""


class Attempt(NamedTuple):
    """One request to create something, and what the user heard."""

    began: float
    ended: float
    is_bad: bool
    outcome: str
    message: str


class Asking:
    """Asks again and again, without storing anything; `attempts` are those so far."""

    def __init__(self, client: Client, namespace: str, bad: Object, good: Object) -> None:
        self._client = client
        self._objects = {True: bad, False: good}
        self._namespace = namespace
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []
        self.attempts: list[Attempt] = []

    @property
    def wrongly_allowed(self) -> int:
        """How many were let in that the policy denies."""
        return sum(each.is_bad and each.outcome == ALLOWED for each in self.attempts)

    @property
    def wrongly_denied(self) -> list[str]:
        """What was said where the policy has nothing against the object."""
        return [
            each.message for each in self.attempts if not each.is_bad and each.outcome == DENIED
        ]

    def failures(self, since: float = 0.0) -> list[str]:
        """Return what the user heard where there was no verdict, or no API server."""
        return [e.message for e in self.attempts if e.outcome == FAILED and e.began >= since]

    def until_whole(self, since: float, within: float) -> float:
        """Wait until the right verdicts on both came that were asked for after `since`; return the seconds."""
        end = since + within
        while True:
            right = {
                is_bad: [
                    each.ended
                    for each in list(self.attempts)
                    if each.began >= since
                    and each.is_bad is is_bad
                    and each.outcome == (DENIED if is_bad else ALLOWED)
                ]
                for is_bad in (True, False)
            }
            if all(right.values()):
                return max(min(times) for times in right.values()) - since
            assert time.monotonic() < end, (
                f"not whole again within {within:g} s: {self.attempts[-3:]}"
            )
            time.sleep(0.05)

    def until_failing(self, since: float, within: float = 30.0) -> str:
        """Wait until a request has got no verdict, and return what was said."""
        while not (found := self.failures(since)):
            assert time.monotonic() < since + within, "no request has failed"
            time.sleep(0.05)
        return found[0]

    def stop(self) -> None:
        """Have no user ask any more, and wait for the last answers."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(70)

    def run(self) -> None:
        """Ask until stopped."""
        is_bad = True
        while not self.stopping.is_set():
            self.attempts.append(self._ask(is_bad))
            is_bad = not is_bad
            time.sleep(0.02)

    def _ask(self, is_bad: bool) -> Attempt:
        name = f"probe-{secrets.token_hex(4)}"
        metadata = {"name": name, "namespace": self._namespace}
        wanted = {**self._objects[is_bad], "metadata": metadata}
        began = time.monotonic()
        outcome, message = ALLOWED, ""
        try:
            self._client.create(wanted, dryRun="All", timeout="8s")
        except Refused as refused:
            message = _said(refused).replace(name, "NAME")
            outcome = DENIED if VERDICT in message else FAILED
        except (OSError, http.client.HTTPException) as error:
            outcome, message = FAILED, f"{type(error).__name__}: {error}"
        return Attempt(began, time.monotonic(), is_bad, outcome, message)


def _said(refused: Refused) -> str:
    """Return the message of a Status, which the API server also sends as another type of content when it times out."""
    message = str(refused.status.get("message", refused))
    try:
        return str(json.loads(message)["message"])
    except (ValueError, KeyError, TypeError):
        return message


@contextmanager
def asking(
    client: Callable[[], Client], namespace: str, bad: Object, good: Object, users: int = 2
) -> Iterator[Asking]:
    """Ask as several users at once while the block runs; yield what all of them have noted."""
    made = [Asking(client(), namespace, bad, good) for _ in range(users)]
    first = made[0]
    for each in made:
        each.attempts, each.stopping = first.attempts, first.stopping
    first.threads = [threading.Thread(target=each.run) for each in made]
    for thread in first.threads:
        thread.start()
    try:
        yield first
    finally:
        first.stop()
