"""Asking registries about all images of one run, which begins and ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.signatures.cache_stores import open_cache
from tidewaiter.rules.signatures.credentials import usual_keychain
from tidewaiter.rules.signatures.find_out import ImageVerifier
from tidewaiter.rules.signatures.pull_secrets import PullSecrets
from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.credentials import Keychain
    from tidewaiter.rules.signatures.find_out import ReadSecret


def with_pull_secrets(
    keychain: Keychain, facts: ImageFacts, read_secret: ReadSecret | None
) -> Keychain:
    """Return the logins of this machine after those of the pull secrets that a policy names."""
    names = facts.settings.get("pullSecrets", ())
    if not names or read_secret is None:
        return keychain
    return keychain.after(PullSecrets(names, read_secret))


async def ask_registries(
    facts: ImageFacts,
    images: Iterable[str],
    *,
    verdicts: str,
    settings: RegistrySettings | None = None,
    keychain: Keychain | None = None,
    read_secret: ReadSecret | None = None,
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, ImageAnswer]:
    """Return what was found out; `verdicts` says where they are kept, as `open_cache` takes it."""
    if settings is None:
        settings = RegistrySettings(plain_http_hosts=frozenset(facts.settings.get("plainHTTP", ())))
    cache = open_cache(verdicts)
    async with RegistryClient(
        settings, with_pull_secrets(keychain or usual_keychain(), facts, read_secret)
    ) as client:
        verifier = ImageVerifier(facts, client, cache, read_secret=read_secret)
        try:
            return await verifier.find_out(images, seconds=seconds, progress=progress)
        finally:
            await verifier.aclose()
            await cache.aclose()
