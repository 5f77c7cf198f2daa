"""The objects of a running cluster, with the object under review laid over them.

The same questions as those of `Inventory`, for a set that changes all the time: every index is kept in step
with `put` and `remove`, and what `once` has computed stays as long as what it asked for does. Lists come back
by kind, namespace and name, whatever order the objects came in, so that every replica gives the same answer.

Fifty thousand objects as Python values would take a gigabyte. So each is kept as JSON and made into a
`Resource` when an answer holds it; those last answered with are kept ready. One thread uses all this: nothing
here waits or locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import TypeVar, overload

import orjson

from tidewaiter.rules.inventory import (
    DEFAULT_NAMESPACE,
    CannotBeRead,
    Inventory,
    namespace_of,
    pod_selector,
)
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.manifest.resource import kind_id as kind_named
from tidewaiter.rules.manifest.workload import POD_SPECS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from tidewaiter.rules.manifest.selector import Selector
    from tidewaiter.rules.manifest.workload import Workload

    Answer = TypeVar("Answer")
    Keys = Callable[[Resource], tuple[object, ...]]
    Part = tuple[str, str | None]
    """A kind in one namespace, or in all: what an answer may depend on."""
    Place = tuple[str, str]
    """Namespace and name."""
    Identity = tuple[str, str, str]
    """Kind id, namespace and name."""

Found = TypeVar("Found")

_WORKLOADS = "(workloads)"
_KINDS = "(kinds)"
_MOST_ANSWERS = 10_000
"""So many results of `once` are remembered; beyond them all are computed anew."""
_READY_BYTES = 5_000_000
"""So much JSON is kept as Python values too, up to twice; these take about ten times the memory."""


class LiveInventory(Inventory):
    """An inventory that follows a cluster.

    `complete` says whether everything has been read at least once, so that absence means something. A kind of
    which `cannot_read` was told is not known: to ask for it raises CannotBeRead. `pod_specs` are the kinds that
    the policy adds to the workloads. `count` is the number of objects.
    """

    __slots__ = (
        "_complete",
        "_frames",
        "_kinds",
        "_parts",
        "_pod_specs",
        "_ready",
        "_review",
        "_versions",
        "_workloads",
        "count",
    )

    def __init__(
        self,
        resources: Iterable[Resource] = (),
        *,
        complete: bool = False,
        pod_specs: dict[str, str] | None = None,
    ) -> None:
        """Start with the given objects."""
        self._complete = complete
        self._pod_specs = pod_specs or {}
        self._unreadable: dict[str, str] = {}
        self.count = 0
        self._kinds: dict[str, _Kind] = {}
        self._workloads: dict[str, _Pods] = {}
        self._versions: dict[Part, int] = {}
        self._answers: dict[tuple[object, ...], Any] = {}
        self._frames: list[set[Part]] = []
        self._review: _Review | None = None
        self._ready = _Ready()
        for resource in resources:
            self.put(resource)

    @property
    def complete(self) -> bool:
        """Whether absence means something."""
        return self._complete

    @complete.setter
    def complete(self, value: bool) -> None:
        if value != self._complete:
            self._complete = value
            self._forget_answers()

    # What changes it

    def put(self, resource: Resource) -> None:
        """Take in an object, in place of the one of its kind, namespace and name."""
        kind = self._kinds.get(resource.kind_id)
        if kind is None:
            kind = self._kinds[intern(resource.kind_id)] = _Kind()
        place = intern(namespace_of(resource)), resource.name
        # A copy has its own size; what orjson returns keeps the room that it grew into.
        content = bytes(memoryview(orjson.dumps(resource.object)))
        old = kind.get(place)
        if old != content:
            self._set(kind, resource.kind_id, place, old, content, resource)

    def remove(self, kind_id: str, namespace: str | None, name: str) -> None:
        """Forget an object; one that is not there is none."""
        kind = self._kinds.get(kind_id)
        place = namespace or DEFAULT_NAMESPACE, name
        old = kind.get(place) if kind is not None else None
        if kind is not None and old is not None:
            self._set(kind, kind_id, place, old, None, None)

    def replace(self, kind_id: str, resources: Iterable[Resource]) -> None:
        """Make the given objects all there are of a kind."""
        kept = set()
        for resource in resources:
            kept.add((namespace_of(resource), resource.name))
            self.put(resource)
        self.retain(kind_id, kept)

    def retain(self, kind_id: str, places: set[Place]) -> None:
        """Forget the objects of a kind that have none of these namespaces and names."""
        kind = self._kinds.get(kind_id)
        for namespace, name in kind.places(None) if kind is not None else ():
            if (namespace, name) not in places:
                self.remove(kind_id, namespace, name)

    def cannot_read(self, kind_id: str, reason: str) -> None:
        """Say that what there is of a kind is not known, with a clause that says why."""
        if self._unreadable.get(kind_id) != reason:
            self._unreadable[kind_id] = reason
            self._forget_answers()

    def can_read(self, kind_id: str) -> None:
        """Take back `cannot_read`."""
        if self._unreadable.pop(kind_id, None) is not None:
            self._forget_answers()

    def set_pod_specs(self, pod_specs: dict[str, str]) -> None:
        """Take other kinds for workloads."""
        changed = {kind for kind, _ in self._pod_specs.items() ^ pod_specs.items()}
        self._pod_specs = pod_specs
        for kind_id in changed & self._kinds.keys():
            for place in self._kinds[kind_id].places(None):
                self._ready.drop((kind_id, *place))
                self._set_workload(kind_id, place, self._made(kind_id, place).workload)
        self._forget_answers()

    @property
    def unreadable(self) -> dict[str, str]:
        """The kinds that are not known, with the reason."""
        return dict(self._unreadable)

    def counts(self) -> dict[str, int]:
        """Return the number of objects by kind id."""
        return {kind_id: kind.count for kind_id, kind in self._kinds.items() if kind.count}

    def everything(self) -> Iterator[Resource]:
        """Yield every object of the cluster by kind, namespace and name, without the one under review."""
        self._note(_KINDS, None)
        for kind_id in sorted(self._kinds):
            self._note(kind_id, None)
            for place in self._kinds[kind_id].places(None):
                yield self._made(kind_id, place)

    def owner_of(self, resource: Resource) -> Resource | None:
        """Return the controller that made an object, or None where there is none or it is not known.

        One that was deleted and made anew under the same name has another uid and is none.
        """
        for reference in sequence(mapping(resource.object.get("metadata")).get("ownerReferences")):
            reference = mapping(reference)
            if reference.get("controller") is not True:
                continue
            owner = kind_named(text(reference.get("apiVersion")), text(reference.get("kind")))
            kind = self._kinds.get(owner)
            if kind is None or owner in self._unreadable:
                return None
            name = text(reference.get("name"))
            for place in ((namespace_of(resource), name), (DEFAULT_NAMESPACE, name)):
                if kind.get(place) is not None:
                    found = self._made(owner, place)
                    uid = mapping(found.object.get("metadata")).get("uid")
                    return found if uid == reference.get("uid") else None
        return None

    # The object under review

    def lay_over(
        self, kind_id: str, namespace: str | None, name: str, new: Resource | None
    ) -> None:
        """Answer as if `new` were there in place of what has that identity, None as if it were deleted."""
        place = namespace or DEFAULT_NAMESPACE, name
        kind = self._kinds.get(kind_id)
        there = kind is not None and kind.get(place) is not None
        old = self._made(kind_id, place) if there else None
        self._review = _Review(kind_id, place, old, new)

    def uncover(self) -> None:
        """Answer by the cluster alone again."""
        self._review = None

    # The questions

    def get(self, kind_id: str, namespace: str | None, name: str) -> Resource | None:
        """See `Inventory.get`."""
        place = namespace or DEFAULT_NAMESPACE, name
        self._ask(kind_id, place[0])
        if self._review is not None and self._review.is_about(kind_id, place):
            return self._review.new
        kind = self._kinds.get(kind_id)
        return self._made(kind_id, place) if kind is not None and kind.get(place) else None

    def of_kind(self, kind_id: str, namespace: str | None = None) -> Sequence[Resource]:
        """See `Inventory.of_kind`."""
        self._ask(kind_id, namespace)
        kind = self._kinds.get(kind_id)
        places = kind.places(namespace) if kind is not None else []
        return self._answered(kind_id, namespace, places, lambda _: True)

    def lookup(
        self, kind_id: str, namespace: str | None, keys_of: Keys, key: object
    ) -> Sequence[Resource]:
        """See `Inventory.lookup`."""
        self._ask(kind_id, namespace)
        kind = self._kinds.get(kind_id)
        places: Iterable[Place] = ()
        if kind is not None:
            index = kind.lookups.get(keys_of)
            if index is None:
                index = kind.lookups[keys_of] = {}
                for place in kind.places(None):
                    _enter(index, keys_of, place, self._made(kind_id, place))
            places = index.get((namespace, key), ())
        return self._answered(kind_id, namespace, places, lambda new: key in keys_of(new))

    def once(self, function: Callable[..., Answer], *arguments: str) -> Answer:
        """See `Inventory.once`; an answer is computed anew when something it asked for has changed."""
        key = (function, *arguments)
        review = self._review
        parts: Iterable[Part] | None
        if review is not None and key in review.answers:
            answer, parts = review.answers[key]
        else:
            answer, parts = self._remembered(key)
            if parts is None or (review is not None and review.touches(parts)):
                answer, parts = self._computed(function, arguments)
                if review is not None and review.touches(parts):
                    review.answers[key] = answer, parts
                else:
                    self._remember(key, answer, parts)
        if self._frames:
            self._frames[-1].update(parts)
        result: Answer = answer
        return result

    def kinds(self) -> Sequence[str]:
        """See `Inventory.kinds`."""
        self._note(_KINDS, None)
        return self._with_review(
            kind_id
            for kind_id, kind in self._kinds.items()
            if kind.count > self._covered(kind_id, None, kind)
        )

    def kinds_in(self, namespace: str) -> Sequence[str]:
        """See `Inventory.kinds_in`; those that cannot be read are among them, for they may be there."""
        self._note(_KINDS, namespace)
        found = (
            kind_id
            for kind_id, kind in self._kinds.items()
            if len(kind.by_namespace.get(namespace, ())) > self._covered(kind_id, namespace, kind)
        )
        return self._with_review({*found, *self._unreadable}, namespace)

    def workloads(self, namespace: str) -> Sequence[Workload]:
        """See `Inventory.workloads`."""
        return self._workloads_among(namespace, None)

    def workloads_matching(self, namespace: str, selector: Selector) -> Sequence[Workload]:
        """See `Inventory.workloads_matching`."""
        return self._workloads_among(namespace, selector)

    def selecting(self, kind_id: str, workload: Workload) -> Sequence[Resource]:
        """See `Inventory.selecting`."""
        namespace = namespace_of(workload.resource)
        self._ask(kind_id, namespace)
        kind = self._kinds.get(kind_id)
        names: Iterable[str] = ()
        if kind is not None and namespace in kind.by_namespace:
            index = kind.selectors.get(namespace)
            if index is None:
                index = kind.selectors[namespace] = _Selectors()
                for place in kind.places(namespace):
                    index.set(place[1], pod_selector(self._made(kind_id, place)))
            names = index.selecting(workload.pod_labels)
        places = [(namespace, name) for name in names]
        return self._answered(kind_id, namespace, places, lambda new: _selects(new, workload))

    # Private

    def _set(
        self,
        kind: _Kind,
        kind_id: str,
        place: Place,
        old: bytes | None,
        content: bytes | None,
        new: Resource | None,
    ) -> None:
        namespace, name = place
        before = self._made(kind_id, place) if old is not None and kind.is_indexed else None
        kind.set(place, content)
        for keys_of, index in kind.lookups.items():
            if before is not None:
                _leave(index, keys_of, place, before)
            if new is not None:
                _enter(index, keys_of, place, new)
        selectors = kind.selectors.get(namespace)
        if selectors is not None:
            selectors.set(name, pod_selector(new) if new is not None else None)
            if namespace not in kind.by_namespace:
                del kind.selectors[namespace]
        self._ready.drop((kind_id, *place))
        self._bump(kind_id, namespace)
        self._set_workload(kind_id, place, new.workload if new is not None else None)
        if old is None or content is None:
            self.count += 1 if old is None else -1
            self._bump(_KINDS, namespace)

    def _set_workload(self, kind_id: str, place: Place, new: Workload | None) -> None:
        namespace, name = place
        pods = self._workloads.get(namespace)
        if pods is None:
            if new is None:
                return
            pods = self._workloads[namespace] = _Pods()
        if pods.set((intern(kind_id), name), new.pod_labels if new is not None else None):
            self._bump(_WORKLOADS, namespace)
        if not pods.labels:
            del self._workloads[namespace]

    def _made(self, kind_id: str, place: Place) -> Resource:
        """Return what is kept at a place, which must be there, as a resource."""
        key = (kind_id, *place)
        found = self._ready.get(key)
        if found is None:
            content = self._kinds[kind_id].by_namespace[place[0]][place[1]]
            found = Resource(orjson.loads(content), pod_specs=self._pod_specs)
            self._ready.add(key, found, len(content))
        return found

    def _answered(
        self,
        kind_id: str,
        namespace: str | None,
        places: Iterable[Place],
        is_meant: Callable[[Resource], bool],
    ) -> Sequence[Resource]:
        """Return what stands at places of a kind, in order, the object under review in its own."""
        review = self._review
        if (
            review is None
            or review.kind_id != kind_id
            or (namespace is not None and namespace != review.place[0])
        ):
            return _Answered(sorted(places), lambda place: self._made(kind_id, place))
        wanted = {place for place in places if place != review.place}
        if review.new is not None and is_meant(review.new):
            wanted.add(review.place)

        def made(place: Place) -> Resource:
            is_reviewed = review.new is not None and place == review.place
            return review.new if is_reviewed else self._made(kind_id, place)  # type: ignore[return-value]

        return _Answered(sorted(wanted), made)

    def _workloads_among(self, namespace: str, selector: Selector | None) -> Sequence[Workload]:
        for kind_id in self._unreadable:
            if kind_id in POD_SPECS or kind_id in self._pod_specs:
                raise CannotBeRead(kind_id, self._unreadable[kind_id])
        self._note(_WORKLOADS, namespace)
        pods = self._workloads.get(namespace)
        found = set(pods.matching(selector)) if pods is not None else set()
        review, laid = self._review, None
        if review is not None and review.place[0] == namespace:
            laid = review.kind_id, review.place[1]
            found.discard(laid)
            new = review.new.workload if review.new is not None else None
            if new is not None and (selector is None or selector.matches(new.pod_labels)):
                found.add(laid)

        def made(key: Place) -> Workload:
            is_reviewed = review is not None and key == laid
            resource = review.new if is_reviewed else self._made(key[0], (namespace, key[1]))  # type: ignore[union-attr]
            return resource.workload  # type: ignore[return-value, union-attr]

        return _Answered(sorted(found), made)

    def _covered(self, kind_id: str, namespace: str | None, kind: _Kind) -> int:
        """Return how many of a kind's objects the one under review takes the place of: none or one."""
        review = self._review
        return int(
            review is not None
            and review.kind_id == kind_id
            and namespace in {None, review.place[0]}
            and kind.get(review.place) is not None
        )

    def _with_review(self, kinds: Iterable[str], namespace: str | None = None) -> list[str]:
        found = set(kinds)
        review = self._review
        if review is not None and review.new is not None and namespace in {None, review.place[0]}:
            found.add(review.kind_id)
        return sorted(found)

    def _bump(self, kind_id: str, namespace: str) -> None:
        for part in ((kind_id, namespace), (kind_id, None)):
            if part in self._versions:  # an answer depends on it
                self._versions[part] += 1

    def _ask(self, kind_id: str, namespace: str | None) -> None:
        if kind_id in self._unreadable:
            raise CannotBeRead(kind_id, self._unreadable[kind_id])
        self._note(kind_id, namespace)

    def _note(self, kind_id: str, namespace: str | None) -> None:
        if self._frames:
            self._frames[-1].add((kind_id, namespace))

    def _remembered(self, key: tuple[object, ...]) -> tuple[Any, Iterable[Part] | None]:
        found = self._answers.get(key)
        if found is None:
            return None, None
        answer, parts = found
        if any(self._versions[part] != version for part, version in parts.items()):
            del self._answers[key]
            return None, None
        return answer, parts

    def _remember(self, key: tuple[object, ...], answer: object, parts: Iterable[Part]) -> None:
        if len(self._answers) >= _MOST_ANSWERS:
            self._forget_answers()
        self._answers[key] = answer, {part: self._versions.setdefault(part, 0) for part in parts}

    def _forget_answers(self) -> None:
        self._answers.clear()
        self._versions.clear()

    def _computed(
        self, function: Callable[..., Answer], arguments: tuple[str, ...]
    ) -> tuple[Answer, set[Part]]:
        parts: set[Part] = set()
        self._frames.append(parts)
        try:
            return function(self, *arguments), parts
        finally:
            self._frames.pop()


