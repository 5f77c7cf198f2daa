"""Finding out what a policy asks of images: concurrently, each image once, with what is kept of earlier answers.

A tag is resolved to its digest once, and the answer is that digest's. Whoever waits for an answer may give up;
the work goes on and is there for the next who asks. No failure here makes an image pass.

Where the logins of a pod's own pull secrets were at hand, what they led to is kept apart: what tags stand for, and
verdicts that refuse. That a digest is signed holds whoever asks, and is kept for all.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
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
from tidewaiter.rules.record import replace as record_replace
from tidewaiter.rules.signatures.cache import (
    KEEP_REFUSED,
    KEEP_VERIFIED,
    VerdictCache,
    tag_key,
    verdict_key,
)
from tidewaiter.rules.signatures.pod_secrets import PodSecrets
from tidewaiter.rules.signatures.registry import repository_of
from tidewaiter.rules.signatures.registry_errors import BadAnswer, OddAnswer, Unreachable
from tidewaiter.rules.signatures.requirement import (
    Materials,
    attestation_requirement,
    secret_name,
    signature_requirement,
)
from tidewaiter.rules.signatures.turns import Turns
from tidewaiter.rules.signatures.verify import verify_image
from tidewaiter.rules.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from tidewaiter.rules.manifest.image import ImageReference
    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.policy.images import ImageFacts
    from tidewaiter.rules.signatures.authority import ImageRequirement
    from tidewaiter.rules.signatures.cache import KnownTag
    from tidewaiter.rules.signatures.pod_secrets import ReadsPullSecrets
    from tidewaiter.rules.signatures.registry import RegistryClient
    from tidewaiter.rules.signatures.requirement import SecretName
    from tidewaiter.rules.signatures.verdict import ImageVerdict

TAG_PATIENCE = 3.0
"""Seconds that a registry has to say what a tag stands for, where it is known what it stood for last."""
_OF_THE_TIME = 0.5
"""The same as a part of the time for the whole answer."""
AT_ONCE = 12
"""Images of one registry that are verified at the same time; each has a few requests under way, and more would wait for the processor."""
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
        pull_secrets: ReadsPullSecrets | None = None,
        most_waiting: int = MOST_WAITING,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Verify for the policy of `facts`.

        Without `read_secret` no Secret with a key can be read, without `pull_secrets` none that pods name.
        """
        self._facts = facts
        self._client = client
        self._cache = cache if cache is not None else VerdictCache()
        self._read_secret = read_secret
        self._pods = PodSecrets(pull_secrets) if pull_secrets is not None else None
        self._most_waiting = most_waiting
        self._clock = clock
        self._turns = Turns(AT_ONCE)
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
        puller: Puller | None = None,
        *,
        seconds: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, ImageAnswer]:
        """Return the answer for each image that the policy asks something of, as one puller has them.

        What takes longer than `seconds` is unknown. Images that are no references are left out: the
        rules say what is wrong with them.
        """
        found = await self.find_all({puller: images}, seconds=seconds, progress=progress)
        return found[puller]

    async def find_all(
        self,
        images: Mapping[Puller | None, Iterable[str]],
        *,
        seconds: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[Puller | None, dict[str, ImageAnswer]]:
        """Return the answers of several pullers; see `find_out`."""
        answers: dict[Puller | None, dict[str, ImageAnswer]] = {puller: {} for puller in images}
        wanted = [
            (puller, image)
            for puller, theirs in images.items()
            for image in dict.fromkeys(theirs)
            if self._asks(image)
        ]
        if not wanted:
            return answers
        patience = TAG_PATIENCE if seconds is None else min(TAG_PATIENCE, seconds * _OF_THE_TIME)
        tasks = {
            each: asyncio.ensure_future(self._answer(each[1], each[0], patience)) for each in wanted
        }
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
        for (puller, image), task in tasks.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                answers[puller][image] = task.result()
            else:
                late = self._unknown(image, "", "the time for the answer is over")
                answers[puller][image] = late
        return answers

    async def aclose(self) -> None:
        """Give up what still runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pods is not None:
            await self._pods.aclose()

    def _asks(self, image: str) -> bool:
        try:
            return bool(self._facts.places(image))
        except InvalidImage:
            return False

    async def _answer(self, image: str, puller: Puller | None, patience: float) -> ImageAnswer:
        """Answer for one image; raises nothing."""
        asking = _Asking(self._client)
        try:
            reference = parse_image(image)
            await self._read_secrets()
            if reference.digest is None and self._is_static(image):
                return await self._verified(image, reference, "", self._secrets, self._client)
            if puller is not None and reference.digest is not None:
                # What holds for all needs no Secrets, which may be slow to read.
                found = await self._known(self._verdict_key(image, reference, reference.digest))
                if found is not None and _is_verified(found):
                    return found
            asking = await self._asking(image, reference, puller)
            digest, problem = reference.digest, None
            if digest is None:
                digest, problem = await self._resolved(reference, asking, patience)
        except BadAnswer as error:
            answer = self._placed(image, [ImageProblem(f"could not be verified: {error.message}")])
        except TidewaiterError as error:
            answer = self._unknown(image, "", error.message)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the image is not verified
            return self._failed(image, error)
        else:
            answer = self._beside(image, await self._of(image, reference, digest, asking), problem)
        return _told(answer, asking.problems)

    async def _of(
        self, image: str, reference: ImageReference, digest: str, asking: _Asking
    ) -> ImageAnswer:
        """Answer for a digest: by what is kept, by who asks already, or anew."""
        shared = self._verdict_key(image, reference, digest)
        key = self._verdict_key(image, reference, digest, asking.scope)
        # Those that the key was made of: others may be read before the verdict is.
        secrets = dict(self._secrets)
        for each in dict.fromkeys((shared, key)):
            found = await self._known(each)
            if found is not None and (each == key or _is_verified(found)):
                return found
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= self._most_waiting:
                return self._unknown(image, digest, "too many images wait for their turn")
            cold = self._cold((shared, key), image, reference, digest, secrets, asking.client)
            task = asyncio.ensure_future(cold)
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # Whoever gives up waiting must not take the work from the others.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return self._unknown(image, digest, "the verification was given up")

    def _verdict_key(
        self, image: str, reference: ImageReference, digest: str, scope: str = ""
    ) -> str:
        """Return the key of a verdict that holds for all, or for the logins of a scope alone."""
        asked = f"{self._policy_hash} {self._facts.places(image)}"
        return verdict_key(image_name(reference), digest, asked, scope)

    async def _known(self, key: str) -> ImageAnswer | None:
        return self._cache.held(key) or await self._kept(key)

    async def _asking(
        self, image: str, reference: ImageReference, puller: Puller | None
    ) -> _Asking:
        """Return who asks: a puller's own client where its Secrets have a login for what is asked."""
        if puller is None or self._pods is None:
            return _Asking(self._client)
        logins = await self._pods.of(puller)
        places = [repository_of(reference)]
        for place in self._facts.places(image):
            elsewhere = self._facts.entries[place].get("signatureRepository")
            with suppress(InvalidImage):  # which is told where it is asked
                places += [repository_of(parse_image(elsewhere))] if elsewhere else []
        if not any(map(logins.know, places)):
            return _Asking(self._client, problems=logins.problems)
        if logins.client is None:
            logins.client = self._client.logged_in_by(logins)
        return _Asking(logins.client, logins.version, logins.problems)

    async def _resolved(
        self, reference: ImageReference, asking: _Asking, patience: float
    ) -> tuple[str, ImageProblem | None]:
        """Return what a tag stands for, and what is to be said of that.

        While its registry cannot be reached that is what it stood for last, if the policy lets it. A registry that
        answers is believed, whatever it says.
        """
        place, tag = repository_of(reference), reference.tag or "latest"
        key = tag_key(image_name(reference), tag, self._policy_hash, asking.scope)
        keep = self._keep[0] if self._facts.settings.get("lastKnownTags", True) else 0.0
        try:
            # Who waits for a turn does not wait for the registry.
            async with self._turns.of(place.registry), asyncio.timeout(patience if keep else None):
                digest = (await asking.client.manifest(place, tag)).digest
        except TimeoutError:
            known = await self._known_tag(key)
            if known is not None:
                return known.digest, _last_known(known, tag, f"no answer within {patience:g} s")
            async with self._turns.of(place.registry):
                digest = (await asking.client.manifest(place, tag)).digest
        except OddAnswer:
            raise
        except Unreachable as error:
            known = await self._known_tag(key) if keep else None
            if known is None:
                raise
            return known.digest, _last_known(known, tag, error.message)
        try:
            await self._cache.put_tag(key, digest, keep)
        except Exception as error:  # noqa: BLE001 - what is not kept is looked up again
            _LOG.error("what a tag stands for cannot be kept: %s", type(error).__name__)
        return digest, None

    async def _known_tag(self, key: str) -> KnownTag | None:
        try:
            return await self._cache.tag(key)
        except Exception as error:  # noqa: BLE001 - as with verdicts
            _LOG.error("what tags stood for cannot be read: %s", type(error).__name__)
            return None

    def _beside(self, image: str, answer: ImageAnswer, problem: ImageProblem | None) -> ImageAnswer:
        """Return an answer with a problem more, said once."""
        if problem is None:
            return answer
        if self._facts.asks(image, "signature"):
            return record_replace(answer, signature=(*answer.signature, problem))
        return record_replace(answer, attestation=(*answer.attestation, problem))

    async def _kept(self, key: str) -> ImageAnswer | None:
        try:
            return await self._cache.get(key)
        except Exception as error:  # noqa: BLE001 - without what is kept the image is verified anew
            _LOG.error("kept verdicts cannot be read: %s", type(error).__name__)
            return None

    async def _cold(
        self,
        keys: tuple[str, str],
        image: str,
        reference: ImageReference,
        digest: str,
        secrets: Mapping[SecretName, str],
        client: RegistryClient,
    ) -> ImageAnswer:
        """Verify; of the keys the first is for a verdict that all may know, the other for one of whoever asked."""
        try:
            async with self._turns.of(reference.registry):
                answer = await self._verified(image, reference, digest, secrets, client)
        except TidewaiterError as error:
            return self._placed(image, [ImageProblem(f"could not be verified: {error.message}")])
        except Exception as error:  # noqa: BLE001 - whatever fails here, the image is not verified
            return self._failed(image, error)
        place = 0 if _is_verified(answer) else 1
        try:
            await self._cache.put(keys[place], answer, self._keep[place])
        except Exception as error:  # noqa: BLE001 - a verdict that is not kept is still one
            _LOG.error("a verdict cannot be kept: %s", type(error).__name__)
        return answer

    async def _verified(
        self,
        image: str,
        reference: ImageReference,
        digest: str,
        secrets: Mapping[SecretName, str],
        client: RegistryClient,
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
                signature += await self._problems(
                    pinned, asked, entry, materials, what, now, client
                )
            if asks_for(entry, "attestation"):
                materials = Materials(secrets)
                asked = attestation_requirement(entry, materials, now)
                what = "is not attested as the policy asks"
                attestation += await self._problems(
                    pinned, asked, entry, materials, what, now, client
                )
        return ImageAnswer(digest, tuple(signature), tuple(attestation))

    async def _problems(
        self,
        pinned: str,
        asked: ImageRequirement,
        entry: Mapping[str, Any],
        materials: Materials,
        what: str,
        now: datetime,
        client: RegistryClient,
    ) -> list[ImageProblem]:
        static = _static_answer(entry, asked)
        if static is not None:
            return static
        verdict = await verify_image(pinned, asked, client, now=now)
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


@dataclass(frozen=True, slots=True)
class _Asking:
    """By which client an image is asked about, what its logins are told from others by, and what they lack."""

    client: RegistryClient
    scope: str = ""
    problems: tuple[str, ...] = ()


def _is_verified(answer: ImageAnswer) -> bool:
    return not answer.signature and not answer.attestation


def _last_known(known: KnownTag, tag: str, reason: str) -> ImageProblem:
    seen = datetime.fromtimestamp(known.seen, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = (
        f"is taken for what the tag {tag} stood for at {seen}, {known.digest}, "
        f"as the registry cannot be asked now ({reason})"
    )
    return ImageProblem(message, unknown=True, severity="warning")


def _told(answer: ImageAnswer, problems: Sequence[str]) -> ImageAnswer:
    """Return an answer whose reasons say what logins it was made without."""
    if not problems or _is_verified(answer):
        return answer
    said = "; ".join(problems)[:_LONGEST_REASON]
    return ImageAnswer(
        answer.digest,
        tuple(
            record_replace(each, message=f"{each.message} ({said})") for each in answer.signature
        ),
        tuple(
            record_replace(each, message=f"{each.message} ({said})") for each in answer.attestation
        ),
    )


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
