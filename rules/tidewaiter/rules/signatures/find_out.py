"""Finding out what a policy asks of images: concurrently, each image once, with what is kept of earlier answers.

A tag is resolved to its digest once, and the answer is that digest's. Whoever waits for an answer may give up;
the work goes on and is there for the next who asks. No failure here makes an image pass.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tidewaiter.rules.cache_folder import name_of
from tidewaiter.rules.errors import TidewaiterError
from tidewaiter.rules.image_answers import ImageAnswer, ImageProblem
from tidewaiter.rules.manifest.duration import parse_duration
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.policy.image_authorities import materials_of, signing_parts
from tidewaiter.rules.policy.image_patterns import image_name
from tidewaiter.rules.policy.images import asks_for
from tidewaiter.rules.signatures.cache import (
    KEEP_REFUSED,
    KEEP_VERIFIED,
    VerdictCache,
    verdict_key,
)
from tidewaiter.rules.signatures.registry import repository_of
from tidewaiter.rules.signatures.registry_errors import BadAnswer
from tidewaiter.rules.signatures.requirement import (
    Materials,
    attestation_requirement,
    secret_name,
    signature_requirement,
)
from tidewaiter.rules.signatures.verify import verify_image
from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from tidewaiter.rules.manifest.image import ImageReference
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.authority import ImageRequirement
    from tidewaiter.rules.signatures.registry import RegistryClient
    from tidewaiter.rules.signatures.requirement import SecretName
    from tidewaiter.rules.signatures.verdict import ImageVerdict

AT_ONCE = 12
"""Images that are verified at the same time; each has a few requests under way, and more would wait for the processor."""
MOST_WAITING = 2000
"""Images that may wait for their turn; beyond that an answer is refused at once."""
SECRETS_KEPT = 60.0
"""Seconds after which the Secrets that hold keys are read again."""
_GONE = frozenset({403, 404})
_SHOWN_REASONS = 5
_LONGEST_REASON = 400
_LOG = logging.getLogger(__name__)


class ReadSecret(Protocol):
    """Reads a Secret's data from the cluster."""

    def __call__(self, namespace: str, name: str) -> Awaitable[Mapping[str, bytes]]:
        """Return it, decoded. Raises ClusterError."""


