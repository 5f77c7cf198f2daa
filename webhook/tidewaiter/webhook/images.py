"""Finding out about the images of a request before it is reviewed, as the policy's section `images` demands.

The review itself is pure. What could not be found out in time denies, unless the policy's `onUnreachable` says
otherwise; the work goes on, so that the API server's next attempt finds the verdict.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.errors import PolicyError
from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.cache import VerdictCache
    from tidewaiter.rules.signatures.find_out import ImageVerifier
    from tidewaiter.rules.signatures.registry import RegistryClient
    from tidewaiter.webhook.settings import Settings

DEFAULT_PLACE = "sqlite"
_NEEDED = ("cryptography", "httpcore", "sigstore")
_LOOPBACK = ("localhost", "127.", "[::1]")


def check_images(facts: ImageFacts, file: str) -> None:
    """Prepare the answers of a policy that has just been read: at admission they must be yes or no.

    Raises PolicyError where a key cannot be used, and where what verifies is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        msg = (
            f"the policy's images need packages that are not installed ({', '.join(missing)}): "
            "pip install 'tidewaiter[signatures]'"
        )
        raise PolicyError(msg, file=file)
    from tidewaiter.rules.signatures.check_section import check_section

    check_section(facts, file)
    facts.decides = True


class Images:
    """Asks registries for the policy in force; for one event loop."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet: without images in the policy nothing is needed. Raises InputError."""
        self._settings = settings
        self._cache: VerdictCache | None = None
        self._clients: dict[str, RegistryClient] = {}
        self._verifier: ImageVerifier | None = None
        self._facts: ImageFacts | None = None
        self._secrets = _Secrets(settings.kubeconfig)
        if settings.verdicts != DEFAULT_PLACE:
            self._open_cache()

    async def find_out(
        self, facts: ImageFacts, images: Iterable[str], seconds: float
    ) -> Mapping[str, ImageAnswer]:
        """Return what is found out within so many seconds."""
        return await self.verifier(facts).find_out(images, seconds=max(seconds, 0.05))

    def verifier(self, facts: ImageFacts) -> ImageVerifier:
        """Return what verifies by a policy; that of the policy before ends what it has begun."""
        if self._verifier is None or self._facts is not facts:
            from tidewaiter.rules.signatures.find_out import ImageVerifier

            self._verifier = ImageVerifier(
                facts, self._client_for(facts), self._open_cache(), read_secret=self._secrets.read
            )
            self._facts = facts
        return self._verifier

    def _client_for(self, facts: ImageFacts) -> RegistryClient:
        """Return a client for a policy's settings: policies with the same ones share it."""
        from tidewaiter.rules.signatures.ask import with_pull_secrets
        from tidewaiter.rules.signatures.credentials import usual_keychain
        from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings

        plain_http = frozenset(facts.settings.get("plainHTTP", ()))
        key = repr((sorted(plain_http), facts.settings.get("pullSecrets")))
        if key not in self._clients:
            settings = RegistrySettings(
                plain_http_hosts=plain_http,
                # An image must not name this machine, unless the policy itself does.
                loopback=any(host.startswith(_LOOPBACK) for host in plain_http),
            )
            keychain = with_pull_secrets(usual_keychain(), facts, self._secrets.read)
            self._clients[key] = RegistryClient(settings, keychain)
        return self._clients[key]

    async def aclose(self) -> None:
        """Give up what runs, and close files and connections."""
        if self._verifier is not None:
            await self._verifier.aclose()
        for client in self._clients.values():
            await client.aclose()
        if self._cache is not None:
            await self._cache.aclose()
        await self._secrets.aclose()

    def _open_cache(self) -> VerdictCache:
        if self._cache is None:
            from tidewaiter.rules.signatures.cache_stores import open_cache

            self._cache = open_cache(self._settings.verdicts, self._settings.verdicts_secret)
            logger.info(
                "verdicts on images are kept: %s",
                self._settings.verdicts.partition("@")[2] or self._settings.verdicts,
            )
        return self._cache


class _Secrets:
    """Reads Secrets by the access that the inventory has."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig
        self._client: Any = None

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return a Secret's data. Raises ClusterError."""
        if self._client is None:
            from tidewaiter.rules.cluster.client import open_client

            self._client = open_client(self._kubeconfig or None)
        from tidewaiter.rules.cluster.secrets import read_secret

        return await read_secret(self._client, namespace, name)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()
