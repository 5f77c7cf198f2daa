"""Find out whether an image is signed and attested as is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.rules.signatures.verdict import ImageVerdict

if TYPE_CHECKING:
    from datetime import datetime

    from tidewaiter.rules.signatures.authority import ImageRequirement
    from tidewaiter.rules.signatures.registry import RegistryClient


async def verify_image(
    reference: str, requirement: ImageRequirement, client: RegistryClient, *, now: datetime
) -> ImageVerdict:
    """Answer for one image; every failure to find out is an `unknown`, none is raised."""
    del requirement, client, now
    return ImageVerdict(reference, "", "unknown", ("this version cannot verify signatures",))
