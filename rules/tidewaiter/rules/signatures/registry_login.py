"""Answer a registry's challenge: a token for one repository, or a user name and password.

https://distribution.github.io/distribution/spec/auth/token/ and .../auth/oauth/
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from tidewaiter.rules.signatures.challenge import challenges
from tidewaiter.rules.signatures.registry_errors import AccessDenied, BadAnswer, Unreachable
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tidewaiter.rules.signatures.challenge import Challenge
    from tidewaiter.rules.signatures.credentials import Keychain, Login
    from tidewaiter.rules.signatures.transport import Answer, Transport, Trust

TOKEN_LIMIT = 1024 * 1024
TOKEN_LIFE = 60.0
"""Seconds that a token lives which does not say so; the specification's minimum."""
MOST_LOGINS = 8
"""Logins that are tried in turn for one repository."""
_CLIENT = "tidewaiter"
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Shown:
    """Headers that say who we are, and the login that they were had by."""

    headers: Mapping[str, str] = field(repr=False)
    login: Login | None
    until: float


NOBODY = Shown({}, None, 0.0)


class Logins:
    """What has been shown with success, by registry and repository."""

    def __init__(self, transport: Transport, keychain: Keychain) -> None:
        """Ask for tokens by this transport, as whoever the keychain knows."""
        self._transport = transport
        self._keychain = keychain
        self._known: dict[tuple[str, str], Shown] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def kept(self, registry: str, repository: str) -> Shown:
        """Return what still holds for a repository, NOBODY where nothing does."""
        known = self._known.get((registry, repository))
        return known if known is not None and time.monotonic() < known.until else NOBODY

    async def answer(
        self,
        answer: Answer,
        registry: str,
        repository: str,
        url: str,
        *,
        refused: Shown,
        tried: list[Login | None],
    ) -> Shown | None:
        """Return what answers a challenge, or None where there is nothing more to show.

        `refused` is what the challenge came in spite of. Its login counts once more if it was not `tried`: a
        token ends. As the kubelet does, each login that fits is tried in turn; `tried` takes note of them.
        Raises AccessDenied where no login is given a token.
        """
        key = (registry, repository)
        if len(self._locks) >= _KEPT:
            self._locks = {known: lock for known, lock in self._locks.items() if lock.locked()}
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self.kept(registry, repository)
            if kept is not NOBODY and kept.headers != refused.headers and kept.login not in tried:
                tried.append(kept.login)
                return kept
            self._known.pop(key, None)
            denied: AccessDenied | None = None
            async for login in self._candidates(registry, repository):
                if login in tried:
                    continue
                tried.append(login)
                try:
                    found = await self._by(login, answer, repository, url)
                except AccessDenied as error:
                    denied = error
                    continue
                if found is None or found.headers == refused.headers:
                    continue
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[key] = found
                return found
            if denied is not None:
                raise denied
        return None

    async def _candidates(self, registry: str, repository: str) -> AsyncIterator[Login | None]:
        """Yield the logins that fit, or None to come as nobody where none does."""
        count = 0
        async for login in self._keychain.logins(registry, repository):
            count += 1
            if count > MOST_LOGINS:
                return
            yield login
        if not count:
            yield None

    async def _by(
        self, login: Login | None, answer: Answer, repository: str, url: str
    ) -> Shown | None:
        for challenge in challenges(answer.headers.get("www-authenticate", "")):
            if challenge.scheme == "bearer":
                return await self._token(challenge, answer, repository, url, login)
            if challenge.scheme == "basic" and login is not None and login.username:
                return Shown({"Authorization": login.basic}, login, time.monotonic() + 3600)
        return None

    async def _token(
        self,
        challenge: Challenge,
        answer: Answer,
        repository: str,
        url: str,
        login: Login | None,
    ) -> Shown:
        registry = urlsplit(url)
        realm = challenge.parameters.get("realm", "")
        try:
            place = urlsplit(realm)
        except ValueError:
            raise BadAnswer(f"{registry.netloc} names no place where tokens are had") from None
        if (
            not realm.isascii()
            or place.scheme not in {"https", "http"}
            or not place.hostname
            or place.username
        ):
            raise BadAnswer(f"{registry.netloc} names no place where tokens are had")
        if place.scheme == "http" and registry.scheme == "https":
            raise BadAnswer(f"{registry.netloc} wants tokens to be had by plain HTTP")
        same = (place.scheme, place.netloc) == (registry.scheme, registry.netloc)
        elsewhere: Trust = "public" if answer.peer == "forbidden" else answer.peer
        trust: Trust = "named" if same else elsewhere
        asked = {
            "service": challenge.parameters.get("service", ""),
            "scope": challenge.parameters.get("scope") or f"repository:{repository}:pull",
        }
        given = await self._ask(realm, asked, login, trust)
        if given.status in {400, 401, 403}:
            raise AccessDenied(f"{place.netloc} gives no token for {repository}")
        if given.status != 200:
            raise Unreachable(f"{place.netloc} answers {given.status} to a request for a token")
        return _shown_token(given, place.netloc, login)

    async def _ask(
        self, realm: str, asked: dict[str, str], login: Login | None, trust: Trust
    ) -> Answer:
        if login is not None and login.identity_token:
            form = {
                **asked,
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "client_id": _CLIENT,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return await self._transport.send(
                "POST",
                realm,
                headers,
                trust=trust,
                limit=TOKEN_LIMIT,
                content=urlencode(form).encode(),
            )
        query = urlencode({name: value for name, value in asked.items() if value})
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        headers = {"Authorization": login.basic} if login is not None else {}
        return await self._transport.send("GET", url, headers, trust=trust, limit=TOKEN_LIMIT)


def _shown_token(given: Answer, place: str, login: Login | None) -> Shown:
    try:
        document: dict[str, Any] = read_object(given.body)
    except MalformedJson as error:
        raise BadAnswer(f"{place}: the answer with a token {error}") from None
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise BadAnswer(f"{place} answers without a token")
    life = document.get("expires_in")
    seconds = min(life, 3600) if isinstance(life, int | float) and life > 0 else TOKEN_LIFE
    # A token that ends while a request is under way would cost a round more.
    until = time.monotonic() + seconds * 0.8
    return Shown({"Authorization": f"Bearer {token}"}, login, until)
