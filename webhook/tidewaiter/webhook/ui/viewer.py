"""Who may look: the API server says whose a token is, and whether that one may GET /ui.

Answers are kept for some seconds, by the token's hash. However many tokens are tried, the API server is asked a few
times a second and no more, so that nobody can use this server to wear it out, or to guess.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING, Literal

from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping, text

if TYPE_CHECKING:
    from tidewaiter.rules.cluster.client import Client

Answer = Literal["allowed", "unknown token", "forbidden", "busy", "unreachable"]
PATH = "/ui"
LONGEST_TOKEN = 3500
"""A browser keeps a cookie of 4 KiB with its name."""
_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{1,{LONGEST_TOKEN}}}")
_KEPT = 10.0
_MOST_KEPT = 256
_PER_SECOND = 5.0
_AT_ONCE = 10.0
_TIMEOUT = 5.0


class Viewers:
    """Asks the API server about tokens."""

    def __init__(self, client: Client) -> None:
        """Ask by a client whose own user may create TokenReviews and SubjectAccessReviews."""
        self._client = client
        self._known: dict[str, tuple[float, Answer]] = {}
        self._left = _AT_ONCE
        self._filled = time.monotonic()

    async def ask(self, token: str) -> Answer:
        """Say whether the one whose token that is may look."""
        if not _TOKEN.fullmatch(token):
            return "unknown token"
        key, now = hashlib.sha256(token.encode()).hexdigest(), time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < _KEPT:
            return known[1]
        if not self._may_ask(now):
            return "busy"
        try:
            answer = await self._review(token)
        except ClusterError:
            return "unreachable"
        self._known.pop(key, None)
        while len(self._known) >= _MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = time.monotonic(), answer
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _may_ask(self, now: float) -> bool:
        self._left = min(_AT_ONCE, self._left + (now - self._filled) * _PER_SECOND)
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def _review(self, token: str) -> Answer:
        status = await self._create("authentication.k8s.io", "TokenReview", {"token": token})
        user = mapping(status.get("user"))
        if status.get("authenticated") is not True or not text(user.get("username")):
            return "unknown token"
        spec: dict[str, object] = {
            "user": user["username"],
            "nonResourceAttributes": {"path": PATH, "verb": "get"},
        }
        spec |= {name: user[name] for name in ("uid", "groups", "extra") if user.get(name)}
        status = await self._create("authorization.k8s.io", "SubjectAccessReview", spec)
        is_allowed = status.get("allowed") is True and status.get("denied") is not True
        return "allowed" if is_allowed else "forbidden"

    async def _create(self, group: str, kind: str, spec: dict[str, object]) -> dict[str, object]:
        body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        path = f"/apis/{group}/v1/{kind.lower()}s"
        answer = await self._client.request(
            "POST", path, body, idempotent=True, attempts=1, timeout=_TIMEOUT
        )
        return mapping(mapping(answer).get("status"))
