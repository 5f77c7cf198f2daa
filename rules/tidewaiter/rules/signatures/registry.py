"""Read an image registry: manifests, blobs, referrers and tags, each byte checked against its digest.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md

The client reads only. What it is asked for by digest is hashed as it was received, so that neither the
registry nor a mirror nor a storage behind a redirect can put other content in its place.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from tidewaiter.rules.errors import RegistryError
from tidewaiter.rules.manifest.image import DOCKER_HUB
from tidewaiter.rules.signatures.credentials import Keychain
from tidewaiter.rules.signatures.registry_errors import (
    AccessDenied,
    BadAnswer,
    NoConnection,
    NotFound,
    OddAnswer,
    Unreachable,
)
from tidewaiter.rules.signatures.registry_login import Logins
from tidewaiter.rules.signatures.strict_json import MalformedJson, read_object
from tidewaiter.rules.signatures.transport import CONNECT_TIMEOUT, Answer, Transport, Trust

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from tidewaiter.rules.manifest.image import ImageReference
    from tidewaiter.rules.signatures.credentials import Login, LoginSource

MANIFEST_LIMIT = 4 * 1024 * 1024
"""Bytes of a manifest, the least that a registry must take and the most that is read."""
BLOB_LIMIT = 32 * 1024 * 1024
"""Bytes of a signature's or attestation's blob; large SBOMs are attested, layers are never read."""
PAGES = 20
"""Pages of a listing that are followed."""
ATTEMPTS = 3
LONGEST_WAIT = 10.0
"""Seconds that a registry may ask to wait by Retry-After; beyond that it counts as unreachable."""
MIRROR_PATIENCE, MIRROR_AWAY = 3.0, 30.0
"""Seconds that a mirror has for one thing, and for which it is passed over where it was not reached."""
DOWN_FOR, DOWN_CONNECT = 10.0, 1.0
"""Seconds for which a registry that took no connection is tried but once a request, and those to connect then."""
_MOST_DOWN = 1024
_REDIRECTS = 5

INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_ACCEPT = ", ".join(sorted(MANIFEST_TYPES | INDEX_TYPES))
_NO_REFERRERS = frozenset({400, 404, 405, 406, 501})
_BUSY = frozenset({429, 500, 502, 503, 504})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry, as an image reference names it."""

    registry: str
    path: str

    @property
    def name(self) -> str:
        """Both, as people write them."""
        return f"{self.registry}/{self.path}"


