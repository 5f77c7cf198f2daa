"""Verify images by the section `images` of a policy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tidewaiter.cli.run.images import check_images
from tidewaiter.rules.manifest.image import InvalidImage
from tidewaiter.rules.policy.compiled import Policy
from tidewaiter.rules.policy.file import load_policy
from tidewaiter.rules.signatures.ask import ask_registries, settings_of
from tidewaiter.rules.signatures.cache import VerdictCache
from tidewaiter.rules.signatures.credentials import (
    Keychain,
    read_docker_config,
    usual_keychain,
)
from tidewaiter.rules.signatures.find_out import AT_ONCE
from tidewaiter.rules.signatures.verdict import ImageVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.registry import RegistrySettings


def verify_by_policy(
    path: str,
    images: Sequence[str],
    settings: RegistrySettings,
    *,
    docker_config: str,
    seconds: float,
) -> list[ImageVerdict]:
    """Return the verdicts in the order of the images, made anew; each has so many seconds. Raises PolicyError and InputError."""
    facts = check_images(Policy(load_policy(path)))
    keychain = Keychain([read_docker_config(docker_config)]) if docker_config else usual_keychain()
    answers = asyncio.run(
        ask_registries(
            facts,
            {None: images},
            cache=VerdictCache(),
            settings=settings_of(facts, settings),
            keychain=keychain,
            seconds=seconds * (1 + len(images) // AT_ONCE),
        )
    )
    facts.answers = answers[None]
    return [_verdict(facts, image) for image in images]


def _verdict(facts: ImageFacts, image: str) -> ImageVerdict:
    try:
        answer = facts.answer(image)
    except InvalidImage as error:
        return ImageVerdict(image, "", "unknown", (str(error),))
    if answer is None:
        why = "no entry of the policy's images is for it, so nothing was asked"
        return ImageVerdict(image, "", "unknown", (why,))
    return _of_answer(image, answer)


def _of_answer(image: str, answer: ImageAnswer) -> ImageVerdict:
    problems = dict.fromkeys((*answer.signature, *answer.attestation))
    reasons = tuple(dict.fromkeys(problem.message for problem in problems))
    if not problems:
        return ImageVerdict(image, answer.digest, "verified")
    is_refused = any(not problem.unknown for problem in problems)
    return ImageVerdict(image, answer.digest, "refused" if is_refused else "unknown", reasons)
