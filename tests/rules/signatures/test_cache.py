"""Verdicts are kept for their time, by their key, and never become another answer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.signatures.valkey_server import valkey_server
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.image_answers import ImageAnswer, ImageProblem
from tidewaiter.rules.signatures.cache import VerdictCache, verdict_key
from tidewaiter.rules.signatures.cache_stores import ServerStore, SqliteStore, open_cache

DIGEST = "sha256:" + "0" * 64
GOOD = ImageAnswer(DIGEST)
BAD = ImageAnswer(
    DIGEST, (ImageProblem("is not signed"),), (ImageProblem("old", severity="warning"),)
)
OTHER = "sha256:" + "1" * 64
SECRET = "s" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def cache(clock: Clock, store: SqliteStore | None = None, most: int = 100) -> VerdictCache:
    return VerdictCache(store, clock=clock, monotonic=clock, most=most)


def test_a_verdict_is_kept_for_its_time() -> None:
    clock = Clock()
    held = cache(clock)

    async def run() -> None:
        await held.put("a", GOOD, 60)
        await held.put("b", BAD, 10)
        assert await held.get("a") == GOOD
        assert await held.get("b") == BAD
        clock.now += 10
        assert await held.get("a") == GOOD
        assert await held.get("b") is None
        clock.now += 50
        assert await held.get("a") is None

    asyncio.run(run())


def test_what_is_not_known_is_not_kept() -> None:
    held = cache(Clock())

    async def run() -> None:
        unknown = ImageProblem("the registry does not answer", unknown=True, severity="warning")
        await held.put("a", ImageAnswer(DIGEST, (unknown,)), 60)
        await held.put("b", ImageAnswer(DIGEST, (), (unknown,)), 60)
        await held.put("c", GOOD, 0)
        assert [await held.get(key) for key in "abc"] == [None, None, None]

    asyncio.run(run())


def test_memory_is_bounded_and_forgets_what_is_longest_unused() -> None:
    held = cache(Clock(), most=3)

    async def run() -> None:
        for key in "abc":
            await held.put(key, GOOD, 60)
        await held.get("a")
        await held.put("d", GOOD, 60)
        assert [await held.get(key) is not None for key in "abcd"] == [True, False, True, True]

    asyncio.run(run())


def test_a_clock_that_is_set_back_lengthens_nothing(tmp_path: Path) -> None:
    clock, steady = Clock(), Clock()

    async def run() -> None:
        store = SqliteStore(str(tmp_path / "v.sqlite"), clock=clock)
        held = VerdictCache(store, clock=clock, monotonic=steady)
        await held.put("a", GOOD, 60)
        clock.now -= 3600
        assert await held.get("a") is None
        held = VerdictCache(store, clock=clock, monotonic=steady)
        assert await held.get("a") is None
        clock.now += 3600
        steady.now += 61
        held = VerdictCache(store, clock=clock, monotonic=steady)
        assert await held.get("a") == GOOD
        clock.now -= 30
        steady.now += 61
        assert held.held("a") is None
        await held.aclose()

    asyncio.run(run())


def test_keys_differ_by_name_digest_and_policy() -> None:
    keys = {
        verdict_key(*parts)
        for parts in (
            ("a", DIGEST, "p"),
            ("b", DIGEST, "p"),
            ("a", "sha256:1", "p"),
            ("a", DIGEST, "q"),
        )
    }
    assert len(keys) == 4


def test_a_file_survives_a_restart_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "v.sqlite"

    async def run() -> None:
        for _ in range(2):
            held = open_cache(f"sqlite:{path}")
            found = await held.get("a")
            await held.put("a", BAD, 60)
            await held.aclose()
        assert found == BAD

    asyncio.run(run())
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [slice(0, None), slice(100, None)])
def test_a_damaged_file_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: slice
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    async def run() -> None:
        # By its place where it is the usual one, and else by its header.
        path = tmp_path / ("v.sqlite" if damage.start else "tidewaiter/verdicts.sqlite")
        place = f"sqlite:{path}" if damage.start else "sqlite"
        held = open_cache(place)
        await held.put("a", GOOD, 60)
        await held.aclose()
        content = bytearray(path.read_bytes())
        content[damage] = b"\xff" * len(content[damage])
        path.write_bytes(content)
        held = open_cache(place)
        assert await held.get("a") is None
        await held.put("a", GOOD, 60)
        await held.aclose()
        held = open_cache(place)
        assert await held.get("a") == GOOD
        await held.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    "content", [b"apiVersion: v1\n" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_of_others_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    path.chmod(0o600)

    async def run() -> None:
        held = open_cache(f"sqlite:{path}")
        assert await held.get("a") is None
        await held.put("a", GOOD, 60)
        assert await held.get("a") == GOOD, "memory still serves"
        await held.aclose()

    asyncio.run(run())
    assert path.read_bytes() == content


def test_a_row_that_was_changed_or_moved_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"

    async def run() -> None:
        held = open_cache(f"sqlite:{path}")
        await held.put("good", GOOD, 60)
        await held.put("bad", BAD, 60)
        await held.aclose()
        with sqlite3.connect(path) as database:
            database.execute(
                "UPDATE verdicts SET value = (SELECT value FROM verdicts WHERE key = 'good')"
                " WHERE key = 'bad'"
            )
        held = open_cache(f"sqlite:{path}")
        assert await held.get("good") == GOOD
        assert await held.get("bad") is None
        await held.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("spoil", ["others", "link", "folder"])
def test_a_file_that_others_may_write_to_is_not_used(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "v.sqlite"
    if spoil == "others":
        path.write_bytes(b"")
        path.chmod(0o666)
    elif spoil == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()

    async def run() -> None:
        store = SqliteStore(str(path))
        await store.put("a", b"x", 60)
        assert await store.get("a") is None
        held = VerdictCache(store)
        await held.put("a", GOOD, 60)
        assert await held.get("a") == GOOD, "memory still serves"
        await held.aclose()

    asyncio.run(run())


def test_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"

    async def run() -> None:
        store = SqliteStore(str(path), most=10)
        for number in range(501):
            await store.put(str(number), b"x", 60 + number)
        await store.aclose()

    asyncio.run(run())
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM verdicts").fetchone() == (10,)


def test_two_processes_may_use_a_file(tmp_path: Path) -> None:
    async def run() -> None:
        one, other = (open_cache(f"sqlite:{tmp_path / 'v.sqlite'}") for _ in range(2))
        for number in range(20):
            await asyncio.gather(one.put(f"a{number}", GOOD, 60), other.put(f"b{number}", BAD, 60))
        assert await one.get("b7") == BAD
        assert await other.get("a7") == GOOD
        await one.aclose()
        await other.aclose()

    asyncio.run(run())


def test_a_verdict_in_memory_costs_far_less_than_a_millisecond() -> None:
    held = cache(Clock())
    asyncio.run(held.put("a", GOOD, 60))
    start = time.perf_counter()
    for _ in range(1000):
        held.held("a")
    assert time.perf_counter() - start < 0.2


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("file.db", "is no place for verdicts"),
        ("valkey://localhost/0", "needs a secret of 32 characters"),
        ("http://localhost", "is no place for verdicts"),
    ],
)
def test_a_place_that_is_none_is_refused(place: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        open_cache(place)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey_server(tmp_path_factory.mktemp("server")) as (address, _):
        yield address


def test_replicas_share_a_server(server: str) -> None:
    async def run() -> None:
        one, other = open_cache(server, SECRET), open_cache(server, SECRET)
        await one.put("shared", BAD, 60)
        assert await other.get("shared") == BAD
        assert await other.get("absent") is None
        await one.put("short", GOOD, 0.05)
        await asyncio.sleep(0.1)
        assert await other.get("short") is None
        await one.aclose()
        await other.aclose()

    asyncio.run(run())


def test_what_others_write_to_a_server_is_not_believed(server: str) -> None:
    async def run() -> None:
        forger, reader = open_cache(server, "f" * 32), open_cache(server, SECRET)
        await forger.put("forged", GOOD, 60)
        assert await reader.get("forged") is None
        store = ServerStore(server)
        for content in (b"", b"x" * 300_000, b"\0" * 40):
            await store.put("odd", content, 60)
            assert await reader.get("odd") is None
        for each in (forger, reader, store):
            await each.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad\r\n\r\n", b":5\r\n", b"$-7\r\n", b"*1\r\n" * 100_000, b"-LOADING\r\n", b""],
    ids=["http", "number", "length", "nesting", "loading", "nothing"],
)
def test_a_server_that_answers_oddly_is_an_empty_cache(answer: bytes) -> None:
    pytest.importorskip("valkey", reason="the extra valkey is not installed")

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096) and answer:
            writer.write(answer)
        writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(odd, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        held = open_cache(f"valkey://127.0.0.1:{port}/0", SECRET)
        assert await held.get("a") is None
        assert await held.tag("t") is None
        await held.put("a", GOOD, 60)
        await held.put_tag("t", DIGEST, 60)
        assert await held.get("a") == GOOD
        found = await held.tag("t")
        assert found is not None
        assert found.digest == DIGEST
        await held.aclose()
        listening.close()

    asyncio.run(run())


def test_a_file_that_another_holds_is_not_waited_for_by_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "verdicts.sqlite"

    async def run() -> None:
        held = open_cache(f"sqlite:{path}")
        await held.put("a", GOOD, 60)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        for number in range(40):
            await held.put(str(number), GOOD, 60)
        assert time.monotonic() - start < 40 * 0.25, "half of what each would wait"
        other.execute("ROLLBACK")
        other.close()
        await asyncio.sleep(1.1)
        await held.put("after", GOOD, 60)
        await held.aclose()
        again = open_cache(f"sqlite:{path}")
        assert await again.get("after") == GOOD
        await again.aclose()

    asyncio.run(run())
    assert caplog.text.count("cannot be used now: database is locked") == 1


def test_what_a_tag_stood_for_is_kept_sealed_and_for_its_time(server: str, tmp_path: Path) -> None:
    """The newest counts, whichever replica saw it; a verdict is no tag, and a tag no verdict."""
    clock = Clock()

    async def run() -> None:
        one, other = open_cache(server, SECRET), open_cache(server, SECRET)
        forger = open_cache(server, "f" * 32)
        await one.put_tag("app", DIGEST, 60)
        await other.put_tag("app", OTHER, 60)
        found = await one.tag("app")
        assert found is not None
        assert found.digest == OTHER
        await forger.put_tag("forged", DIGEST, 60)
        assert await one.tag("forged") is None
        await one.put("verdict", GOOD, 60)
        assert await other.tag("verdict") is None
        assert await other.get("app") is None
        held = cache(clock, SqliteStore(str(tmp_path / "tags.sqlite"), clock=clock))
        await held.put_tag("app", DIGEST, 60)
        assert await held.tag("app") is not None
        clock.now += 60
        assert await held.tag("app") is None
        for each in (one, other, forger, held):
            await each.aclose()

    asyncio.run(run())


def test_a_server_that_is_away_is_an_empty_cache() -> None:
    pytest.importorskip("valkey", reason="the extra valkey is not installed")

    async def run() -> None:
        held = open_cache("valkey://127.0.0.1:1/0", SECRET)
        start = time.monotonic()
        for number in range(50):
            assert await held.get(str(number)) is None
            await held.put(str(number), GOOD, 60)
        assert time.monotonic() - start < 2
        assert await held.get("7") == GOOD, "memory still serves"
        await held.aclose()

    asyncio.run(run())
