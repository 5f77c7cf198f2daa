"""Asking registries about the images of a run, as the policy's section `images` demands."""

from __future__ import annotations

import sys

from tidewaiter.cli.result import LintError
from tidewaiter.rules.catalogue import entries
from tidewaiter.rules.errors import InputError, PolicyError
from tidewaiter.rules.finding import UNKNOWN
from tidewaiter.rules.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from tidewaiter.cli.result import LintFinding, LintResult
    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.policy.images import ImageFacts

    FindOut = Callable[[list[str]], Mapping[str, ImageAnswer]]


def image_verification(policy: Policy, *, use_cache: bool) -> FindOut:
    """Return what finds out about images by a policy.

    Raises PolicyError where it asks nothing of images, InputError without the extra, and for a key or
    certificate that cannot be read.
    """
    facts = check_images(policy)

    def find(images: list[str]) -> Mapping[str, ImageAnswer]:
        import asyncio

        from tidewaiter.rules.signatures.ask import ask_registries
        from tidewaiter.rules.signatures.cache_stores import open_cache

        cache = open_cache("sqlite" if use_cache else "memory")
        asked = ask_registries(facts, {None: images}, cache=cache, progress=counter())
        return asyncio.run(asked)[None]

    return find


def check_images(policy: Policy) -> ImageFacts:
    """Return what a policy asks of images. Raises PolicyError and InputError as `image_verification` does."""
    facts = policy.images
    if facts is None:
        raise PolicyError(
            "the policy has no section images, by which images could be verified", file=policy.file
        )
    try:
        from tidewaiter.rules.signatures.ask import ask_registries  # noqa: F401
        from tidewaiter.rules.signatures.check_section import check_section
    except ModuleNotFoundError as error:
        msg = (
            f"verifying images needs the extra: pip install 'tidewaiter[signatures]' ({error.name})"
        )
        raise InputError(msg) from None
    check_section(facts, policy.file)
    return facts


def unanswered(findings: Iterable[LintFinding]) -> list[LintError]:
    """Return an error for each image that the policy asks about and nobody could answer for."""
    rules = {entry.name for entry in entries().values() if entry.needs_images}
    return [
        LintError(each.file, each.line or None, each.column or None, each.message)
        for each in findings
        if each.rule in rules and each.status == UNKNOWN
    ]


def with_unanswered(result: LintResult) -> LintResult:
    """Return a result whose errors include the images that nobody could answer for."""
    return replace(result, errors=(*result.errors, *unanswered(result.findings)))


def counter() -> Any:
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
