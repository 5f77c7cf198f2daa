"""Keeping a live inventory in step with its cluster: list each kind once, then watch it.

A watch goes on from the resource version that the list, or the last event or bookmark, has named, so that nothing
is missed between two connections; where the server has forgotten that version (410) the kind is listed again. What
the server refuses to list is not taken for absent: the inventory says that it is not known. Kinds come and go with
their CustomResourceDefinitions.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from tidewaiter.rules.cluster.client import (
    JSON,
    METADATA_ONLY,
    WATCH_METADATA_ONLY,
    Refused,
    backoff,
)
from tidewaiter.rules.cluster.discovery import defined_resource, discover
from tidewaiter.rules.cluster.permissions import followable
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.inventory import namespace_of
from tidewaiter.rules.kept_fields import is_followed, is_kept_by_metadata, kept, kinds_read_whole
from tidewaiter.rules.manifest.fields import mapping, text
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidewaiter.rules.cluster.client import Client
    from tidewaiter.rules.cluster.discovery import ApiResource, Discovery
    from tidewaiter.rules.policy.compiled import Policy

PAGE_LIMIT = 200
"""Objects of one page: few, since reviews wait while one is taken apart."""
_LISTS_AT_ONCE = 2
"""More would hold more pages in memory, and take the API server no less time."""
_SMALLER_PAGES = {
    "ConfigMap": 50,
    "CustomResourceDefinition.apiextensions.k8s.io": 10,
    "Secret": 50,
}
"""Objects of one page of kinds of which many are large: charts keep their releases in Secrets."""
_TAKEN_AT_ONCE = 0.005
"""After so many seconds a review that waits gets its turn."""
_WATCH_SECONDS = 120.0
"""After this time, and up to a quarter more, the server is asked to end a watch. Where nothing happens that is the
only sign of life: a server sends no bookmarks of a kind of which it has not seen a change."""
_IDLE_SECONDS = 180.0
"""Without a word for longer than a watch lasts, a connection counts as lost."""
GIVE_UP_SECONDS = 300.0
"""A kind that alone is silent for so long, as when its aggregated API server is down, is not known any more."""
_STEADY_SECONDS = 60.0
_SLOW_RETRY = 60.0
"""Between attempts at what the server refuses, and lists of what it cannot watch."""
_DISCOVERY_SECONDS = 300.0
_AFTER_CHANGE = (0.1, 0.2, 0.2, 0.3, 0.3, 0.5, 0.5, 1.0, 2.0, 5.0, 10.0)
"""When to ask again what is served after a definition has changed: the server takes its time, mostly under a second."""
_LASTING = frozenset({401, 403, 404, 405, 406})
_GONE = 410
_FORBIDDEN = "the cluster does not let tidewaiter list them"
_DEFINITION = "CustomResourceDefinition.apiextensions.k8s.io"

_log = logging.getLogger("tidewaiter.inventory")


@record
class KindState:
    """How far one kind is known.

    `age` is the time in seconds since the server was last heard about it, None before the first list; `restarts`
    counts the watches that ended otherwise than in order, `relists` the lists after the first. `unreadable` says why
    the kind is not known, empty where it is; `error` is the last thing that went wrong, empty once it works again.
    """

    kind_id: str
    objects: int
    synced: bool
    connected: bool
    age: float | None
    restarts: int
    relists: int
    unreadable: str
    error: str


@record
class FollowState:
    """How far the cluster is known: `error` is why it cannot be asked what it serves, empty where it can."""

    synced: bool
    objects: int
    kinds: tuple[KindState, ...]
    error: str

    @property
    def restarts(self) -> int:
        """The number of watches that ended otherwise than in order."""
        return sum(each.restarts for each in self.kinds)

    @property
    def age(self) -> float | None:
        """The time in seconds for which nothing was heard of the kind longest silent; None where none is synced."""
        ages = [each.age for each in self.kinds if each.age is not None and not each.unreadable]
        return max(ages, default=None)


class Kept(Protocol):
    """What keeps the objects that are followed, as `LiveInventory` does."""

    complete: bool

    @property
    def count(self) -> int:
        """How many objects there are."""
        ...

    @property
    def unreadable(self) -> Mapping[str, str]:
        """By kind, why not all of its objects are known."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many objects there are of each kind."""
        ...

    def set_pod_specs(self, pod_specs: dict[str, str]) -> None:
        """Know other kinds of workloads."""
        ...

    def put(self, resource: Resource) -> None:
        """Take in a new or changed object."""
        ...

    def remove(self, kind_id: str, namespace: str, name: str) -> None:
        """Forget an object that is gone."""
        ...

    def retain(self, kind_id: str, places: set[tuple[str, str]]) -> None:
        """Forget the objects of a kind but those at these places."""
        ...

    def cannot_read(self, kind_id: str, reason: str) -> None:
        """Note that not all objects of a kind are known."""
        ...

    def can_read(self, kind_id: str) -> None:
        """Note that all objects of a kind are known."""
        ...