class ImageVerifier:
    """Finds out about images for one policy; for one event loop."""

    def __init__(
        self,
        facts: ImageFacts,
        client: RegistryClient,
        cache: VerdictCache | None = None,
        *,
        read_secret: ReadSecret | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Verify for the policy of `facts`; without `read_secret` no Secret can be read."""
        self._facts = facts
        self._client = client
        self._cache = cache if cache is not None else VerdictCache()
        self._read_secret = read_secret
        self._clock = clock
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._reading = asyncio.Lock()
        self._running: dict[str, asyncio.Task[ImageAnswer]] = {}
        self._keep = (
            _seconds(facts.settings.get("keepVerified"), KEEP_VERIFIED),
            _seconds(facts.settings.get("keepRefused"), KEEP_REFUSED),
        )
        self._secrets: dict[SecretName, str] = {}
        self._secret_names = sorted({secret_name(row) for row in _secret_rows(facts)})
        self._secrets_read_at: float | None = None
        self._policy_hash = self._hashed()

    async def find_out(
        self,
        images: Iterable[str],
        *,
        seconds: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, ImageAnswer]:
        """Return the answer for each image that the policy asks something of.

        What takes longer than `seconds` is unknown. Images that are no references are left out: the
        rules say what is wrong with them.
        """
        wanted = list(dict.fromkeys(image for image in images if self._asks(image)))
        answers: dict[str, ImageAnswer] = {}
        if not wanted:
            return answers
        tasks = {image: asyncio.ensure_future(self._answer(image)) for image in wanted}
        try:
            async with asyncio.timeout(seconds):
                for count, done in enumerate(asyncio.as_completed(tasks.values()), 1):
                    await done
                    if progress is not None:
                        progress(count, len(tasks))
        except TimeoutError:
            pass
        finally:
            for task in tasks.values():
                task.cancel()
        for image, task in tasks.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                answers[image] = task.result()
            else:
                answers[image] = self._unknown(image, "", "the time for the answer is over")
        return answers

    async def aclose(self) -> None:
        """Give up what still runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asks(self, image: str) -> bool:
        try:
            return bool(self._facts.places(image))
        except InvalidImage:
            return False

    async def _answer(self, image: str) -> ImageAnswer:
        """Answer for one image; raises nothing."""
        try:
            reference = parse_image(image)
            await self._read_secrets()
            if reference.digest is None and self._is_static(image):
                return await self._verified(image, reference, "", self._secrets)
            digest = reference.digest or await self._resolved(reference)
        except BadAnswer as error:
            return self._placed(image, [ImageProblem(f"could not be verified: {error.message}")])
        except TidewaiterError as error:
            return self._unknown(image, "", error.message)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the image is not verified
            return self._failed(image, error)
        key = verdict_key(
            image_name(reference), digest, f"{self._policy_hash} {self._facts.places(image)}"
        )
        # Those that the key was made of: others may be read before the verdict is.
        secrets = dict(self._secrets)
        found = self._cache.held(key) or await self._kept(key)
        if found is not None:
            return found
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= MOST_WAITING:
                return self._unknown(image, digest, "too many images wait for their turn")
            task = asyncio.ensure_future(self._cold(key, image, reference, digest, secrets))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # Whoever gives up waiting must not take the work from the others.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return self._unknown(image, digest, "the verification was given up")

    async def _resolved(self, reference: ImageReference) -> str:
        async with self._turn:
            manifest = await self._client.manifest(
                repository_of(reference), reference.tag or "latest"
            )
        return manifest.digest

    async def _kept(self, key: str) -> ImageAnswer | None:
        try:
            return await self._cache.get(key)
        except Exception as error:  # noqa: BLE001 - without what is kept the image is verified anew
            _LOG.error("kept verdicts cannot be read: %s", type(error).__name__)
            return None

    async def _cold(
        self,
        key: str,
        image: str,
        reference: ImageReference,
        digest: str,
        secrets: Mapping[SecretName, str],
    ) -> ImageAnswer:
        try:
            async with self._turn:
                answer = await self._verified(image, reference, digest, secrets)
        except TidewaiterError as error:
            return self._placed(image, [ImageProblem(f"could not be verified: {error.message}")])
        except Exception as error:  # noqa: BLE001 - whatever fails here, the image is not verified
            return self._failed(image, error)
        verified = not answer.signature and not answer.attestation
        try:
            await self._cache.put(key, answer, self._keep[0 if verified else 1])
        except Exception as error:  # noqa: BLE001 - a verdict that is not kept is still one
            _LOG.error("a verdict cannot be kept: %s", type(error).__name__)
        return answer

    async def _verified(
        self,
        image: str,
        reference: ImageReference,
        digest: str,
        secrets: Mapping[SecretName, str],
    ) -> ImageAnswer:
        """Ask every entry that holds for the image about the very digest."""
        signature: list[ImageProblem] = []
        attestation: list[ImageProblem] = []
        pinned = f"{reference.name}@{digest}"
        for place in self._facts.places(image):
            entry = self._facts.entries[place]
            now = self._clock()
            if asks_for(entry, "signature"):
                materials = Materials(secrets)
                asked = signature_requirement(entry, materials)
                what = "is not signed as the policy asks"
                signature += await self._problems(pinned, asked, entry, materials, what, now)
            if asks_for(entry, "attestation"):
                materials = Materials(secrets)
                asked = attestation_requirement(entry, materials, now)
                what = "is not attested as the policy asks"
                attestation += await self._problems(pinned, asked, entry, materials, what, now)
        return ImageAnswer(digest, tuple(signature), tuple(attestation))

    async def _problems(
        self,
        pinned: str,
        asked: ImageRequirement,
        entry: Mapping[str, Any],
        materials: Materials,
        what: str,
        now: datetime,
    ) -> list[ImageProblem]:
        static = _static_answer(entry, asked)
        if static is not None:
            return static
        verdict = await verify_image(pinned, asked, self._client, now=now)
        if verdict.status == "verified":
            return []
        named = f" ({entry['name']})" if entry.get("name") else ""
        if verdict.status == "refused" and not materials.missing:
            return [ImageProblem(f"{what}{named}: {_reasons(verdict)}")]
        reasons = "; ".join(dict.fromkeys(materials.missing)) or _reasons(verdict)
        return [_not_known(entry, f"could not be verified{named}: {reasons}")]

    def _is_static(self, image: str) -> bool:
        """Tell whether the policy's answer for an image is made without looking."""
        return all(
            "static" in row["authorities"] and not row.get("attestations")
            for row in map(self._facts.entries.__getitem__, self._facts.places(image))
        )

    def _unknown(self, image: str, digest: str, reason: str) -> ImageAnswer:
        message = f"could not be verified: {reason}"
        entries = [self._facts.entries[place] for place in self._facts.places(image)]
        signature = [_not_known(row, message) for row in entries if asks_for(row, "signature")]
        attestation = [_not_known(row, message) for row in entries if asks_for(row, "attestation")]
        return ImageAnswer(digest, _distinct(signature), _distinct(attestation))

    def _failed(self, image: str, error: Exception) -> ImageAnswer:
        _LOG.error("verifying %s failed: %s: %s", image, type(error).__name__, error)
        message = "could not be verified: this failed; please report it as a defect"
        return self._placed(image, [ImageProblem(message, unknown=True)])

    def _placed(self, image: str, problems: list[ImageProblem]) -> ImageAnswer:
        """Return an answer with the problems in each part that is asked for: no part may pass without."""
        return ImageAnswer(
            "",
            tuple(problems) if self._facts.asks(image, "signature") else (),
            tuple(problems) if self._facts.asks(image, "attestation") else (),
        )

    async def _read_secrets(self) -> None:
        """Read the Secrets that the policy names; what could be read before is kept while they cannot."""
        if not self._secret_names or self._read_secret is None:
            return
        # Under a lock: who asks while the first reading is under way must not go on without it.
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._secrets_read_at is not None and now - self._secrets_read_at < SECRETS_KEPT:
                return
            await self._read_all(self._read_secret)
            self._secrets_read_at = now

    async def _read_all(self, read: ReadSecret) -> None:
        for namespace, name, key in self._secret_names:
            try:
                content = await read(namespace, name)
            except TidewaiterError as error:
                _LOG.warning("Secret %s/%s cannot be read: %s", namespace, name, error.message)
                if getattr(error, "status", 0) in _GONE:  # a key that was taken away counts no more
                    self._secrets.pop((namespace, name, key), None)
                continue
            text = content.get(key)
            if text is None:
                self._secrets.pop((namespace, name, key), None)
            else:
                self._secrets[namespace, name, key] = text.decode("utf-8", "replace")
        self._policy_hash = self._hashed()

    def _hashed(self) -> str:
        rows = [self._facts.entries, self._facts.settings, sorted(self._secrets.items())]
        content = json.dumps(rows, sort_keys=True, default=str)
        return name_of((__version__.encode(), content.encode()))


def _secret_rows(facts: ImageFacts) -> list[Mapping[str, Any]]:
    return [
        material
        for entry in facts.entries
        for part in signing_parts(entry)
        for material in materials_of(part)
        if "secretRef" in material
    ]


def _static_answer(entry: Mapping[str, Any], asked: ImageRequirement) -> list[ImageProblem] | None:
    """Return the answer of an entry that looks at nothing, or None for others."""
    stated = entry["authorities"].get("static")
    if stated is None or asked.attestations:
        return None
    named = f" ({entry['name']})" if entry.get("name") else ""
    return [] if stated == "pass" else [ImageProblem(f"is refused by the policy{named}")]


def _not_known(entry: Mapping[str, Any], message: str) -> ImageProblem:
    severity = {"warn": "warning", "allow": "info"}.get(entry.get("onUnreachable", "deny"))
    return ImageProblem(message, unknown=True, severity=severity)


def _distinct(problems: list[ImageProblem]) -> tuple[ImageProblem, ...]:
    return tuple(dict.fromkeys(problems))


def _reasons(verdict: ImageVerdict) -> str:
    reasons = list(dict.fromkeys(verdict.reasons)) or ["no reason is known"]
    shown = "; ".join(reasons[:_SHOWN_REASONS])
    shown = "".join(
        char if char.isprintable() else "�" for char in shown
    )  # some are a registry's words
    if len(reasons) > _SHOWN_REASONS:
        shown += f"; and {len(reasons) - _SHOWN_REASONS} more"
    return shown if len(shown) <= _LONGEST_REASON else f"{shown[:_LONGEST_REASON]}…"


def _seconds(stated: object, default: float) -> float:
    return parse_duration(stated) / 10**9 if isinstance(stated, str) else default
