"""Where verdicts outlive a process: an SQLite file of one host, or a Valkey or Redis server of several.

An SQLite file is believed where it belongs to who reads it and nobody else may write to it. What is on a server
is believed where it carries the seal of a secret that only the replicas know.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from typing import TYPE_CHECKING, Any

from tidewaiter.rules.cache_folder import cache_folder
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.signatures.cache import VerdictCache

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

MOST_ROWS = 100_000
"""Verdicts in an SQLite file; about 60 MB at most."""
SHORTEST_SECRET = 32
_ROWS_BETWEEN_SWEEPS = 500
_BUSY_SECONDS = 0.5
_SERVER_SECONDS = 0.25
"""What a slow server may cost a review; beyond that the image is verified anew."""
_PREFIX = "tidewaiter:verdict:"
_OWN_FILE = 0x74696465
"""By this application id a file of verdicts is known, however damaged it is. https://www.sqlite.org/fileformat2.html#application_id"""
_LOG = logging.getLogger(__name__)


def open_cache(place: str = "sqlite", secret: str = "") -> VerdictCache:
    """Return a cache: "memory", "sqlite" or "sqlite:PATH", "valkey://HOST:PORT/N" or "redis://…".

    `secret` seals what is on a server. Raises InputError for anything else, and for a server without one.
    """
    scheme, _, rest = place.partition(":")
    if place == "memory":
        return VerdictCache()
    if scheme == "sqlite":
        return VerdictCache(SqliteStore(rest or os.path.join(cache_folder(), "verdicts.sqlite")))
    if scheme in {"valkey", "valkeys", "redis", "rediss", "unix"}:
        if len(secret) < SHORTEST_SECRET:
            msg = (
                f"a cache that replicas share needs a secret of {SHORTEST_SECRET} characters or more: "
                "without one, whoever can write to the server decides what runs"
            )
            raise InputError(msg)
        return VerdictCache(ServerStore(place), secret=secret.encode())
    msg = f"{place!r} is no place for verdicts: memory, sqlite[:PATH] or valkey://HOST:PORT/N is wanted"
    raise InputError(msg)


class SqliteStore:
    """A file; several processes may use it at once.

    https://www.sqlite.org/wal.html
    """

    def __init__(
        self, path: str, *, most: int = MOST_ROWS, clock: Callable[[], float] = time.time
    ) -> None:
        """Use a file, which is made when it is first needed."""
        self.path = path
        self._most = most
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._given_up = False
        self._is_failing = False
        self._paused_until = 0.0
        self._written = 0
        self._turn = asyncio.Lock()

    async def get(self, key: str) -> bytes | None:
        """Return what was stored under a key and is in date."""
        row = await self._run(
            lambda database: database.execute(
                "SELECT value FROM verdicts WHERE key = ? AND expires > ?", (key, self._clock())
            ).fetchone()
        )
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Store a value, and now and then drop what is out of date or too much."""
        self._written += 1
        sweep = self._written % _ROWS_BETWEEN_SWEEPS == 1

        def write(database: sqlite3.Connection) -> None:
            now = self._clock()
            with database:
                database.execute(
                    "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", (key, now + seconds, value)
                )
                if sweep:
                    database.execute("DELETE FROM verdicts WHERE expires <= ?", (now,))
                    database.execute(
                        "DELETE FROM verdicts WHERE key IN (SELECT key FROM verdicts"
                        " ORDER BY expires DESC LIMIT -1 OFFSET ?)",
                        (self._most,),
                    )

        await self._run(write)

    async def aclose(self) -> None:
        """Close the file."""
        async with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do some work in a thread, as a disk may be slow. A damaged file is begun anew, once."""
        async with self._turn:
            # While a file is locked or the disk is full it is tried once a second: reviews do not wait for it.
            if self._given_up or time.monotonic() < self._paused_until:
                return None
            return await asyncio.to_thread(self._try, work)

    def _try(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        import sqlite3

        for attempt in (1, 2):
            try:
                if self._connection is None:
                    self._connection = self._opened()
                found = work(self._connection)
            except sqlite3.OperationalError as error:
                if not self._is_failing:
                    _LOG.warning("the kept verdicts in %s cannot be used now: %s", self.path, error)
                self._is_failing = True
                self._paused_until = time.monotonic() + 1
                return None
            except sqlite3.DatabaseError as error:
                if attempt == 1 and _is_own(self.path):
                    _LOG.warning("%s is damaged and begun anew: %s", self.path, error)
                    self._discard()
                    continue
                _LOG.warning("%s cannot be used, and is left as it is: %s", self.path, error)
            except OSError as error:
                _LOG.warning(
                    "verdicts are not kept in %s: %s", self.path, error.strerror or str(error)
                )
            else:
                self._is_failing = False
                return found
            self._given_up = True
            return None
        return None

    def _opened(self) -> sqlite3.Connection:
        import sqlite3

        folder = os.path.dirname(self.path)
        if folder:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
            raise PermissionError(0, "others may write to it")
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level="DEFERRED"
        )
        try:
            if connection.execute("PRAGMA schema_version").fetchone() == (0,):
                connection.execute(f"PRAGMA application_id = {_OWN_FILE}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA trusted_schema = OFF")
            with connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS verdicts"
                    " (key TEXT PRIMARY KEY, expires REAL NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
                )
                connection.execute("CREATE INDEX IF NOT EXISTS by_end ON verdicts (expires)")
        except BaseException:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for path in (self.path, f"{self.path}-wal", f"{self.path}-shm"):
            try:
                os.unlink(path)
            except OSError:
                continue


def _is_own(path: str) -> bool:
    """Tell whether a file is one of verdicts, and not another that a mistaken path leads to."""
    try:
        with open(path, "rb") as file:
            header = file.read(72)
    except OSError:
        return False
    return header[68:72] == _OWN_FILE.to_bytes(4, "big") or os.path.dirname(path) == cache_folder()


class ServerStore:
    """A Valkey or Redis server."""

    def __init__(self, url: str) -> None:
        """Use a server. Raises InputError where the client is not installed or the address is none."""
        try:
            from valkey import asyncio as valkey
        except ImportError:
            raise InputError(
                "verdicts on a server need the extra: pip install 'tidewaiter[valkey]'"
            ) from None
        self._failing_since: float | None = None
        try:
            self._client = valkey.Valkey.from_url(
                url,
                socket_timeout=_SERVER_SECONDS,
                socket_connect_timeout=_SERVER_SECONDS,
                max_connections=32,
            )
        except ValueError as error:
            raise InputError(f"{url.partition('@')[2] or url}: {error}") from None

    async def get(self, key: str) -> bytes | None:
        """Return what the server has under a key."""
        found = await self._try(lambda: self._client.get(_PREFIX + key))
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        """Let the server keep a value for so long."""
        await self._try(lambda: self._client.set(_PREFIX + key, value, px=int(seconds * 1000) or 1))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._try(self._client.aclose)

    async def _try(self, call: Callable[[], Any]) -> Any:
        """Ask the server; while it fails it is asked once a second, so that reviews do not wait for it."""
        now = time.monotonic()
        if self._failing_since is not None and now - self._failing_since < 1:
            return None
        try:
            async with asyncio.timeout(2 * _SERVER_SECONDS):
                found = await call()
        except Exception as error:  # noqa: BLE001 - whatever a server answers, images are verified anew
            if self._failing_since is None:
                _LOG.warning("the server with kept verdicts does not answer: %s", error)
            self._failing_since = now
            return None
        self._failing_since = None
        return found
