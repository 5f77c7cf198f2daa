"""What a client knows to show to registries: Docker's configuration, helpers, pull secrets.

https://github.com/docker/cli/blob/master/man/docker-config-json.5.md
https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

from tidewaiter.rules.errors import InputError, RegistryError
from tidewaiter.rules.manifest.image import DOCKER_HUB
from tidewaiter.rules.signatures.credential_helper import run_helper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

HELPER_KEPT = 60.0
"""Seconds for which what a helper has said is not asked again: many images are of one registry."""
_HUB_SERVER = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_NO_CREDENTIALS = "credentials not found in native keychain"


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and password, or an identity token that is exchanged for others (OAuth 2)."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class LoginSource(Protocol):
    """Something that knows logins."""

    def logins(self, registry: str, repository: str) -> AsyncIterator[Login]:
        """Yield what may be shown for a repository, the likeliest first."""


class Keychain:
    """Logins by registry, those of the first source first."""

    def __init__(self, sources: Sequence[LoginSource] = ()) -> None:
        """Ask these sources in turn."""
        self._sources = tuple(sources)

    def after(self, first: LoginSource) -> Keychain:
        """Return a keychain that asks another source before its own."""
        return Keychain((first, *self._sources))

    async def logins(self, registry: str, repository: str) -> AsyncIterator[Login]:
        """Yield what may be shown for a repository; later sources are asked only if more is wanted.

        Raises RegistryError where a credential helper fails.
        """
        for source in self._sources:
            async for login in source.logins(registry, repository):
                yield login

    async def login(self, registry: str, repository: str) -> Login | None:
        """Return the first of the logins, or None to come as nobody."""
        async for login in self.logins(registry, repository):
            return login
        return None


class DockerConfig:
    """One `config.json`, or the like of it in a Secret."""

    def __init__(self, document: object, file: str = "") -> None:
        """Take the parsed file. Raises InputError where its shape is another."""
        if not isinstance(document, dict):
            raise InputError("a Docker configuration must be an object", file=file)
        self._file = file
        self._auths = _logins(_object(document, "auths", file), file)
        self._helpers = _object(document, "credHelpers", file)
        store = document.get("credsStore") or ""
        for helper in (store, *self._helpers.values()):
            if not isinstance(helper, str) or not _is_helper(helper, allow_empty=True):
                raise InputError(f"{helper!r} is no name of a credential helper", file=file)
        self._store: str = store
        self._turn = asyncio.Lock()
        self._answers: dict[str, dict[str, tuple[Login | None, float]]] = {}
        """By helper and server, each with its end."""

    async def logins(self, registry: str, repository: str) -> AsyncIterator[Login]:
        """Yield the helper's login, or those of the entries that fit, the most exact first."""
        for server, helper in self._helpers.items():
            if _exactness(*_place(server), registry, repository) >= 0 and helper:
                login = await self._ask(helper, registry)
                if login is not None:
                    yield login
                return
        fitting = self.entries(registry, repository)
        for login in fitting:
            yield login
        if not fitting and self._store:
            login = await self._ask(self._store, registry)
            if login is not None:
                yield login

    async def login(self, registry: str, repository: str) -> Login | None:
        """Return the first of the logins, or None."""
        async for login in self.logins(registry, repository):
            return login
        return None

    def entries(self, registry: str, repository: str) -> list[Login]:
        """Return the logins of the entries that fit a repository, the most exact first."""
        rated = [
            (_exactness(host, path, registry, repository), login)
            for (host, path), login in self._auths.items()
        ]
        rated = [each for each in rated if each[0] >= 0]
        return [login for _, login in sorted(rated, key=lambda each: -each[0])]

    async def _ask(self, helper: str, registry: str) -> Login | None:
        """Speak the protocol of docker-credential-helpers: the server on stdin, JSON on stdout.

        https://github.com/docker/docker-credential-helpers
        """
        program = f"docker-credential-{helper}"
        server = _HUB_SERVER if registry == DOCKER_HUB else registry
        async with self._turn:
            known, until = self._answers.get(program, {}).get(server, (None, 0.0))
            if time.monotonic() < until:
                return known
            code, output = await run_helper([program, "get"], server.encode())
            if not code:
                login: Login | None = _helper_login(program, output)
            elif _NO_CREDENTIALS in output.decode("utf-8", "replace"):
                login = None
            else:
                # What a helper prints may hold what it should keep.
                raise RegistryError(f"{program} ended with code {code}")
            until = time.monotonic() + HELPER_KEPT
            self._answers.setdefault(program, {})[server] = login, until
            return login


