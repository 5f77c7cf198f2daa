"""Finding out about the images of a request before it is reviewed, as the policy's section `images` demands.

The review itself is pure. What could not be found out in time denies, unless the policy's `onUnreachable` says
otherwise; the work goes on, so that the API server's next attempt finds the verdict.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from tidewaiter.rules.errors import InputError, PolicyError
from tidewaiter.webhook.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.rules.cluster.secrets import PullSecretReader
    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.cache import VerdictCache
    from tidewaiter.rules.signatures.find_out import ImageVerifier
    from tidewaiter.rules.signatures.pod_secrets import StoredSecret
    from tidewaiter.rules.signatures.registry import RegistryClient
    from tidewaiter.webhook.settings import Settings

DEFAULT_PLACE = "sqlite"
_NEEDED = ("cryptography", "httpcore", "nacl", "sigstore")


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
    from tidewaiter.rules.signatures.credentials import usual_keychain

    check_section(facts, file)
    try:
        usual_keychain()
    except InputError as error:
        raise PolicyError(f"registries cannot be logged in to: {error}", file=file) from None
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
        self,
        facts: ImageFacts,
        images: Iterable[str],
        seconds: float,
        puller: Puller | None = None,
    ) -> Mapping[str, ImageAnswer]:
        """Return what is found out within so many seconds of the images as a puller has them."""
        return await self.verifier(facts).find_out(images, puller, seconds=max(seconds, 0.05))

    def verifier(self, facts: ImageFacts) -> ImageVerifier:
        """Return what verifies by a policy; that of the policy before ends what it has begun."""
        if self._verifier is None or self._facts is not facts:
            from tidewaiter.rules.signatures.find_out import ImageVerifier

            self._verifier = ImageVerifier(
                facts,
                self._client_for(facts),
                self._open_cache(),
                read_secret=self._secrets.read,
                pull_secrets=self._secrets,
            )
            self._facts = facts
        return self._verifier

    def _client_for(self, facts: ImageFacts) -> RegistryClient:
        """Return a client for a policy's settings: policies with the same ones share it."""
        from tidewaiter.rules.signatures.ask import settings_in_cluster, with_pull_secrets
        from tidewaiter.rules.signatures.credentials import usual_keychain
        from tidewaiter.rules.signatures.registry import RegistryClient

        settings = settings_in_cluster(facts)
        asked_by = ("plainHTTP", "pullSecrets", "registryAuthorities", "mirrors")
        key = repr([facts.settings.get(name) for name in asked_by])
        if key not in self._clients:
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
        self._client: Client | None = None

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return a Secret's data. Raises ClusterError."""
        from tidewaiter.rules.cluster.secrets import read_secret

        return await read_secret(self._opened(), namespace, name)

    async def secret(self, namespace: str, name: str) -> StoredSecret:
        """Return a Secret. Raises ClusterError."""
        return await self._reader().secret(namespace, name)

    async def account(self, namespace: str, name: str) -> tuple[str, ...]:
        """Return the names of a service account's pull secrets. Raises ClusterError."""
        return await self._reader().account(namespace, name)

    def _reader(self) -> PullSecretReader:
        from tidewaiter.rules.cluster.secrets import PullSecretReader

        return PullSecretReader(self._opened())

    def _opened(self) -> Client:
        if self._client is None:
            from tidewaiter.rules.cluster.client import open_client

            self._client = open_client(self._kubeconfig or None)
        return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()
