"""The pull secrets of the pods in question: read when a registry is to be asked for them, and kept for a minute.

What a Secret says is shown to the registries it names and kept nowhere else. Whoever writes a pod decides which
Secrets of its own namespace count for its images, and for no others: each set of Secrets has a client of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tidewaiter.rules.errors import TidewaiterError
from tidewaiter.rules.signatures.credentials import pull_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.signatures.credentials import DockerConfig, Login
    from tidewaiter.rules.signatures.registry import RegistryClient, Repository

KEPT = 60.0
"""Seconds for which Secrets that could be read are not read again."""
KEPT_WITHOUT = 5.0
"""The same where one could not: it may be about to be made."""
PATIENCE = 3.0
"""Seconds that the cluster has to tell the Secrets of one pod."""
MOST_PULLERS = 1024
"""Sets of Secrets that are kept; each has its tokens."""
MOST_SECRETS = 16
"""Secrets that are read for one pod."""
_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A Secret: its type, its data decoded, and what is another where it is."""

    type: str
    data: Mapping[str, bytes] = field(repr=False)
    version: str


class ReadsPullSecrets(Protocol):
    """Reads what pods name from the cluster."""

    async def secret(self, namespace: str, name: str) -> StoredSecret:
        """Return a Secret. Raises ClusterError."""

    async def account(self, namespace: str, name: str) -> tuple[str, ...]:
        """Return the names of a service account's pull secrets. Raises ClusterError."""


class PodLogins:
    """What the Secrets of one puller say; a source of logins."""

    def __init__(
        self, configs: Sequence[DockerConfig], version: str, problems: Sequence[str], until: float
    ) -> None:
        """Keep it; `version` is another where a Secret is, `problems` say what could not be read."""
        self._configs = tuple(configs)
        self.version = version
        self.problems = tuple(problems)
        self.until = until
        self.client: RegistryClient | None = None

    async def logins(self, registry: str, repository: str) -> AsyncIterator[Login]:
        """Yield what may be shown for a repository, those of the first Secret first."""
        for config in self._configs:
            for login in config.entries(registry, repository):
                yield login

    def know(self, repository: Repository) -> bool:
        """Tell whether there is a login for a repository."""
        return any(config.entries(repository.registry, repository.path) for config in self._configs)


@dataclass(slots=True)
class _Read:
    """What has been read so far."""

    configs: list[DockerConfig] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class PodSecrets:
    """Reads for many pods, each set of Secrets once at a time; for one event loop."""

    def __init__(self, reader: ReadsPullSecrets) -> None:
        """Read by this."""
        self._reader = reader
        self._kept: OrderedDict[Puller, PodLogins] = OrderedDict()
        self._reading: dict[Puller, asyncio.Task[PodLogins]] = {}

    async def of(self, puller: Puller) -> PodLogins:
        """Return what the Secrets of a puller say. Raises nothing: what cannot be read is told in `problems`."""
        now = asyncio.get_running_loop().time()
        known = self._kept.get(puller)
        if known is not None and now < known.until:
            self._kept.move_to_end(puller)
            return known
        task = self._reading.get(puller)
        if task is None:
            task = asyncio.ensure_future(self._read(puller, known))
            self._reading[puller] = task
            task.add_done_callback(lambda _: self._reading.pop(puller, None))
        # Whoever gives up waiting must not take the reading from the others.
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Give up what is being read or asked."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for logins in self._kept.values():
            if logins.client is not None:
                await logins.client.aclose()

    async def _read(self, puller: Puller, before: PodLogins | None) -> PodLogins:
        found = _Read()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._read_into(found, puller)
        except TimeoutError:
            found.problems.append(f"the cluster has not told pull secrets within {PATIENCE:g} s")
        return self._keep(puller, found, before)

    async def _read_into(self, read: _Read, puller: Puller) -> None:
        configs, versions, problems = read.configs, read.versions, read.problems
        names: tuple[str, ...] = puller.secrets
        if not names:
            try:
                names = await self._reader.account(puller.namespace, puller.account)
            except TidewaiterError as error:
                problems.append(
                    f"service account {puller.namespace}/{puller.account} cannot be read: {error.message}"
                )
        for name in names[:MOST_SECRETS]:
            try:
                found = await self._reader.secret(puller.namespace, name)
                if found.type not in _TYPES:
                    problems.append(f"Secret {puller.namespace}/{name} is no pull secret")
                    continue
                configs.append(pull_secret(found.data))
                versions.append(f"{name} {found.version}")
            except TidewaiterError as error:
                problems.append(
                    f"pull secret {puller.namespace}/{name} cannot be used: {error.message}"
                )

    def _keep(self, puller: Puller, read: _Read, before: PodLogins | None) -> PodLogins:
        configs, versions, problems = read.configs, read.versions, read.problems
        version = hashlib.sha256("\n".join([puller.namespace, *versions]).encode()).hexdigest()
        seconds = KEPT_WITHOUT if problems else KEPT
        until = asyncio.get_running_loop().time() + seconds
        made = PodLogins(configs, version, problems, until)
        if before is not None and before.version == version:
            made.client = before.client  # its tokens still hold
        self._kept[puller] = made
        self._kept.move_to_end(puller)
        while len(self._kept) > MOST_PULLERS:
            self._kept.popitem(last=False)
        return made