def _helper_login(program: str, output: bytes) -> Login:
    try:
        answer = json.loads(output)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RegistryError(f"{program} printed no credentials") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise RegistryError(f"{program} printed no credentials")
    if username == "<token>":
        return Login("", "", secret)
    return Login(username, secret)


def pull_secret(data: Mapping[str, bytes], file: str = "") -> DockerConfig:
    """Read the data of a Secret of type kubernetes.io/dockerconfigjson or dockercfg.

    Its logins count alone: a Secret must not name programs that would run here. Raises InputError.
    """
    for key in (".dockerconfigjson", ".dockercfg"):
        if key in data:
            try:
                document = json.loads(data[key])
            except (ValueError, RecursionError):
                raise InputError(f"{key} is no JSON", file=file) from None
            if key == ".dockerconfigjson":
                if not isinstance(document, dict):
                    raise InputError(f"{key} must be an object", file=file)
                document = document.get("auths") or {}
            return DockerConfig({"auths": document}, file)
    raise InputError("the Secret has neither .dockerconfigjson nor .dockercfg", file=file)


def read_docker_config(path: str) -> DockerConfig:
    """Read a configuration file. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as file:
            return DockerConfig(json.load(file), path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    except (ValueError, RecursionError):
        raise InputError("is no JSON", file=path) from None


def usual_keychain(environment: Mapping[str, str] | None = None) -> Keychain:
    """Return what docker, podman and skopeo would use here."""
    known = os.environ if environment is None else environment
    home = known.get("HOME", "")
    stated = [known.get("REGISTRY_AUTH_FILE", "")]
    if runtime := known.get("XDG_RUNTIME_DIR"):
        stated.append(f"{runtime}/containers/auth.json")
    folder = known.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    if folder:
        stated.append(f"{folder}/config.json")
    return Keychain([read_docker_config(path) for path in stated if path and os.path.exists(path)])


def _object(document: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise InputError(f"{key} must be an object", file=file)
    return value


def _logins(auths: dict[str, Any], file: str) -> dict[tuple[str, str], Login]:
    logins = {}
    for server, entry in auths.items():
        if not isinstance(entry, dict):
            raise InputError(f"the entry of {server} must be an object", file=file)
        login = _login(server, entry, file)
        if login is not None:
            logins[_place(server)] = login
    return logins


def _login(server: str, entry: dict[str, Any], file: str) -> Login | None:
    token = entry.get("identitytoken") or ""
    if entry.get("auth"):
        try:
            pair = base64.b64decode(entry["auth"], validate=True).decode()
        except (ValueError, TypeError):
            raise InputError(f"the auth of {server} is no base64", file=file) from None
        username, colon, password = pair.rstrip("\0").partition(":")
        if not colon:
            raise InputError(f"the auth of {server} is no user name and password", file=file)
        return Login(username, password, str(token))
    if token:
        return Login("", "", str(token))
    if entry.get("username"):
        return Login(str(entry["username"]), str(entry.get("password") or ""))
    return None


def _place(server: str) -> tuple[str, str]:
    """Return host and path of an entry, which may be a URL with the version of an old interface."""
    bare = server.partition("://")[2] if "://" in server else server
    host, _, path = bare.partition("/")
    path = path.strip("/")
    version, _, rest = path.partition("/")
    host = _plain_host(host)
    return (DOCKER_HUB if host in _HUB_HOSTS else host), rest if version in {"v1", "v2"} else path


def _plain_host(host: str) -> str:
    """Return a host as it is compared: capital letters and the port of HTTPS make no other of it."""
    return host.lower().removesuffix(":443")


def _exactness(host: str, path: str, registry: str, repository: str) -> int:
    """Say how well an entry fits a repository: the length of its path, -1 where it does not."""
    registry = _plain_host(registry)
    if host != registry:
        ours, theirs = host.split("."), registry.split(".")
        fits = len(ours) == len(theirs) and all(map(fnmatchcase, theirs, ours))
        if not fits:
            return -1
    if path and repository != path and not repository.startswith(f"{path}/"):
        return -1
    return 2 * len(path) + (host == registry)


def _is_helper(name: str, *, allow_empty: bool) -> bool:
    """A helper's name becomes part of a program's: no folder may be in it."""
    return all(char.isalnum() or char in "-_." for char in name) and bool(name or allow_empty)
