"""The pull secrets that a policy names, read from the cluster when a registry is first asked."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.errors import TidewaiterError
from tidewaiter.rules.signatures.credentials import pull_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from tidewaiter.rules.signatures.credentials import DockerConfig, Login
    from tidewaiter.rules.signatures.find_out import ReadSecret

KEPT = 60.0
"""Seconds after which the Secrets are read again."""
_LOG = logging.getLogger(__name__)


class PullSecrets:
    """A source of logins; what cannot be read says nothing, and the registry then decides."""

    def __init__(self, names: Sequence[Mapping[str, Any]], read: ReadSecret) -> None:
        """Name the Secrets by `namespace` and `name`."""
        self._names = [(row["namespace"], row["name"]) for row in names]
        self._read = read
        self._found: dict[tuple[str, str], DockerConfig] = {}
        self._read_at: float | None = None
        self._turn = asyncio.Lock()

    async def logins(self, registry: str, repository: str) -> AsyncIterator[Login]:
        """Yield what the Secrets have for a repository, those of the first Secret first."""
        await self._refresh()
        for name in self._names:
            if name in self._found:
                for login in self._found[name].entries(registry, repository):
                    yield login

    async def _refresh(self) -> None:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if self._read_at is not None and now - self._read_at < KEPT:
                return
            self._read_at = now
            for namespace, name in self._names:
                try:
                    content = await self._read(namespace, name)
                    self._found[namespace, name] = pull_secret(content)
                except TidewaiterError as error:
                    _LOG.warning("pull secret %s/%s cannot be used: %s", namespace, name, error)