class _Answered(Sequence[Found]):
    """What an answer holds, each made when it is looked at: many rules want to know of the first, or of any."""

    __slots__ = ("_make", "_places")

    def __init__(self, places: list[Place], make: Callable[[Place], Found]) -> None:
        self._places = places
        self._make = make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Found: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Found]: ...
    def __getitem__(self, index: int | slice) -> Found | Sequence[Found]:
        if isinstance(index, slice):
            return _Answered(self._places[index], self._make)
        return self._make(self._places[index])

    def __iter__(self) -> Iterator[Found]:
        return map(self._make, self._places)


class _Review:
    """The object under review: what it takes the place of, and the answers that hold with it only."""

    __slots__ = ("answers", "kind_id", "new", "parts", "place")

    def __init__(
        self, kind_id: str, place: Place, old: Resource | None, new: Resource | None
    ) -> None:
        self.kind_id = kind_id
        self.place = place
        self.new = new
        self.answers: dict[tuple[object, ...], tuple[Any, Iterable[Part]]] = {}
        namespace = place[0]
        parts: list[Part] = [(kind_id, namespace), (kind_id, None)]
        if old is None or new is None:
            parts += [(_KINDS, namespace), (_KINDS, None)]
        if any(each is not None and each.workload is not None for each in (old, new)):
            parts.append((_WORKLOADS, namespace))
        self.parts: frozenset[Part] = frozenset(parts)

    def touches(self, parts: Iterable[Part]) -> bool:
        return not self.parts.isdisjoint(parts)

    def is_about(self, kind_id: str, place: Place) -> bool:
        return kind_id == self.kind_id and place == self.place