def repository_of(image: ImageReference) -> Repository:
    """Return where an image lies."""
    return Repository(image.registry, image.repository)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index: its digest is computed from `content`, never believed."""

    digest: str
    content: bytes = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests and has no layers of its own."""
        return "manifests" in self.document

    @property
    def media_type(self) -> str:
        """The stated type, empty where none is stated."""
        return str(self.document.get("mediaType") or "")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a listing says of one manifest; only the digest can be relied on."""

    digest: str
    artifact_type: str = ""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """How registries are spoken to.

    Loopback registries are spoken to by plain HTTP where they know no TLS; `plain_http` says so of
    every registry, `plain_http_hosts` of these. `certificates` (PEM) are trusted beside the
    system's. `mirrors` maps a registry or the beginning of a repository's name to places that are
    asked before it. `loopback` is False where an image must not name the machine itself, as at
    admission.
    """

    plain_http: bool = False
    plain_http_hosts: frozenset[str] = frozenset()
    certificates: str = field(default="", repr=False)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loopback: bool = True


@dataclass(frozen=True, slots=True)
class Connections:
    """What clients with other logins may share: connections, and by which scheme each registry is spoken to."""

    transport: Transport
    schemes: dict[str, str] = field(default_factory=dict)


class RegistryClient:
    """A client of any number of registries, for one event loop; `async with` closes it."""

    def __init__(
        self,
        settings: RegistrySettings | None = None,
        keychain: Keychain | None = None,
        *,
        connections: Connections | None = None,
    ) -> None:
        """Speak by these settings, as whoever the keychain knows; by another's connections where given."""
        self.settings = settings or RegistrySettings()
        self._keychain = keychain or Keychain()
        self._owns_connections = connections is None
        self._connections = connections or Connections(
            Transport(certificates=self.settings.certificates, loopback=self.settings.loopback)
        )
        self._transport, self._schemes = self._connections.transport, self._connections.schemes
        self._logins = Logins(self._transport, self._keychain)
        self._running: dict[tuple[str, ...], asyncio.Task[Any]] = {}
        self._down: dict[str, float] = {}
        """Until when a registry that took no connection is tried but once."""
        self._away: dict[str, float] = {}
        """Until when a mirror that could not be reached is passed over."""
        self.requests = 0
        """How many requests were sent."""

    def logged_in_by(self, source: LoginSource) -> RegistryClient:
        """Return a client that tries these logins first, by the connections of this one.

        It shares nothing that a registry answered.
        """
        return RegistryClient(
            self.settings, self._keychain.after(source), connections=self._connections
        )

    async def __aenter__(self) -> Self:
        """Be usable at once: connections are made when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Give up what is running, and close every connection that is its own."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._owns_connections:
            await self._transport.aclose()

    async def manifest(self, repository: Repository, reference: str) -> Manifest:
        """Return the manifest of a tag or digest."""
        return await self._once(
            ("manifest", repository.name, reference),
            lambda: self._from_places(repository, lambda at: self._manifest(at, reference)),
        )

    async def blob(self, repository: Repository, digest: str, limit: int = BLOB_LIMIT) -> bytes:
        """Return a blob of at most `limit` bytes."""
        return await self._once(
            ("blob", repository.name, digest, str(limit)),
            lambda: self._from_places(repository, lambda at: self._blob(at, digest, limit)),
        )

    async def referrers(self, repository: Repository, digest: str) -> list[Descriptor]:
        """Return what refers to a digest, by the referrers API or the tag that stands in for it."""
        return await self._once(
            ("referrers", repository.name, digest),
            lambda: self._from_places(
                repository, lambda at: self._referrers(at, digest), empty_is_final=False
            ),
        )

    async def tags(self, repository: Repository) -> list[str]:
        """Return a repository's tags."""
        return await self._once(
            ("tags", repository.name),
            lambda: self._from_places(repository, self._tags),
        )

    async def _once(self, key: tuple[str, ...], fetch: Callable[[], Awaitable[T]]) -> T:
        """Let all who ask for the same at the same time wait for one fetch."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(fetch())
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # Whoever gives up waiting must not take the fetch from the others.
        return await asyncio.shield(task)

    def _forget(self, key: tuple[str, ...], task: asyncio.Task[Any]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def _from_places(
        self,
        repository: Repository,
        read: Callable[[Repository], Awaitable[T]],
        *,
        empty_is_final: bool = True,
    ) -> T:
        """Ask the mirrors in turn, and the registry itself last: its failure is the one reported."""
        for mirror in self._mirrors(repository):
            if time.monotonic() < self._away.get(mirror.registry, 0.0):
                continue
            try:
                # A mirror saves time, or it is none: the registry's own must be left.
                async with asyncio.timeout(MIRROR_PATIENCE):
                    found = await read(mirror)
            except OddAnswer:
                continue
            except (TimeoutError, Unreachable):
                self._away[mirror.registry] = time.monotonic() + MIRROR_AWAY
            except RegistryError:
                continue
            else:
                if found or empty_is_final:
                    return found
        return await read(repository)

    def _mirrors(self, repository: Repository) -> list[Repository]:
        name = repository.name
        fitting = [
            prefix
            for prefix in self.settings.mirrors
            if name == prefix or name.startswith(prefix.rstrip("/") + "/")
        ]
        if not fitting:
            return []
        prefix = max(fitting, key=len)
        rest = name[len(prefix.rstrip("/")) :]
        places = []
        for mirror in self.settings.mirrors[prefix]:
            host, _, path = f"{mirror.rstrip('/')}{rest}".partition("/")
            places.append(Repository(host, path))
        return places

    async def _manifest(self, repository: Repository, reference: str) -> Manifest:
        answer = await self._get(
            repository, f"manifests/{quote(reference, safe=':')}", MANIFEST_LIMIT, _ACCEPT
        )
        what = f"{repository.name}{'@' if ':' in reference else ':'}{reference}"
        algorithm = reference.partition(":")[0] if ":" in reference else "sha256"
        digest = _digest(algorithm, answer.body)
        if ":" in reference and digest != reference:
            raise BadAnswer(f"the manifest that {repository.registry} serves as {what} is another")
        stated = answer.headers.get("docker-content-digest", "")
        if stated.startswith(f"{algorithm}:") and stated != digest:
            raise BadAnswer(
                f"{repository.registry} states another digest for {what} than its content has"
            )
        return Manifest(digest, answer.body, _manifest_document(answer, what))

    async def _blob(self, repository: Repository, digest: str, limit: int) -> bytes:
        answer = await self._get(repository, f"blobs/{digest}", limit, "*/*")
        if _digest(digest.partition(":")[0], answer.body) != digest:
            raise BadAnswer(
                f"the blob that {repository.registry} serves as {repository.name}@{digest} is another"
            )
        return answer.body

    async def _referrers(self, repository: Repository, digest: str) -> list[Descriptor]:
        found: list[Descriptor] = []
        path = f"referrers/{digest}"
        async for answer in self._pages(repository, path, permitted=_NO_REFERRERS):
            if answer.status in _NO_REFERRERS or not _is_index(answer):
                return await self._fallback_referrers(repository, digest)
            found += _descriptors(answer.body, f"the referrers of {repository.name}@{digest}")
        return found

    async def _fallback_referrers(self, repository: Repository, digest: str) -> list[Descriptor]:
        algorithm, _, encoded = digest.partition(":")
        try:
            index = await self._manifest(repository, f"{algorithm[:32]}-{encoded[:64]}")
        except NotFound:
            return []
        if not index.is_index:
            return []
        return _descriptors(index.content, f"the referrers of {repository.name}@{digest}")

    async def _tags(self, repository: Repository) -> list[str]:
        found: list[str] = []
        async for answer in self._pages(repository, "tags/list?n=1000"):
            listed = _object(answer, f"the tags of {repository.name}").get("tags") or []
            if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
                raise BadAnswer(f"the tags of {repository.name} are no list of texts")
            found += listed
        return found

    async def _pages(
        self, repository: Repository, path: str, permitted: frozenset[int] = frozenset()
    ) -> AsyncIterator[Answer]:
        """Yield the answers that a listing is in, by the Link header (RFC 8288)."""
        at = path
        for _ in range(PAGES):
            answer = await self._get(
                repository, at, MANIFEST_LIMIT, "application/json, */*", permitted
            )
            yield answer
            following = _next(answer, await self._base(repository))
            if following is None:
                return
            at = following
        raise BadAnswer(f"a listing of {repository.name} has more than {PAGES} pages")

    async def _get(
        self,
        repository: Repository,
        path: str,
        limit: int,
        accept: str,
        permitted: frozenset[int] = frozenset(),
    ) -> Answer:
        """Read something below a repository, with patience for a busy registry."""
        attempt = 0
        attempts = 1 if self._is_down(repository.registry) else ATTEMPTS
        while True:
            attempt += 1
            wait = 0.1 * 2**attempt * (0.5 + random.random())  # noqa: S311 - only spreads retries
            try:
                answer = await self._try(repository, path, limit, accept)
            except Unreachable as error:
                if attempt >= attempts:
                    if isinstance(error, NoConnection):
                        self._note_down(repository.registry)
                    raise
            else:
                if answer.status not in _BUSY:
                    return _checked(answer, repository, path, permitted)
                asked = _retry_after(answer.headers.get("retry-after", ""))
                if attempt >= attempts or (asked or 0) > LONGEST_WAIT:
                    raise _busy(answer, repository, asked)
                wait = max(wait, asked or 0)
            await asyncio.sleep(wait)

    def _note_down(self, registry: str) -> None:
        """Let those who ask next for the same registry not wait as long to hear the same."""
        if len(self._down) >= _MOST_DOWN:
            self._down.clear()
        self._down[registry] = time.monotonic() + DOWN_FOR

    def _is_down(self, registry: str) -> bool:
        return time.monotonic() < self._down.get(registry, 0.0)

    async def _try(self, repository: Repository, path: str, limit: int, accept: str) -> Answer:
        base = await self._base(repository)
        url = path if "://" in path else f"{base}/{path}"
        headers = {"Accept": accept}
        known = self._logins.kept(repository.registry, repository.path)
        connect = DOWN_CONNECT if self._is_down(repository.registry) else CONNECT_TIMEOUT
        answer = await self._send(url, {**headers, **known.headers}, "named", limit, connect)
        challenge = answer if answer.status == 401 else None
        tried: list[Login | None] = []
        while challenge is not None and answer.status in {401, 403}:
            shown = await self._logins.answer(
                challenge, repository.registry, repository.path, url, refused=known, tried=tried
            )
            if shown is None:
                break
            known = shown
            answer = await self._send(url, {**headers, **known.headers}, "named", limit)
            challenge = answer if answer.status == 401 else challenge
        return await self._follow(answer, url, headers, known.headers, limit)

    async def _send(
        self,
        url: str,
        headers: Mapping[str, str],
        trust: Trust,
        limit: int,
        connect: float = CONNECT_TIMEOUT,
    ) -> Answer:
        self.requests += 1
        return await self._transport.send(
            "GET", url, headers, trust=trust, limit=limit, connect=connect
        )

    async def _follow(
        self,
        answer: Answer,
        url: str,
        headers: Mapping[str, str],
        login: Mapping[str, str],
        limit: int,
    ) -> Answer:
        """Follow redirects; what says who we are goes to no other origin than the registry's."""
        peer = answer.peer
        registry = urlsplit(url)[:2]
        for _ in range(_REDIRECTS):
            if answer.status not in {301, 302, 303, 307, 308}:
                return answer
            try:
                target = urljoin(url, answer.headers.get("location", ""))
                parts = urlsplit(target)
            except ValueError:
                raise BadAnswer(f"{urlsplit(url).netloc} redirects to what is no address") from None
            if not target.isascii() or parts.scheme not in {"http", "https"} or not parts.hostname:
                raise BadAnswer(f"{urlsplit(url).netloc} redirects to what is no address")
            if url.startswith("https:") and parts.scheme != "https":
                raise BadAnswer(f"{urlsplit(url).netloc} redirects from HTTPS to plain HTTP")
            if parts.username is not None:
                raise BadAnswer(f"{urlsplit(url).netloc} redirects with a user name")
            at_home = (parts.scheme, parts.netloc) == registry
            trust: Trust = "public" if peer == "forbidden" else peer
            shown = {**headers, **login} if at_home else headers
            answer = await self._send(target, shown, "named" if at_home else trust, limit)
            url = target
        raise BadAnswer(f"{urlsplit(url).netloc} redirects more than {_REDIRECTS} times")

    async def _base(self, repository: Repository) -> str:
        """Return the URL of a repository."""
        if not repository.registry:
            raise RegistryError(f"{repository.path} names no registry")
        host = "registry-1.docker.io" if repository.registry == DOCKER_HUB else repository.registry
        scheme = self._schemes.get(host)
        if scheme is None:
            scheme = await self._once(("scheme", host), lambda: self._scheme(host))
            # A loopback registry that is only not up yet must not be taken for one that speaks TLS.
            if scheme == "http" or not _is_loopback(host):
                self._schemes[host] = scheme
        return f"{scheme}://{host}/v2/{repository.path}"

    async def _scheme(self, host: str) -> str:
        """Plain HTTP where it was asked for, and on loopback where TLS is not spoken."""
        if self.settings.plain_http or host in self.settings.plain_http_hosts:
            return "http"
        if not _is_loopback(host):
            return "https"
        try:
            self.requests += 1
            await self._transport.send(
                "GET", f"http://{host}/v2/", {}, trust="named", limit=MANIFEST_LIMIT
            )
        except Unreachable:
            return "https"
        return "http"


