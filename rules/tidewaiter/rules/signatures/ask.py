"""Asking registries about all images of one run, which begins and ends with it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from tidewaiter.rules.signatures.credentials import usual_keychain
from tidewaiter.rules.signatures.find_out import ImageVerifier
from tidewaiter.rules.signatures.pull_secrets import PullSecrets
from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.cache import VerdictCache
    from tidewaiter.rules.signatures.credentials import Keychain
    from tidewaiter.rules.signatures.find_out import ReadSecret
    from tidewaiter.rules.signatures.pod_secrets import ReadsPullSecrets

_LOOPBACK = ("localhost", "127.", "[::1]")


def with_pull_secrets(
    keychain: Keychain, facts: ImageFacts, read_secret: ReadSecret | None
) -> Keychain:
    """Return the logins of this machine after those of the pull secrets that a policy names."""
    names = facts.settings.get("pullSecrets", ())
    if not names or read_secret is None:
        return keychain
    return keychain.after(PullSecrets(names, read_secret))


def settings_of(facts: ImageFacts, given: RegistrySettings | None = None) -> RegistrySettings:
    """Return how registries are spoken to by a policy's settings, and by those that were given beside it."""
    given = given or RegistrySettings()
    stated = facts.settings
    authorities = [row.get("data", "") for row in stated.get("registryAuthorities", ())]
    mirrors: dict[str, tuple[str, ...]] = dict(given.mirrors)
    for row in stated.get("mirrors", ()):
        mirrors[row["of"]] = (*mirrors.get(row["of"], ()), *row["places"])
    return replace(
        given,
        plain_http_hosts=given.plain_http_hosts | frozenset(stated.get("plainHTTP", ())),
        certificates="\n".join(filter(None, [given.certificates, *authorities])),
        mirrors=mirrors,
    )


def settings_in_cluster(facts: ImageFacts) -> RegistrySettings:
    """Return the same for within a cluster: an image must not name this machine, unless the policy does."""
    settings = settings_of(facts)
    loopback = any(host.startswith(_LOOPBACK) for host in settings.plain_http_hosts)
    return replace(settings, loopback=loopback)


async def ask_registries(
    facts: ImageFacts,
    images: Mapping[Puller | None, Iterable[str]],
    *,
    cache: VerdictCache,
    settings: RegistrySettings | None = None,
    keychain: Keychain | None = None,
    read_secret: ReadSecret | None = None,
    pull_secrets: ReadsPullSecrets | None = None,
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[Puller | None, Mapping[str, ImageAnswer]]:
    """Return what was found out of the images of each puller; closes the cache."""
    async with RegistryClient(
        settings or settings_of(facts),
        with_pull_secrets(keychain or usual_keychain(), facts, read_secret),
    ) as client:
        verifier = ImageVerifier(
            facts,
            client,
            cache,
            read_secret=read_secret,
            pull_secrets=pull_secrets,
            # Who asks about a whole cluster waits for it.
            most_waiting=sys.maxsize,
        )
        try:
            return await verifier.find_all(images, seconds=seconds, progress=progress)
        finally:
            await verifier.aclose()
            await cache.aclose()