class _Ready:
    """The resources last answered with, in two generations: the younger becomes the older when full."""

    __slots__ = ("_older", "_size", "_younger")

    def __init__(self) -> None:
        self._younger: dict[Identity, Resource] = {}
        self._older: dict[Identity, Resource] = {}
        self._size = 0

    def get(self, key: Identity) -> Resource | None:
        found = self._younger.get(key)
        return found if found is not None else self._older.get(key)

    def add(self, key: Identity, resource: Resource, size: int) -> None:
        if self._size > _READY_BYTES:
            self._older, self._younger, self._size = self._younger, {}, 0
        self._younger[key] = resource
        self._size += size

    def drop(self, key: Identity) -> None:
        self._younger.pop(key, None)
        self._older.pop(key, None)


class _Kind:
    """The objects of one kind as JSON, and their indexes, each made when first asked for and then kept."""

    __slots__ = ("_places", "by_namespace", "count", "lookups", "selectors")

    def __init__(self) -> None:
        self.count = 0
        self.by_namespace: dict[str, dict[str, bytes]] = {}
        self._places: dict[str | None, list[Place]] = {}
        self.lookups: dict[Keys, dict[tuple[str | None, object], dict[Place, None]]] = {}
        self.selectors: dict[str, _Selectors] = {}

    @property
    def is_indexed(self) -> bool:
        """Whether an index must be told what an object was like before."""
        return bool(self.lookups)

    def get(self, place: Place) -> bytes | None:
        named = self.by_namespace.get(place[0])
        return named.get(place[1]) if named is not None else None

    def places(self, namespace: str | None) -> list[Place]:
        """Return where there are objects, in order."""
        if namespace is not None and namespace not in self.by_namespace:
            return []
        found = self._places.get(namespace)
        if found is None:
            namespaces = sorted(self.by_namespace) if namespace is None else (namespace,)
            found = [
                (each, name)
                for each in namespaces
                for name in sorted(self.by_namespace.get(each, ()))
            ]
            self._places[namespace] = found
        return found

    def set(self, place: Place, content: bytes | None) -> None:
        namespace, name = place
        named = self.by_namespace.setdefault(namespace, {})
        before = len(named)
        if content is not None:
            named[name] = content
        else:
            del named[name]
            if not named:
                del self.by_namespace[namespace]
        if len(named) != before:
            self.count += len(named) - before
            self._places.pop(namespace, None)
            self._places.pop(None, None)