def _checked(
    answer: Answer, repository: Repository, path: str, permitted: frozenset[int]
) -> Answer:
    if answer.status == 200 or answer.status in permitted:
        return answer
    what = f"{repository.name}/{path.partition('?')[0]}" if "://" not in path else repository.name
    if answer.status == 404:
        raise NotFound(
            f"{repository.registry} has no {what.removeprefix(repository.registry + '/')}"
        )
    if answer.status in {401, 403}:
        said = "wants credentials for" if answer.status == 401 else "denies access to"
        raise AccessDenied(f"{repository.registry} {said} {repository.path}")
    raise OddAnswer(f"{repository.registry} answers {answer.status} for {what}")


def _busy(answer: Answer, repository: Repository, asked: float | None) -> Unreachable:
    if answer.status == 429:
        wait = f" and asks to wait {asked:.0f} s" if asked else ""
        return Unreachable(f"{repository.registry} answers that there are too many requests{wait}")
    return Unreachable(f"{repository.registry} answers {answer.status}")


def _retry_after(header: str) -> float | None:
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _digest(algorithm: str, content: bytes) -> str:
    if algorithm not in {"sha256", "sha384", "sha512"}:
        raise BadAnswer(f"{algorithm[:20]!r} is no digest algorithm that is known here")
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def _object(answer: Answer, what: str) -> dict[str, Any]:
    try:
        return read_object(answer.body)
    except MalformedJson as error:
        raise BadAnswer(f"{what}: the answer {error}") from None


