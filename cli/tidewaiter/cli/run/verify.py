"""Verify many images at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidewaiter.rules.signatures.credentials import (
    Keychain,
    read_docker_config,
    usual_keychain,
)
from tidewaiter.rules.signatures.registry import RegistryClient, RegistrySettings
from tidewaiter.rules.signatures.verify import verify_image

if TYPE_CHECKING:
    from tidewaiter.rules.signatures.authority import ImageRequirement
    from tidewaiter.rules.signatures.verdict import ImageVerdict

AT_ONCE = 16
"""Images that are verified at the same time; more would wait for the same processor."""


@dataclass(frozen=True, slots=True)
class VerifyJob:
    """What is to be verified, and how."""

    images: tuple[str, ...]
    requirement: ImageRequirement
    settings: RegistrySettings
    docker_config: str
    timeout: float


def run_verify(job: VerifyJob) -> list[ImageVerdict]:
    """Return the verdicts in the order of the images. Raises InputError for bad logins."""
    keychain = (
        Keychain([read_docker_config(job.docker_config)]) if job.docker_config else usual_keychain()
    )
    return asyncio.run(_verify(job, keychain))


async def _verify(job: VerifyJob, keychain: Keychain) -> list[ImageVerdict]:
    now = datetime.now(UTC)
    turn = asyncio.Semaphore(AT_ONCE)
    async with RegistryClient(job.settings, keychain) as client:

        async def one(image: str) -> ImageVerdict:
            async with turn:
                return await verify_image(
                    image, job.requirement, client, now=now, deadline=job.timeout
                )

        return list(await asyncio.gather(*map(one, job.images)))