class _Pods:
    """The workloads of one namespace by the label pairs of their pods."""

    __slots__ = ("_by_pair", "labels")

    def __init__(self) -> None:
        self.labels: dict[Place, dict[str, Any]] = {}
        """By kind id and name."""
        self._by_pair: dict[tuple[str, str], dict[Place, None]] = {}

    def set(self, key: Place, new: dict[str, Any] | None) -> bool:
        """Take in a workload's labels or, for None, forget it. Tell whether there was or is one."""
        old = self.labels.pop(key, None)
        for pair in _pairs(old):
            rest = self._by_pair[pair]
            del rest[key]
            if not rest:
                del self._by_pair[pair]
        if new is not None:
            self.labels[key] = {intern(name): value for name, value in new.items()}
            for pair in _pairs(new):
                self._by_pair.setdefault(pair, {})[key] = None
        return old is not None or new is not None

    def matching(self, selector: Selector | None) -> Iterable[Place]:
        if selector is None:
            return self.labels
        candidates: Iterable[Place] = self.labels
        fewest = len(self.labels)
        for pair in selector.equalities:
            found = self._by_pair.get(pair)
            if found is None:
                return ()
            if len(found) < fewest:
                candidates, fewest = found, len(found)
        return [key for key in candidates if selector.matches(self.labels[key])]


