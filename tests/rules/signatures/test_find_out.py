"""What a policy asks of images is found out of a real registry, and kept while it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.rules.signatures.registry_server import RegistryServer, Reply
from tests.rules.signatures.signing import keys, payload, push_simple, signed_payload
from tests.signed_images import Registry, Signer
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.image_answers import ImageAnswer
from tidewaiter.rules.policy.images import ImageFacts
from tidewaiter.rules.signatures.cache import VerdictCache
from tidewaiter.rules.signatures.cache_stores import open_cache
from tidewaiter.rules.signatures.find_out import ImageVerifier
from tidewaiter.rules.signatures.registry import RegistryClient

VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FRESH = {
    "scanner": {"result": {"critical": 0}},
    "metadata": {"scanFinishedOn": "2026-11-24T00:00:00Z"},
}
OLD = {
    "scanner": {"result": {"critical": 0}},
    "metadata": {"scanFinishedOn": "2026-11-01T00:00:00Z"},
}
BROKEN = {
    "scanner": {"result": {"critical": 3}},
    "metadata": {"scanFinishedOn": "2026-11-24T00:00:00Z"},
}
WEEK = "now - timestamp(predicate.metadata.scanFinishedOn) < duration('168h')"
CLEAN = "predicate.scanner.result.critical == 0"

pytestmark = pytest.mark.slow

ONE, OTHER = Signer(), Signer()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path)
    yield made
    made.stop()


def key(signer: Signer, **more: Any) -> dict[str, Any]:
    return {"key": {"data": signer.public}, "transparencyLog": "ignored", **more}


def entry(authorities: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"match": ["**"], "authorities": authorities, **more}


def found(
    entries: list[dict[str, Any]],
    *images: str,
    cache: VerdictCache | None = None,
    settings: dict[str, Any] | None = None,
    **more: Any,
) -> list[ImageAnswer]:
    async def run() -> list[ImageAnswer]:
        async with RegistryClient() as client:
            verifier = ImageVerifier(
                ImageFacts(entries, settings), client, cache, clock=lambda: NOW, **more
            )
            answers = await verifier.find_out(images)
            await verifier.aclose()
            return [answers[image] for image in images]

    return asyncio.run(run())


def passes(entries: list[dict[str, Any]], image: str, **more: Any) -> bool:
    (answer,) = found(entries, image, **more)
    return not answer.signature and not answer.attestation


def test_authorities_combine(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE)
    one, other = key(ONE), key(OTHER)
    for authorities, expected in (
        (one, True),
        (other, False),
        ({"anyOf": [other, one]}, True),
        ({"allOf": [other, one]}, False),
        ({"allOf": [one, {"static": "pass"}]}, True),
        ({"atLeast": {"count": 2, "of": [one, other, {"static": "pass"}]}}, True),
        ({"atLeast": {"count": 2, "of": [one, other, {"static": "deny"}]}}, False),
        ({"anyOf": [{"allOf": [one, other]}, {"allOf": [one]}]}, True),
        ({"static": "deny"}, False),
    ):
        assert passes([entry(authorities)], image) is expected, authorities


def test_every_entry_that_matches_must_hold_unless_the_first_decides(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE)
    entries = [entry(key(ONE)), entry(key(OTHER))]
    assert not passes(entries, image)
    assert passes(entries, image, settings={"matching": "first"})


def test_annotations_must_match(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE, {"env": "prod"})
    assert passes([entry(key(ONE), annotations={"env": "prod"})], image)
    assert not passes([entry(key(ONE), annotations={"env": "test"})], image)


def test_one_attestation_must_fulfil_all_conditions(registry: Registry) -> None:
    conditions = [
        {"expression": WEEK, "message": "the scan is older than 7 days"},
        {"expression": CLEAN},
    ]
    wanted = [{"type": VULN, "conditions": conditions}]
    for name, predicates, expected in (
        ("fresh", [FRESH], ""),
        ("renewed", [OLD, FRESH], ""),
        ("old", [OLD], "the scan is older than 7 days"),
        ("each-half", [OLD, BROKEN], "the scan is older than 7 days"),
        ("other-shape", [{"metadata": {}}], "the scan is older than 7 days"),
    ):
        image = registry.image(f"shop/{name}")
        registry.sign(image, ONE)
        registry.attest(image, ONE, VULN, *predicates)
        (answer,) = found([entry(key(ONE), attestations=wanted)], image)
        assert not answer.signature
        assert [expected in each.message for each in answer.attestation] == (
            [True] if expected else []
        ), answer


def test_an_attestation_may_have_authorities_of_its_own(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE)
    registry.attest(image, OTHER, VULN, FRESH)
    assert not passes([entry(key(ONE), attestations=[{"type": VULN}])], image)
    assert passes(
        [entry(key(ONE), attestations=[{"type": VULN, "authorities": key(OTHER)}])], image
    )


def test_an_attestation_alone_may_be_asked_for(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.attest(image, ONE, VULN, FRESH)
    wanted = [{"type": VULN}]
    assert not passes([entry(key(ONE), attestations=wanted)], image)
    assert passes([entry(key(ONE), attestations=wanted, signatures="ignored")], image)


def test_a_tag_stands_for_one_digest(registry: Registry) -> None:
    image = registry.image("shop/api", "1.4")
    registry.sign(image, ONE)
    tagged = f"{registry.host}/shop/api:1.4"
    (answer,) = found([entry(key(ONE))], tagged)
    assert answer == ImageAnswer(image.partition("@")[2])
    registry.image("shop/api", "1.4", salt="moved")
    assert not passes([entry(key(ONE))], tagged)


def test_while_the_registry_is_away_what_is_kept_still_counts(
    registry: Registry, tmp_path: Path
) -> None:
    place = f"sqlite:{tmp_path / 'verdicts.sqlite'}"
    signed, unsigned, new = (
        registry.image(f"shop/{name}") for name in ("signed", "unsigned", "new")
    )
    registry.sign(signed, ONE)
    entries = [entry(key(ONE))]
    before = found(entries, signed, unsigned, cache=open_cache(place))
    registry.stop()
    after = found(entries, signed, unsigned, new, cache=open_cache(place))
    assert after[:2] == before
    assert [each.unknown for each in after[2].signature] == [True]
    (other_key,) = found([entry(key(OTHER))], signed, cache=open_cache(place))
    assert [each.unknown for each in other_key.signature] == [True], "kept for another policy"
    registry.start()
    (back,) = found(entries, new, cache=open_cache(place))
    assert [each.unknown for each in back.signature] == [False], "what was not known was not kept"


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_while_the_registry_is_away_a_tag_is_what_it_last_was(
    registry: Registry, tmp_path: Path, place: str
) -> None:
    memory = VerdictCache()

    def kept() -> VerdictCache:
        """As a process that has started anew has it, where it is on a disk."""
        on_disk = f"sqlite:{tmp_path / 'verdicts.sqlite'}"
        return memory if place == "memory" else open_cache(on_disk)

    signed = registry.image("shop/signed", "1.4")
    registry.image("shop/bad", "1.4")
    registry.sign(signed, ONE)
    tagged, bad, new = (f"{registry.host}/shop/{name}:1.4" for name in ("signed", "bad", "new"))
    entries = [entry(key(ONE))]
    assert found(entries, tagged, bad, cache=kept())[0] == ImageAnswer(signed.partition("@")[2])
    registry.stop()
    after, refused, unknown = found(entries, tagged, bad, new, cache=kept())
    (problem,) = after.signature
    assert (after.digest, problem.severity) == (signed.partition("@")[2], "warning")
    assert problem.message.startswith("is taken for what the tag 1.4 stood for at 2")
    assert f"Z, {signed.partition('@')[2]}, as the" in problem.message
    assert "cannot be asked now (" in problem.message
    assert [each.severity for each in refused.signature] == [None, "warning"], "still refused"
    assert [(each.unknown, each.severity) for each in unknown.signature] == [(True, None)]
    (off,) = found(entries, tagged, cache=kept(), settings={"lastKnownTags": False})
    assert [(each.unknown, each.severity) for each in off.signature] == [(True, None)]


def test_a_registry_that_answers_is_believed_whatever_a_tag_was(registry: Registry) -> None:
    kept = VerdictCache()
    registry.sign(registry.image("shop/api", "1.4"), ONE)
    tagged = f"{registry.host}/shop/api:1.4"
    entries = [entry(key(ONE))]
    assert passes(entries, tagged, cache=kept)
    moved = registry.image("shop/api", "1.4", salt="moved").partition("@")[2]
    (answer,) = found(entries, tagged, cache=kept)
    assert (answer.digest, [each.unknown for each in answer.signature]) == (moved, [False])
    registry.stop()
    (answer,) = found(entries, tagged, cache=kept)
    assert answer.digest == moved, "what was seen last counts"


def test_a_tag_that_is_gone_is_not_what_it_was() -> None:
    with_tag = RegistryServer()
    try:
        digest = with_tag.push_image("app")
        signed = signed_payload(payload(digest), keys()["Ed25519"].sign)
        push_simple(with_tag, "app", digest, [signed])
        tagged = f"{with_tag.host}/app:v1"
        authority = {"key": {"data": keys()["Ed25519"].pem}, "transparencyLog": "ignored"}
        for status, is_known in ((404, False), (403, False), (418, False), (503, True)):
            kept = VerdictCache()
            assert passes([entry(authority)], tagged, cache=kept)
            with_tag.hooks = [lambda *_, status=status: Reply(status)]
            (answer,) = found([entry(authority)], tagged, cache=kept)
            assert (answer.digest == digest) is is_known, status
            assert all(each.unknown for each in answer.signature), status
            with_tag.hooks = []
    finally:
        with_tag.close()


def test_a_registry_that_hangs_is_not_waited_for_until_the_time_is_over(
    registry: Registry,
) -> None:
    kept = VerdictCache()
    registry.sign(registry.image("shop/api", "1.4"), ONE)
    tagged = f"{registry.host}/shop/api:1.4"
    assert passes([entry(key(ONE))], tagged, cache=kept)
    registry.stop()
    port = int(registry.host.partition(":")[2])

    async def run() -> ImageAnswer:
        async def silent(_: Any, __: Any) -> None:
            await asyncio.sleep(30)

        server = await asyncio.start_server(silent, "127.0.0.1", port)
        async with RegistryClient() as client:
            verifier = ImageVerifier(ImageFacts([entry(key(ONE))]), client, kept, clock=lambda: NOW)
            answers = await verifier.find_out([tagged], seconds=2)
            await verifier.aclose()
        server.close()
        return answers[tagged]

    answer = asyncio.run(run())
    assert answer.digest
    assert [each.severity for each in answer.signature] == ["warning"]


@pytest.mark.parametrize(
    ("stated", "severity"),
    [({}, None), ({"onUnreachable": "warn"}, "warning"), ({"onUnreachable": "allow"}, "info")],
)
def test_the_policy_says_what_follows_where_the_registry_is_away(
    stated: dict[str, str], severity: str | None
) -> None:
    (answer,) = found([entry(key(ONE), **stated)], "localhost:1/shop/api@sha256:" + "0" * 64)
    assert [(each.unknown, each.severity) for each in answer.signature] == [(True, severity)]


def test_what_takes_too_long_is_not_known() -> None:
    async def run() -> None:
        async def silent(_: Any, __: Any) -> None:
            await asyncio.sleep(30)

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        host = f"localhost:{server.sockets[0].getsockname()[1]}"
        image = f"{host}/shop/api@sha256:" + "0" * 64
        async with RegistryClient() as client:
            verifier = ImageVerifier(ImageFacts([entry(key(ONE))]), client)
            start = time.monotonic()
            answers = await verifier.find_out([image], seconds=0.3)
            assert time.monotonic() - start < 2
            assert [each.unknown for each in answers[image].signature] == [True]
            await verifier.aclose()
        server.close()

    asyncio.run(run())


def test_who_asks_for_one_digest_at_once_makes_one_fetch(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE)

    async def run() -> tuple[int, int]:
        async with RegistryClient() as client:
            verifier = ImageVerifier(ImageFacts([entry(key(ONE))]), client)
            await verifier.find_out([image])
            alone = client.requests
            verifier = ImageVerifier(ImageFacts([entry(key(ONE))]), client)
            answers = await asyncio.gather(*(verifier.find_out([image]) for _ in range(50)))
            assert all(not each[image].signature for each in answers)
            return alone, client.requests - alone

    alone, together = asyncio.run(run())
    assert together <= alone


def test_a_key_in_a_secret_is_read_by_who_can(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE)
    reference = {"namespace": "keys", "name": "release", "key": "cosign.pub"}
    authority = {"key": {"secretRef": reference}, "transparencyLog": "ignored"}

    async def read(namespace: str, name: str) -> dict[str, bytes]:
        await asyncio.sleep(0.05)
        assert (namespace, name) == ("keys", "release")
        return {"cosign.pub": ONE.public.encode()}

    async def forbidden(namespace: str, name: str) -> dict[str, bytes]:
        raise ClusterError("forbidden")

    assert passes([entry(authority)], image, read_secret=read)
    unsigned = registry.image("shop/unsigned")
    both = found([entry(authority)], image, unsigned, read_secret=read)
    assert [[each.unknown for each in answer.signature] for answer in both] == [[], [False]]
    for reader in (None, forbidden):
        (answer,) = found([entry(authority)], image, read_secret=reader)
        (problem,) = answer.signature
        assert problem.unknown
        assert "key cosign.pub of Secret keys/release could not be read" in problem.message
    either = {"anyOf": [authority, key(ONE)]}
    assert passes([entry(either)], image)


def test_a_kept_verdict_costs_less_than_a_millisecond(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.sign(image, ONE)

    async def run() -> float:
        async with RegistryClient() as client:
            verifier = ImageVerifier(ImageFacts([entry(key(ONE))]), client)
            await verifier.find_out([image])
            times = []
            for _ in range(50):
                start = time.perf_counter()
                await verifier.find_out([image])
                times.append(time.perf_counter() - start)
            return sorted(times)[5]

    assert asyncio.run(run()) < 0.001


def test_many_images_are_verified_at_once() -> None:
    far = RegistryServer()
    signer = keys()["ECDSA P-256"]
    images = []
    for number in range(20):
        digest = far.push_image(f"api-{number}")
        push_simple(far, f"api-{number}", digest, [signed_payload(payload(digest), signer.sign)])
        images.append(f"{far.host}/api-{number}@{digest}")
    far.delay = 0.1
    authority = {"key": {"data": signer.pem}, "transparencyLog": "ignored"}

    async def run(*groups: list[str]) -> float:
        async with RegistryClient() as client:
            verifier = ImageVerifier(ImageFacts([entry(authority)]), client)
            start = time.perf_counter()
            for group in groups:
                answers = await verifier.find_out(group)
                assert not any(answers[image].signature for image in group)
            return time.perf_counter() - start

    together = min(asyncio.run(run(images)) for _ in range(3))
    assert together * 2 < asyncio.run(run(*([image] for image in images)))
    far.close()


def test_a_defect_lets_nothing_pass(registry: Registry) -> None:
    image = registry.image("shop/api")
    registry.attest(image, ONE, VULN, FRESH)
    registry.sign(image, ONE)
    broken: dict[str, Any] = {"key": {}, "transparencyLog": "ignored"}
    wanted = [{"type": VULN}]
    (answer,) = found([entry(broken, attestations=wanted)], image)
    assert answer.signature
    assert answer.attestation
    (answer,) = found([entry(broken, attestations=wanted, signatures="ignored")], image)
    assert answer.attestation


class BrokenStore:
    """A store that fails in a way that no store should."""

    async def get(self, key: str) -> bytes | None:
        raise RuntimeError(key)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        raise RuntimeError(key)

    async def aclose(self) -> None:
        """Do nothing."""


def test_a_store_that_fails_changes_no_verdict(registry: Registry) -> None:
    signed, unsigned = registry.image("shop/signed"), registry.image("shop/unsigned")
    registry.sign(signed, ONE)
    answers = found([entry(key(ONE))], signed, unsigned, cache=VerdictCache(BrokenStore()))
    assert [len(each.signature) for each in answers] == [0, 1]
