"""Asking registries about the images of a run, as the policy's section `images` demands."""

from __future__ import annotations

import sys

from tidewaiter.rules.errors import InputError, PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.policy.images import ImageFacts

    FindOut = Callable[[list[str]], Mapping[str, ImageAnswer]]


def image_verification(policy: Policy, *, use_cache: bool) -> FindOut:
    """Return what finds out about images by a policy.

    Raises PolicyError where it asks nothing of images, InputError without the extra, and for a key or
    certificate that cannot be read.
    """
    facts = policy.images
    if facts is None:
        raise PolicyError(
            "the policy has no section images, by which images could be verified", file=policy.file
        )
    try:
        from tidewaiter.rules.signatures.check_section import check_section
        from tidewaiter.rules.signatures.find_out import ImageVerifier  # noqa: F401
    except ImportError as error:
        msg = (
            f"verifying images needs the extra: pip install 'tidewaiter[signatures]' ({error.name})"
        )
        raise InputError(msg) from None
    check_section(facts, policy.file)

    def find(images: list[str]) -> Mapping[str, ImageAnswer]:
        import asyncio

        return asyncio.run(_found_out(facts, images, use_cache=use_cache))

    return find


async def _found_out(
    facts: ImageFacts, images: list[str], *, use_cache: bool
) -> Mapping[str, ImageAnswer]:
    from tidewaiter.rules.signatures.cache_stores import open_cache
    from tidewaiter.rules.signatures.credentials import usual_keychain
    from tidewaiter.rules.signatures.find_out import ImageVerifier
    from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings

    settings = RegistrySettings(plain_http_hosts=frozenset(facts.settings.get("plainHTTP", ())))
    cache = open_cache("sqlite" if use_cache else "memory")
    async with RegistryClient(settings, usual_keychain()) as client:
        verifier = ImageVerifier(facts, client, cache)
        try:
            return await verifier.find_out(images, progress=_progress())
        finally:
            await verifier.aclose()
            await cache.aclose()


def _progress() -> Any:
    """Return what counts the images on stderr, on a terminal and when it has taken a while."""
    if not sys.stderr.isatty():
        return None
    import time

    start = time.monotonic()

    def draw(done: int, of: int) -> None:
        if time.monotonic() - start > 1:
            end = "\r\033[K" if done >= of else ""
            print(f"\r{done} of {of} images verified{end}", end="", file=sys.stderr, flush=True)

    return draw