def _manifest_document(answer: Answer, what: str) -> dict[str, Any]:
    """Read a manifest, which must be what it is served as: an index and a manifest differ in reading."""
    document = _object(answer, what)
    served = answer.headers.get("content-type", "").partition(";")[0].strip()
    stated = document.get("mediaType")
    if stated is not None and not isinstance(stated, str):
        raise BadAnswer(f"{what} has a media type that is no text")
    if "manifests" in document and ("layers" in document or "config" in document):
        raise BadAnswer(f"{what} is an index and a manifest at once")
    if stated is not None and stated not in MANIFEST_TYPES | INDEX_TYPES:
        raise BadAnswer(f"{what} has the media type {str(stated)[:80]!r}, which is not supported")
    type_of = stated or (served if served in MANIFEST_TYPES | INDEX_TYPES else "")
    if type_of and (type_of in INDEX_TYPES) != ("manifests" in document):
        raise BadAnswer(f"{what} has the media type {type_of} but not its content")
    if stated and served in MANIFEST_TYPES | INDEX_TYPES and served != stated:
        raise BadAnswer(f"{what} is served as {served} but states {stated}")
    return document


def _is_index(answer: Answer) -> bool:
    served = answer.headers.get("content-type", "").partition(";")[0].strip()
    return answer.status == 200 and served in INDEX_TYPES