class _Selectors:
    """The selecting objects of one namespace by name, each under one label pair that it demands."""

    __slots__ = ("_by_pair", "_of", "_others")

    def __init__(self) -> None:
        self._of: dict[str, tuple[Selector, tuple[str, str] | None]] = {}
        self._by_pair: dict[tuple[str, str], dict[str, Selector]] = {}
        self._others: dict[str, Selector] = {}

    def set(self, name: str, selector: Selector | None) -> None:
        if name in self._of:
            _, pair = self._of.pop(name)
            del (self._others if pair is None else self._by_pair[pair])[name]
            if pair is not None and not self._by_pair[pair]:
                del self._by_pair[pair]
        if selector is None or selector.selects_nothing:
            return
        rarest = min(
            selector.equalities, key=lambda pair: len(self._by_pair.get(pair, ())), default=None
        )
        self._of[name] = selector, rarest
        (self._others if rarest is None else self._by_pair.setdefault(rarest, {}))[name] = selector

    def selecting(self, labels: dict[str, Any]) -> list[str]:
        candidates = [self._others]
        for pair in _pairs(labels):
            found = self._by_pair.get(pair)
            if found is not None:
                candidates.append(found)
        return [
            name
            for each in candidates
            for name, selector in each.items()
            if selector.matches(labels)
        ]


def _pairs(labels: dict[str, Any] | None) -> list[tuple[str, str]]:
    return [(key, value) for key, value in (labels or {}).items() if isinstance(value, str)]


def _selects(resource: Resource, workload: Workload) -> bool:
    selector = pod_selector(resource)
    return selector is not None and selector.matches(workload.pod_labels)


def _enter(
    index: dict[tuple[str | None, object], dict[Place, None]],
    keys_of: Keys,
    place: Place,
    resource: Resource,
) -> None:
    for key in keys_of(resource):
        index.setdefault((place[0], key), {})[place] = None
        index.setdefault((None, key), {})[place] = None


def _leave(
    index: dict[tuple[str | None, object], dict[Place, None]],
    keys_of: Keys,
    place: Place,
    resource: Resource,
) -> None:
    for key in keys_of(resource):
        for entry in ((place[0], key), (None, key)):
            found = index.get(entry)
            if found is not None:
                found.pop(place, None)
                if not found:
                    del index[entry]
