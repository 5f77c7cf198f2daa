"""Registries for the tests of this folder, and a short way to ask for a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.rules.signatures.registry_server import RegistryServer
from tidewaiter.rules.signatures.authority import Authorities, ImageRequirement
from tidewaiter.rules.signatures.credentials import Keychain
from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings
from tidewaiter.rules.signatures.verdict import ImageVerdict
from tidewaiter.rules.signatures.verify import verify_image

Verify = Callable[..., ImageVerdict]


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.close()


@pytest.fixture
def old_registry() -> Iterator[RegistryServer]:
    """One without the referrers API."""
    server = RegistryServer(referrers_api=False)
    yield server
    server.close()


def verdict_of(
    image: str,
    asked: Authorities | ImageRequirement,
    *,
    now: datetime | None = None,
    settings: RegistrySettings | None = None,
    keychain: Keychain | None = None,
    **more: Any,
) -> ImageVerdict:
    """Verify one image with a client of its own."""

    async def run() -> ImageVerdict:
        async with RegistryClient(settings, keychain) as client:
            requirement = asked if isinstance(asked, ImageRequirement) else ImageRequirement(asked)
            return await verify_image(
                image, requirement, client, now=now or datetime.now(UTC), **more
            )

    return asyncio.run(run())
