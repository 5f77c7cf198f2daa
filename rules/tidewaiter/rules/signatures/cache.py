"""Keep verdicts for a time: in memory, and in a store that survives a restart or is shared by replicas.

A verdict is kept under the image's name and digest and the hash of the policy that it was made by, so that
another policy or key never sees it. What could not be found out is no verdict, and is not kept. A store that
fails is as good as an empty one: it makes answers slow, never wrong.

Beside verdicts it is kept what tags stood for, for the time in which their registry cannot be asked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
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
_FORM, _TAG_FORM = 1, "tag 1"
_TOLD_FOR = 0.1
"""The part of its life after which the store hears again of a tag that stands for the same."""
_LOG = logging.getLogger(__name__)


class Store(Protocol):
    """Where verdicts outlive a process. It may forget; it raises nothing."""

    async def get(self, key: str) -> bytes | None:
        """Return what was stored under a key."""

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Store a value for so long at most."""

    async def aclose(self) -> None:
        """Let go of files and connections."""


@dataclass(frozen=True, slots=True)
class KnownTag:
    """What a tag stood for when its registry was last asked; times are seconds, `seen` since 1970."""

    digest: str
    seen: float
    expires: float
    deadline: float
    told: float = 0.0


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
        self._tags: OrderedDict[str, KnownTag] = OrderedDict()
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

    async def put_tag(self, key: str, digest: str, seconds: float) -> None:
        """Keep what a tag stands for now, for so long. The store hears of it where that is news."""
        if seconds <= 0:
            return
        known, now = self._tags.get(key), self._clock()
        tag = KnownTag(digest, now, now + seconds, self._monotonic() + seconds)
        self._hold_tag(key, tag)
        is_news = known is None or known.digest != digest or not self._is_told(known, now)
        if self._store is None:
            return
        if not is_news and known is not None:
            self._tags[key] = replace(tag, told=known.told)
            return
        self._tags[key] = replace(tag, told=now)
        content = json.dumps([_TAG_FORM, digest, now, now + seconds]).encode()
        await self._store.put(key, self._seal(key, content) + content, seconds)

    async def tag(self, key: str) -> KnownTag | None:
        """Return what a tag stood for last, as far as that is in date; another replica may know it better."""
        held = self._tags.get(key)
        if held is not None and not self._is_in_date(held):
            del self._tags[key]
            held = None
        content = await self._store.get(key) if self._store is not None else None
        stored = self._opened_tag(key, content) if content is not None else None
        if stored is None or (held is not None and held.seen >= stored.seen):
            return held
        self._hold_tag(key, stored)
        return stored

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

    def _hold_tag(self, key: str, tag: KnownTag) -> None:
        self._tags[key] = tag
        self._tags.move_to_end(key)
        while len(self._tags) > self._most:
            self._tags.popitem(last=False)

    def _is_in_date(self, tag: KnownTag) -> bool:
        return self._in_date(tag.seen, tag.expires) and self._monotonic() < tag.deadline

    @staticmethod
    def _is_told(tag: KnownTag, now: float) -> bool:
        """Say whether the store has heard of a tag a short while ago, as its life goes."""
        return 0 <= now - tag.told < _TOLD_FOR * (tag.expires - tag.seen)

    def _opened_tag(self, key: str, content: bytes) -> KnownTag | None:
        body = self._unsealed(key, content)
        if body is None:
            return None
        try:
            form, digest, seen, expires = json.loads(body)
            if form != _TAG_FORM or not isinstance(digest, str) or not self._in_date(seen, expires):
                return None
            left = min(expires - self._clock(), expires - seen)
            return KnownTag(digest, seen, expires, self._monotonic() + left, seen)
        except (ValueError, TypeError, RecursionError):
            return None

    def _in_date(self, stored: float, expires: float) -> bool:
        return stored - _SKEW <= self._clock() < expires

    def _sealed(self, key: str, stored: float, expires: float, answer: ImageAnswer) -> bytes:
        value = [_FORM, stored, expires, answer.digest, _rows(answer.signature)]
        content = json.dumps([*value, _rows(answer.attestation)]).encode()
        return self._seal(key, content) + content

    def _opened(self, key: str, content: bytes) -> tuple[float, float, ImageAnswer] | None:
        body = self._unsealed(key, content)
        if body is None:
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

    def _unsealed(self, key: str, content: bytes) -> bytes | None:
        size = hashlib.sha256().digest_size
        seal, body = content[:size], content[size:]
        if len(content) <= _LARGEST and hmac.compare_digest(seal, self._seal(key, body)):
            return body
        if not self._warned:
            _LOG.warning("kept verdicts have another seal than ours and are not believed")
        self._warned = True
        return None

    def _seal(self, key: str, content: bytes) -> bytes:
        """Bind a value to its key: nobody without the secret can make one, or move it to another key."""
        return hmac.digest(self._secret, key.encode() + b"\0" + content, "sha256")


def _rows(problems: tuple[ImageProblem, ...]) -> list[list[Any]]:
    return [[each.message, each.unknown, each.severity] for each in problems]


def _problems(rows: list[list[Any]]) -> tuple[ImageProblem, ...]:
    return tuple(ImageProblem(*row) for row in rows)


def verdict_key(name: str, digest: str, policy_hash: str, scope: str = "") -> str:
    """Return the key of a verdict: of an image in a repository, by one policy, had by logins of a scope."""
    scoped = f" {scope}" if scope else ""
    return hashlib.sha256(f"{name} {digest} {policy_hash}{scoped}".encode()).hexdigest()


def tag_key(name: str, tag: str, policy_hash: str, scope: str = "") -> str:
    """Return the key of what a tag stood for, asked for by one policy with logins of a scope."""
    return hashlib.sha256(f"tag {name} {tag} {policy_hash} {scope}".encode()).hexdigest()
