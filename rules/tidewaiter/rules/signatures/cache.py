"""Keep verdicts for a time: in memory, and in a store that survives a restart or is shared by replicas.

A verdict is kept under the image's name and digest and the hash of the policy that it was made by, so that
another policy or key never sees it. What could not be found out is no verdict, and is not kept. A store that
fails is as good as an empty one: it makes answers slow, never wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from tidewaiter.rules.image_answers import ImageAnswer, ImageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_IN_MEMORY = 10_000
"""Verdicts; each takes about a kilobyte."""
KEEP_VERIFIED, KEEP_REFUSED = 3600.0, 60.0
"""Seconds, where the policy says nothing else."""
_SKEW = 60.0
"""Seconds by which the clocks of replicas may differ: what comes from later than that is not believed."""
_LARGEST = 256 * 1024
_FORM = 1
_LOG = logging.getLogger(__name__)


class Store(Protocol):
    """Where verdicts outlive a process. It may forget; it raises nothing."""

    async def get(self, key: str) -> bytes | None:
        """Return what was stored under a key."""

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Store a value for so long at most."""

    async def aclose(self) -> None:
        """Let go of files and connections."""


class VerdictCache:
    """Verdicts by key, newest use last; see the module's text."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        secret: bytes = b"",
        most: int = MOST_IN_MEMORY,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put a store behind the memory; what is read from it must be sealed with `secret`."""
        self._store = store
        self._secret = secret
        self._most = most
        self._clock, self._monotonic = clock, monotonic
        self._held: OrderedDict[str, tuple[float, float, float, ImageAnswer]] = OrderedDict()
        self._warned = False
        self.hits = 0
        self.misses = 0

    def held(self, key: str) -> ImageAnswer | None:
        """Return a verdict that is in memory and in date."""
        found = self._held.get(key)
        if found is None:
            return None
        stored, expires, deadline, answer = found
        if not self._in_date(stored, expires) or self._monotonic() >= deadline:
            del self._held[key]
            return None
        self._held.move_to_end(key)
        self.hits += 1
        return answer

    async def get(self, key: str) -> ImageAnswer | None:
        """Return a verdict that is in date, from memory or from the store."""
        answer = self.held(key)
        if answer is not None:
            return answer
        content = await self._store.get(key) if self._store is not None else None
        read = self._opened(key, content) if content is not None else None
        if read is None:
            self.misses += 1
            return None
        stored, expires, answer = read
        self._hold(key, stored, expires, answer)
        self.hits += 1
        return answer

    async def put(self, key: str, answer: ImageAnswer, seconds: float) -> None:
        """Keep a verdict for so long; what is not known, in whole or in part, is not kept."""
        if seconds <= 0 or any(each.unknown for each in (*answer.signature, *answer.attestation)):
            return
        stored = self._clock()
        self._hold(key, stored, stored + seconds, answer)
        if self._store is not None:
            await self._store.put(key, self._sealed(key, stored, stored + seconds, answer), seconds)

    async def aclose(self) -> None:
        """Close the store."""
        if self._store is not None:
            await self._store.aclose()

    def _hold(self, key: str, stored: float, expires: float, answer: ImageAnswer) -> None:
        # By both clocks: that of the wall may be set back, the other one stops in a suspended machine.
        left = self._monotonic() + min(expires - self._clock(), expires - stored)
        self._held[key] = stored, expires, left, answer
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def _in_date(self, stored: float, expires: float) -> bool:
        return stored - _SKEW <= self._clock() < expires

    def _sealed(self, key: str, stored: float, expires: float, answer: ImageAnswer) -> bytes:
        value = [_FORM, stored, expires, answer.digest, _rows(answer.signature)]
        content = json.dumps([*value, _rows(answer.attestation)]).encode()
        return self._seal(key, content) + content

    def _opened(self, key: str, content: bytes) -> tuple[float, float, ImageAnswer] | None:
        size = hashlib.sha256().digest_size
        seal, body = content[:size], content[size:]
        if len(content) > _LARGEST or not hmac.compare_digest(seal, self._seal(key, body)):
            if not self._warned:
                _LOG.warning("kept verdicts have another seal than ours and are not believed")
            self._warned = True
            return None
        try:
            form, stored, expires, digest, signature, attestation = json.loads(body)
            if form != _FORM or not self._in_date(stored, expires):
                return None
            return (
                stored,
                expires,
                ImageAnswer(digest, _problems(signature), _problems(attestation)),
            )
        except (ValueError, TypeError, RecursionError):
            return None

    def _seal(self, key: str, content: bytes) -> bytes:
        """Bind a value to its key: nobody without the secret can make one, or move it to another key."""
        return hmac.digest(self._secret, key.encode() + b"\0" + content, "sha256")


def _rows(problems: tuple[ImageProblem, ...]) -> list[list[Any]]:
    return [[each.message, each.unknown, each.severity] for each in problems]


def _problems(rows: list[list[Any]]) -> tuple[ImageProblem, ...]:
    return tuple(ImageProblem(*row) for row in rows)


def verdict_key(name: str, digest: str, policy_hash: str) -> str:
    """Return the key of a verdict: of an image in a repository, by one policy."""
    return hashlib.sha256(f"{name} {digest} {policy_hash}".encode()).hexdigest()