def _descriptors(content: bytes, what: str) -> list[Descriptor]:
    try:
        listed = read_object(content).get("manifests") or []
    except MalformedJson as error:
        raise BadAnswer(f"{what}: the answer {error}") from None
    found = []
    for entry in listed if isinstance(listed, list) else [None]:
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(digest, str) or not is_digest(digest):
            raise BadAnswer(f"{what}: an entry has no digest")
        found.append(Descriptor(digest, str(entry.get("artifactType") or "")))
    return list({entry.digest: entry for entry in found}.values())


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of a known algorithm."""
    algorithm, _, encoded = text.partition(":")
    length = {"sha256": 64, "sha384": 96, "sha512": 128}.get(algorithm)
    return len(encoded) == length and not encoded.strip("0123456789abcdef")


def _next(answer: Answer, base: str) -> str | None:
    """Return the URL of the next page, which must be on the same registry."""
    for link in answer.headers.get("link", "").split(","):
        target, _, parameters = link.strip().partition(">")
        if not target.startswith("<"):
            continue
        relations = [part.strip().replace('"', "") for part in parameters.split(";")]
        if "rel=next" in relations:
            url = urljoin(base, target[1:])
            if urlsplit(url)[:2] != urlsplit(base)[:2]:
                raise BadAnswer(f"{urlsplit(base).netloc} continues a listing at another place")
            return url
    return None


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