@dataclass(slots=True)
class _Followed:
    """One kind while it is followed."""

    resource: ApiResource
    task: asyncio.Task[None] | None = None
    version: str = ""
    """Where the watch goes on; empty where the kind must be listed."""
    synced: bool = False
    settled: bool = False
    """Synced, or known to be unreadable."""
    missing: bool = False
    """The server has said that there is no such kind."""
    connected: bool = False
    heard: float | None = None
    restarts: int = 0
    lists: int = 0
    error: str = ""
    broken: set[tuple[str, str]] = field(default_factory=set)
    """The objects that could not be taken in."""


class Follower:
    """Follows everything in a cluster that rules may ask for; `run` does so until it is cancelled."""

    def __init__(
        self,
        client: Client,
        inventory: Kept,
        policy: Policy,
        *,
        page_limit: int = PAGE_LIMIT,
        kinds: frozenset[str] | None = None,
    ) -> None:
        """Prepare; nothing is asked before `run`.

        Where `kinds` are given, only these are followed, beside definitions of custom resources, which they come and
        go with, and their objects are handed on as they are. All that are defined must have been read before all is
        synced: those who ask for them cannot do without.
        """
        self._client = client
        self._kinds = None if kinds is None else kinds | {_DEFINITION}
        self._inventory = inventory
        self._page_limit = page_limit
        self._pod_specs = policy.pod_specs
        self._whole = kinds_read_whole(policy)
        self._followed: dict[str, _Followed] = {}
        self._lists = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._changed = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._discovered = False
        self._synced = False
        self._error = ""
        self._restricted: set[str] = set()
        self._defined: dict[str, ApiResource] = {}
        """By the name of its definition, each of `kinds` that is defined."""
        self._pauses: Iterator[float] = iter(())

    @property
    def synced(self) -> bool:
        """Whether everything has been read once, but for what cannot be."""
        return self._synced

    def state(self) -> FollowState:
        """Say how far the cluster is known, by kind."""
        now, counts, unreadable = (
            time.monotonic(),
            self._inventory.counts(),
            self._inventory.unreadable,
        )
        kinds = tuple(
            KindState(
                kind,
                counts.get(kind, 0),
                each.synced,
                each.connected,
                None if each.heard is None else now - each.heard,
                each.restarts,
                max(0, each.lists - 1),
                unreadable.get(kind, ""),
                each.error,
            )
            for kind, each in sorted(self._followed.items())
        ) + tuple(
            KindState(kind, 0, False, False, None, 0, 0, unreadable.get(kind, ""), "")
            for kind in sorted(self._restricted)
        )
        return FollowState(self.synced, self._inventory.count, kinds, self._error)

    async def run(self) -> None:
        """Follow the cluster until cancelled; what goes wrong is tried again and told in `state`."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._follow_kinds()
        finally:
            self._tasks = None
            self._followed.clear()
            self._defined.clear()

    def adopt(self, policy: Policy) -> None:
        """Keep what another policy reads: what it changes is read again."""
        pod_specs, whole = policy.pod_specs, kinds_read_whole(policy)
        changed = self._whole ^ whole
        changed |= {kind for kind, _ in self._pod_specs.items() ^ pod_specs.items()}
        self._pod_specs, self._whole = pod_specs, whole
        self._inventory.set_pod_specs(pod_specs)
        for kind in sorted(changed & self._followed.keys()):
            resource = self._followed[kind].resource
            self._stop(kind)
            self._start(resource)

    # Which kinds

    async def _follow_kinds(self) -> None:
        attempt = 0
        while True:
            try:
                found = await discover(self._client)
                self._adjust(found, await followable(self._client))
            except ClusterError as error:
                attempt += 1
                self._error = str(error)
                await asyncio.sleep(backoff(attempt))
                continue
            attempt, self._error = 0, ""
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        """Return when what is served may have changed; soon again, and then less often, after a change."""
        if self._changed.is_set():
            self._changed.clear()
            self._pauses = iter(_AFTER_CHANGE)
        # Rights may be given later, which nothing tells us.
        usual = _SLOW_RETRY if self._restricted else _DISCOVERY_SECONDS
        pause = next(self._pauses, usual * random.uniform(1.0, 1.2))  # noqa: S311
        try:
            async with asyncio.timeout(pause):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_AFTER_CHANGE[0])

    def _adjust(self, found: Discovery, is_allowed: Callable[[ApiResource], bool]) -> None:
        """Follow what is served and what we may read, and nothing else."""
        served = {
            each.kind_id: each
            for each in found.preferred()
            if each.is_listable and (self._kinds is None or each.kind_id in self._kinds)
        }
        served |= {each.kind_id: each for each in self._defined.values()}
        self._restricted.clear()
        for kind in sorted(served):
            if not is_followed(kind):
                self._inventory.cannot_read(kind, "tidewaiter does not follow them")
                continue
            # A server that has just started may know of few rights yet: what is followed stays, and its watch tells.
            if (
                kind not in self._followed
                and not self._must_be_read(kind)
                and not is_allowed(served[kind])
            ):
                self._restricted.add(kind)
                self._inventory.cannot_read(kind, _FORBIDDEN)
                continue
            followed = self._followed.get(kind)
            if followed is not None and (
                followed.missing or followed.resource.path() != served[kind].path()
            ):
                self._stop(kind)
                followed = None
            if followed is None:
                self._start(served[kind])
        for kind, followed in list(self._followed.items()):
            if kind not in served and followed.resource.group not in found.failed:
                self._stop(kind)
                self._inventory.can_read(kind)
        self._discovered = True
        self._check_synced()

    def _must_be_read(self, kind: str) -> bool:
        return self._kinds is not None and kind != _DEFINITION

    def _note_definition(self, definition: Mapping[str, Any], *, is_gone: bool = False) -> None:
        """Start to follow what a definition brings, before discovery tells of it; what goes, goes by discovery."""
        name = text(mapping(definition.get("metadata")).get("name"))
        resource = None if is_gone else defined_resource(definition)
        if resource is None or resource.kind_id not in (self._kinds or ()):
            self._defined.pop(name, None)
            return
        self._defined[name] = resource
        if resource.kind_id not in self._followed:
            self._start(resource)

    def _start(self, resource: ApiResource) -> None:
        if self._tasks is None:
            return
        followed = self._followed[resource.kind_id] = _Followed(resource)
        self._inventory.cannot_read(resource.kind_id, "they have not been read yet")
        name = f"follow {resource.kind_id}"
        followed.task = self._tasks.create_task(self._follow(followed), name=name)

    def _stop(self, kind: str) -> None:
        followed = self._followed.pop(kind)
        if followed.task is not None:
            followed.task.cancel()
        self._inventory.retain(kind, set())

    def _check_synced(self) -> None:
        if (
            not self._synced
            and self._discovered
            and all(each.settled for each in self._followed.values())
        ):
            self._synced = self._inventory.complete = True
            # What was read stays, and looking through it for garbage would hold up reviews.
            gc.collect()
            gc.freeze()

    # One kind

    async def _follow(self, followed: _Followed) -> None:
        """List and watch one kind until cancelled."""
        attempt = 0
        while True:
            began = None
            try:
                if not followed.version:
                    async with self._lists:
                        await self._list(followed)
                elif attempt:
                    await self._check_history(followed)
                    if not followed.version:
                        continue
                began = time.monotonic()
                if await self._watch(followed):
                    attempt, pause = 0, 0.0
                else:
                    attempt += 1
                    pause = backoff(attempt)
            except Refused as error:
                attempt = _next(attempt, began)
                pause = self._refused(followed, error, attempt)
            except ClusterError as error:
                attempt = _next(attempt, began)
                followed.error = str(error)
                pause = backoff(attempt)
            except Exception as error:  # noqa: BLE001 - one kind's misfortune must not end the other watches
                attempt += 1
                _log.exception("following %s failed", followed.resource.kind_id)
                followed.error, followed.version = f"{type(error).__name__}: {error}", ""
                pause = backoff(attempt)
            finally:
                followed.connected = False
            if pause:
                self._give_up_if_alone(followed)
            await asyncio.sleep(pause)

    def _refused(self, followed: _Followed, error: Refused, attempt: int) -> float:
        """Note an error of the server and return the seconds to wait."""
        followed.error = str(error)
        kind = followed.resource.kind_id
        if error.status == _GONE:
            followed.version = ""
            return 0.0 if attempt == 1 else backoff(attempt)
        if error.status == 404 and any(kind == each.kind_id for each in self._defined.values()):
            # The server is about to know it: what was read of it holds on.
            followed.version = ""
            return backoff(attempt, first=_AFTER_CHANGE[0])
        lasting = error.status in _LASTING
        if lasting or not followed.synced:
            if lasting:
                followed.version, followed.synced = "", False
            reason = (
                _FORBIDDEN
                if error.status in {401, 403}
                else f"the cluster answers with {error.status}"
            )
            self._inventory.cannot_read(kind, reason)
            followed.settled |= error.status == 404 or not self._must_be_read(kind)
            self._check_synced()
        if error.status == 404:
            followed.missing = True
            self._changed.set()
        if lasting and followed.settled:
            return _SLOW_RETRY * random.uniform(0.5, 1.0)  # noqa: S311
        return backoff(attempt)

    def _give_up_if_alone(self, followed: _Followed) -> None:
        """Take a kind for unknown that has been silent for long while others are heard of."""
        now = time.monotonic()
        if (
            followed.synced
            and followed.heard is not None
            and now - followed.heard > GIVE_UP_SECONDS
            and any(
                each.heard is not None and now - each.heard < _IDLE_SECONDS
                for each in self._followed.values()
            )
        ):
            followed.version, followed.synced = "", False
            reason = "the cluster has ceased to answer for them"
            self._inventory.cannot_read(followed.resource.kind_id, reason)

    async def _list(self, followed: _Followed) -> None:
        """Read all objects of a kind and forget what is no longer there."""
        path = followed.resource.path()
        seen: set[tuple[str, str]] = set()
        broken: set[tuple[str, str]] = set()
        version = ""
        accept = METADATA_ONLY if self._needs_metadata_only(followed) else JSON
        kind = followed.resource.kind_id
        limit = min(self._page_limit, _SMALLER_PAGES.get(kind, self._page_limit))
        async for page in self._client.pages(path, limit, consistent=True, accept=accept):
            if page.number == 0:
                seen.clear()
                broken.clear()
            version = page.resource_version
            turn = time.monotonic()
            for obj in page.items:
                place = self._take(followed, obj, broken)
                if place is not None:
                    seen.add(place)
                if time.monotonic() - turn > _TAKEN_AT_ONCE:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        self._inventory.retain(kind, seen)
        if kind == _DEFINITION:
            names = {name for _, name in seen}
            self._defined = {name: each for name, each in self._defined.items() if name in names}
            self._changed.set()
        followed.version = version
        followed.lists += 1
        followed.broken = broken
        followed.heard = time.monotonic()
        followed.synced = followed.settled = True
        followed.error = ""
        self._tell_readable(followed)
        self._check_synced()

    async def _check_history(self, followed: _Followed) -> None:
        """Have a kind listed again where the server is behind what it said before, as after its store was put back.

        It would take a watch from there on, and say nothing until it is past that version again.
        https://github.com/kubernetes/kubernetes/issues/107457
        """
        try:
            found = await self._client.request(
                "GET", followed.resource.path(), params={"limit": "1"}
            )
        except ClusterError:
            followed.restarts += 1
            raise
        version = text(mapping(mapping(found).get("metadata")).get("resourceVersion"))
        if (
            version.isdigit()
            and followed.version.isdigit()
            and int(version) < int(followed.version)
        ):
            _log.warning(
                "the cluster has gone back to an earlier state: %s are read again",
                followed.resource.kind_id,
            )
            followed.version = ""

    async def _watch(self, followed: _Followed) -> bool:
        """Take in what changes until the watch ends; tell whether it ended in order."""
        if not followed.resource.is_watchable:
            await asyncio.sleep(_SLOW_RETRY)
            followed.version = ""
            return True
        seconds = _WATCH_SECONDS * random.uniform(1.0, 1.25)  # noqa: S311
        start = time.monotonic()
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": followed.version,
            "timeoutSeconds": str(int(seconds)),
        }
        accept = WATCH_METADATA_ONLY if self._needs_metadata_only(followed) else JSON
        lines = self._client.stream(
            followed.resource.path(), params, accept=accept, idle=_IDLE_SECONDS
        )
        try:
            followed.connected = True
            async for line in lines:
                if line:
                    self._take_event(followed, line)
        except ClusterError:
            followed.restarts += 1
            raise
        finally:
            await lines.aclose()  # type: ignore[attr-defined]
        in_order = time.monotonic() - start > 1.0
        if in_order:
            followed.heard = time.monotonic()
        followed.restarts += not in_order
        return in_order

    def _take_event(self, followed: _Followed, line: bytes) -> None:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            msg = f"the watch of {followed.resource.kind_id} broke off inside an event"
            raise ClusterError(msg) from None
        kind, obj = mapping(event).get("type"), mapping(mapping(event).get("object"))
        if kind == "ERROR":
            refused = Refused(text(obj.get("message")) or "the watch ended with an error")
            code = obj.get("code")
            refused.status = code if isinstance(code, int) else 500
            raise refused
        followed.heard, followed.error = time.monotonic(), ""
        metadata = mapping(obj.get("metadata"))
        if kind in {"ADDED", "MODIFIED"}:
            before = len(followed.broken)
            self._take(followed, obj, followed.broken)
            if len(followed.broken) != before:
                self._tell_readable(followed)
        elif kind == "DELETED":
            namespace, name = text(metadata.get("namespace")), text(metadata.get("name"))
            self._inventory.remove(followed.resource.kind_id, namespace, name)
            if (namespace, name) in followed.broken:
                followed.broken.discard((namespace, name))
                self._tell_readable(followed)
        if kind != "BOOKMARK" and followed.resource.kind_id == _DEFINITION:
            if kind == "DELETED":
                self._note_definition(obj, is_gone=True)
            self._changed.set()
        followed.version = text(metadata.get("resourceVersion")) or followed.version

    def _take(
        self, followed: _Followed, obj: dict[str, Any], broken: set[tuple[str, str]]
    ) -> tuple[str, str] | None:
        """Take in an object and return its place in the inventory, None where it is not kept."""
        metadata = mapping(obj.get("metadata"))
        namespace, name = text(metadata.get("namespace")), text(metadata.get("name"))
        kind = followed.resource.kind_id
        try:
            if kind == _DEFINITION:
                self._note_definition(obj)
            content = (
                obj
                if self._kinds
                else kept(_named(obj, followed.resource), self._pod_specs, self._whole)
            )
            if content is None:
                self._inventory.remove(kind, namespace, name)
                return None
            resource = Resource(content, pod_specs=self._pod_specs)
            self._inventory.put(resource)
        except Exception:  # noqa: BLE001 - whatever a custom resource holds, the others must be followed
            _log.exception("%s %s/%s could not be taken in", kind, namespace, name)
            self._inventory.remove(kind, namespace, name)
            broken.add((namespace, name))
            return None
        broken.discard((namespace, name))
        return namespace_of(resource), resource.name

    def _needs_metadata_only(self, followed: _Followed) -> bool:
        kind = followed.resource.kind_id
        return self._kinds is None and is_kept_by_metadata(kind, self._pod_specs, self._whole)

    def _tell_readable(self, followed: _Followed) -> None:
        kind = followed.resource.kind_id
        if followed.broken:
            self._inventory.cannot_read(kind, "not all of them could be taken in")
        else:
            self._inventory.can_read(kind)


def _next(attempt: int, began: float | None) -> int:
    """Count a failed attempt; a watch that held for a while ends what went wrong before it."""
    held = began is not None and time.monotonic() - began > _STEADY_SECONDS
    return 1 if held else attempt + 1


def _named(obj: dict[str, Any], resource: ApiResource) -> dict[str, Any]:
    """Return an object under its own kind, where the server gives the metadata alone under a name of theirs."""
    if obj.get("kind") != "PartialObjectMetadata":
        return obj
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}


async def read_once(
    client: Client, policy: Policy, *, page_limit: int = 500
) -> tuple[list[Resource], Mapping[str, str]]:
    """Read what a follower would keep, once: the objects, and by kind why some are not known.

    Raises ClusterError where the cluster cannot be asked at all.
    """
    found = await discover(client)
    pod_specs, whole = policy.pod_specs, kinds_read_whole(policy)
    objects: list[Resource] = []
    unreadable: dict[str, str] = {}
    at_once = asyncio.Semaphore(4)

    async def read(resource: ApiResource) -> None:
        rows: list[Resource] = []
        is_partial = is_kept_by_metadata(resource.kind_id, pod_specs, whole)
        accept = METADATA_ONLY if is_partial else JSON
        try:
            async with at_once:
                async for page in client.pages(resource.path(), page_limit, accept=accept):
                    if page.number == 0:
                        rows.clear()
                    for obj in page.items:
                        content = kept(_named(obj, resource), pod_specs, whole)
                        if content is not None:
                            rows.append(Resource(content, pod_specs=pod_specs))
        except Refused as error:
            unreadable[resource.kind_id] = (
                _FORBIDDEN
                if error.status in {401, 403}
                else f"the cluster answers with {error.status}"
            )
            return
        objects.extend(rows)

    wanted = []
    for resource in found.preferred():
        if resource.is_listable and is_followed(resource.kind_id):
            wanted.append(resource)
        elif resource.is_listable:
            unreadable[resource.kind_id] = "tidewaiter does not follow them"
    try:
        async with asyncio.TaskGroup() as tasks:
            for resource in wanted:
                tasks.create_task(read(resource))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    objects.sort(key=lambda each: (each.kind_id, namespace_of(each), each.name))
    return objects, unreadable
