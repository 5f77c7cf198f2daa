"""Find out whether an image is signed and attested as is asked.

The answer binds to one digest: a tag is resolved once, and every signature must name that digest. A yes
needs a signature that was verified; whatever goes wrong on the way is a no or an unknown:

    refused   all there is was looked at and does not fulfil what is asked, or the registry cannot be believed
    unknown   the registry, a trust root or time was wanting, so that a signature may have been overlooked
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tidewaiter.rules.errors import TidewaiterError
from tidewaiter.rules.manifest.image import InvalidImage, parse_image
from tidewaiter.rules.signatures.authority import (
    AllOf,
    AnyOf,
    AtLeast,
    KeylessAuthority,
    StaticAuthority,
)
from tidewaiter.rules.signatures.registry import Repository, is_digest, repository_of
from tidewaiter.rules.signatures.registry_errors import BadAnswer
from tidewaiter.rules.signatures.search import search
from tidewaiter.rules.signatures.statement import BadSignature
from tidewaiter.rules.signatures.trust import Undecided, check
from tidewaiter.rules.signatures.verdict import Evidence, ImageVerdict, VerifiedAttestation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from tidewaiter.rules.signatures.authority import (
        AttestationRequirement,
        Authorities,
        Authority,
        ImageRequirement,
    )
    from tidewaiter.rules.signatures.candidate import Candidate
    from tidewaiter.rules.signatures.registry import Manifest, RegistryClient
    from tidewaiter.rules.signatures.search import Found

DEADLINE = 30.0
"""Seconds for one image, whatever its registry does."""
PLATFORMS = 64
"""Platforms of an index that are looked at; with more it is refused."""
REASONS = 12
"""Reasons that an answer gives; an image with hundreds of bad signatures has as many."""

Status = Literal["verified", "refused", "unknown"]


async def verify_image(
    reference: str,
    requirement: ImageRequirement,
    client: RegistryClient,
    *,
    now: datetime,
    deadline: float = DEADLINE,
) -> ImageVerdict:
    """Answer for one image. Every failure to find out is an `unknown`; none is raised."""
    run = _Run(reference, requirement, client, now)
    try:
        async with asyncio.timeout(deadline):
            return await run.verdict()
    except TimeoutError:
        return run.ended("unknown", f"it could not be found out within {deadline:g} s")
    except InvalidImage as error:
        return run.ended("unknown", str(error))
    except BadAnswer as error:
        return run.ended("refused", error.message)
    except TidewaiterError as error:
        return run.ended("unknown", str(error))
    except Exception as error:  # noqa: BLE001 - a defect must not let an image pass, nor end a review
        return run.ended("unknown", f"internal error: {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class _Part:
    """The answer to one part of what is asked."""

    status: Status
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    attestations: tuple[VerifiedAttestation, ...] = ()


class _Run:
    """One image being verified."""

    def __init__(
        self, reference: str, requirement: ImageRequirement, client: RegistryClient, now: datetime
    ) -> None:
        self._reference = reference
        self._requirement = requirement
        self._client = client
        self._now = now
        self._digest = ""

    def ended(self, status: Status, reason: str) -> ImageVerdict:
        """Return an answer without evidence."""
        return ImageVerdict(self._reference, self._digest, status, (reason,))

    async def verdict(self) -> ImageVerdict:
        image = parse_image(self._reference)
        self._digest = image.digest or ""
        asked = self._requirement
        if asked.authorities is not None and not asked.attestations:
            known = _static(asked.authorities)
            if known is not None:
                return self._answer(known)
        repository = repository_of(image)
        if self._digest and asked.target == "index":
            # The signatures do not wait for the manifest, which must be there all the same.
            _, found = await _both(
                self._client.manifest(repository, self._digest),
                self._search(repository, self._digest),
            )
            return self._answer(await self._judged(self._digest, repository, found))
        manifest_read = await self._client.manifest(
            repository, self._digest or image.tag or "latest"
        )
        self._digest = manifest_read.digest
        return self._answer(await self._targets(repository, manifest_read))

    def _answer(self, part: _Part) -> ImageVerdict:
        reasons = part.reasons
        if len(reasons) > REASONS:
            reasons = (*reasons[:REASONS], f"and {len(reasons) - REASONS} reasons more")
        if part.status == "verified":
            reasons = ()
        return ImageVerdict(
            self._reference,
            self._digest,
            part.status,
            reasons,
            part.evidence if part.status == "verified" else (),
            part.attestations if part.status == "verified" else (),
        )

    async def _targets(self, repository: Repository, manifest: Manifest) -> _Part:
        """Answer by what must be signed of an index."""
        target = self._requirement.target
        if target == "index" or not manifest.is_index:
            return await self._of(repository, manifest.digest)
        if target == "either":
            whole = await self._of(repository, manifest.digest)
            if whole.status == "verified":
                return whole
            each = await self._platforms(repository, manifest)
            return _combined("any", 1, [whole, each])
        return await self._platforms(repository, manifest)

    async def _platforms(self, repository: Repository, manifest: Manifest) -> _Part:
        digests = _platform_digests(manifest)
        parts = await asyncio.gather(*(self._of(repository, digest) for digest in digests))
        named = [
            _Part(
                part.status,
                tuple(f"platform {digest[:19]}…: {reason}" for reason in part.reasons),
                part.evidence,
                part.attestations,
            )
            for digest, part in zip(digests, parts, strict=True)
        ]
        return _combined("all", len(named), named)

    async def _of(self, repository: Repository, digest: str) -> _Part:
        found = await self._search(repository, digest)
        return await self._judged(digest, repository, found)

    async def _judged(self, digest: str, repository: Repository, found: Found) -> _Part:
        # Certificates, logs and large RSA keys take milliseconds, which an event loop should not spend.
        return await asyncio.to_thread(self._judge, digest, repository, found)

    async def _search(self, repository: Repository, digest: str) -> Found:
        elsewhere = self._requirement.signature_repository
        if elsewhere:
            repository = repository_of(parse_image(elsewhere))
        return await search(
            self._client, repository, digest, attestations=bool(self._requirement.attestations)
        )

    def _judge(self, digest: str, repository: Repository, found: Found) -> _Part:
        asked = self._requirement
        judge = _Judge(digest, repository, found, self._now)
        parts = []
        if asked.authorities is not None:
            parts.append(judge.signatures(asked))
        for attestation in asked.attestations:
            authorities = attestation.authorities or asked.authorities
            parts.append(judge.attestation(attestation, authorities))
        return _combined("all", len(parts), parts)


class _Judge:
    """Decides over what was found for one digest."""

    def __init__(self, digest: str, repository: Repository, found: Found, now: datetime) -> None:
        self._digest = digest
        self._repository = repository
        self._found = found
        self._now = now

    def signatures(self, asked: ImageRequirement) -> _Part:
        """Answer whether the image is signed by whom it must be."""

        def unfit(candidate: Candidate) -> str | None:
            if not candidate.statement.is_signature:
                return f"is an attestation ({candidate.statement.predicate_type}), no signature"
            signed = candidate.statement.annotations(self._digest)
            for key, value in asked.annotations:
                if signed.get(key) != value:
                    return f"has not the annotation {key}={value}"
            if asked.same_reference and not _names(candidate.statement.reference, self._repository):
                shown = candidate.statement.reference or "nothing"
                return f"was made for {shown}, not for {self._repository.name}"
            return None

        if asked.authorities is None:
            return _Part("refused", ("nobody is named who may sign",))
        return self._satisfied(asked.authorities, unfit, "no signature")

    def attestation(self, asked: AttestationRequirement, authorities: Authorities | None) -> _Part:
        """Answer whether an attestation of a type is there, signed, and fulfils its condition."""
        what = f"no attestation of type {asked.predicate_type}"
        undecided: list[str] = []

        def unfit(candidate: Candidate) -> str | None:
            if candidate.statement.predicate_type != asked.predicate_type:
                return ""
            if asked.condition is None:
                return None
            try:
                return asked.condition(candidate.statement.predicate)
            except TidewaiterError as error:
                undecided.append(str(error))
                return f"the condition cannot be answered: {error}"

        if authorities is None:
            return _Part("refused", (f"nobody is named who may sign {asked.predicate_type}",))
        part = self._satisfied(authorities, unfit, what, static=False)
        if part.status == "refused" and undecided:
            return _Part("unknown", part.reasons)
        return part

    def _satisfied(
        self,
        authorities: Authorities,
        unfit: Callable[[Candidate], str | None],
        nothing: str,
        *,
        static: bool = True,
    ) -> _Part:
        """Answer for authorities; where `static` is false, one that asks nobody cannot say yes."""
        if isinstance(authorities, AnyOf | AllOf | AtLeast):
            parts = [
                self._satisfied(part, unfit, nothing, static=static) for part in authorities.parts
            ]
            if isinstance(authorities, AnyOf):
                return _combined("any", 1, parts)
            if isinstance(authorities, AllOf):
                return _combined("all", len(parts), parts)
            return _combined("least", authorities.count, parts)
        if not isinstance(authorities, StaticAuthority):
            return self._by(authorities, unfit, nothing)
        if authorities.passes and not static:
            return _Part("refused", (f"{authorities.name}: a static authority attests nothing",))
        return _static_part(authorities)

    def _by(
        self, authority: Authority, unfit: Callable[[Candidate], str | None], nothing: str
    ) -> _Part:
        """Answer for one authority: the first signature that fits and that it has made is enough."""
        reasons: list[str] = []
        undecided = list(self._found.unread)
        for candidate in self._found.candidates:
            try:
                misfit = self._misfit(candidate, unfit)
                if misfit is None:
                    evidence = self._evidence(authority, candidate)
                    attested = VerifiedAttestation(
                        candidate.statement.predicate_type, candidate.statement.predicate, evidence
                    )
                    attestations = () if candidate.statement.is_signature else (attested,)
                    return _Part("verified", (), (evidence,), attestations)
                if misfit:
                    reasons.append(f"{_called(candidate)} {misfit}{_also(authority, candidate)}")
            except BadSignature as error:
                reasons.append(f"{_called(candidate)}: {error}")
            except Undecided as error:
                undecided.append(error.message)
        if undecided:
            return _Part(
                "unknown", tuple(dict.fromkeys(f"{authority.name}: {why}" for why in undecided))
            )
        reasons += self._found.rejected
        if not reasons:
            return _Part("refused", (f"{authority.name}: {nothing}",))
        return _Part("refused", tuple(f"{authority.name}: {reason}" for reason in reasons))

    def _misfit(self, candidate: Candidate, unfit: Callable[[Candidate], str | None]) -> str | None:
        if not candidate.statement.names(self._digest):
            others = ", ".join(sorted({digest for digest, _ in candidate.statement.subjects}))
            return f"is of another image: {others[:160] or 'none'}"
        return unfit(candidate)

    def _evidence(self, authority: Authority, candidate: Candidate) -> Evidence:
        if isinstance(authority, StaticAuthority):
            raise BadSignature("a static authority signs nothing")
        signer = check(authority, candidate, self._now)
        return Evidence(
            authority.name,
            signer.name,
            candidate.form,
            self._digest,
            candidate.statement.predicate_type,
            signer.signed_at,
        )


def _combined(how: Literal["any", "all", "least"], count: int, parts: Sequence[_Part]) -> _Part:
    """Combine answers: an unknown part counts as either, whichever leaves the whole undecided."""
    verified = [part for part in parts if part.status == "verified"]
    unknown = [part for part in parts if part.status == "unknown"]
    evidence = tuple(one for part in verified for one in part.evidence)
    attestations = tuple(one for part in verified for one in part.attestations)
    if parts and len(verified) >= max(1, count):
        return _Part("verified", (), evidence, attestations)
    open_parts = len(verified) + len(unknown) >= max(1, count)
    status: Status = "unknown" if unknown and open_parts else "refused"
    told = [part for part in parts if part.status == status] or list(parts)
    reasons = tuple(dict.fromkeys(reason for part in told for reason in part.reasons))
    if how == "least":
        lead = f"{len(verified)} of {len(parts)} authorities have signed, {count} must"
        reasons = (lead, *reasons)
    return _Part(status, reasons or ("nothing is asked that could be fulfilled",))


def _static(authorities: Authorities) -> _Part | None:
    """Return the answer that needs no registry, None where one is needed."""
    if isinstance(authorities, StaticAuthority):
        return _static_part(authorities)
    if not isinstance(authorities, AnyOf | AllOf | AtLeast):
        return None
    parts = [_static(part) for part in authorities.parts]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    counts = {AnyOf: 1, AllOf: len(parts)}
    count = authorities.count if isinstance(authorities, AtLeast) else counts[type(authorities)]
    return _combined("all", count, known)


def _static_part(authority: StaticAuthority) -> _Part:
    if authority.passes:
        return _Part("verified")
    return _Part("refused", (f"{authority.name}: {authority.message or 'refused without asking'}",))


def _platform_digests(manifest: Manifest) -> list[str]:
    """Return the platforms of an index, without the attestations that BuildKit lists among them."""
    listed = manifest.document.get("manifests")
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise BadAnswer(f"the index {manifest.digest} has manifests that are no list of objects")
    digests = []
    for entry in listed:
        digest = entry.get("digest")
        if not isinstance(digest, str) or not is_digest(digest):
            raise BadAnswer(f"the index {manifest.digest} has an entry without a digest")
        if not _is_build_record(entry):
            digests.append(digest)
    if not digests:
        raise BadAnswer(f"the index {manifest.digest} is empty")
    if len(digests) > PLATFORMS:
        raise BadAnswer(f"the index {manifest.digest} has more than {PLATFORMS} platforms")
    return list(dict.fromkeys(digests))


def _is_build_record(entry: dict[str, Any]) -> bool:
    """Tell whether an entry is what BuildKit writes of a build, which no node can run.

    https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
    """
    platform, annotations = entry.get("platform"), entry.get("annotations")
    return (
        isinstance(platform, dict)
        and platform.get("os") == platform.get("architecture") == "unknown"
        and isinstance(annotations, dict)
        and annotations.get("vnd.docker.reference.type") == "attestation-manifest"
    )


def _names(reference: str, repository: Repository) -> bool:
    try:
        return repository_of(parse_image(reference)) == repository
    except InvalidImage:
        return False


def _also(authority: Authority, candidate: Candidate) -> str:
    logged = candidate.bundle_entries or candidate.log_entry is not None
    if isinstance(authority, KeylessAuthority) and not logged:
        return ", and it has no transparency log entry"
    return ""


def _called(candidate: Candidate) -> str:
    return f"{candidate.form} {candidate.digest[:19]}…"


async def _both(
    first: Coroutine[Any, Any, Manifest], second: Coroutine[Any, Any, Found]
) -> tuple[Manifest, Found]:
    """Await both; where one fails, end the other."""
    tasks = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
