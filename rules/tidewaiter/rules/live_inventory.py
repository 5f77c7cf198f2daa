"""The objects of a running cluster, with the object under review laid over them.

The same questions as those of `Inventory`, for a set that changes all the time: every index is kept in step
with `put` and `remove`, and what `once` has computed stays as long as what it asked for does. One thread uses
it: nothing here waits or locks.
"""

from __future__ import annotations

from tidewaiter.rules.inventory import DEFAULT_NAMESPACE, Inventory, namespace_of, pod_selector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeVar

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.selector import Selector
    from tidewaiter.rules.manifest.workload import Workload

    Answer = TypeVar("Answer")
    Keys = Callable[[Resource], tuple[object, ...]]
    Part = tuple[str, str | None]
    """A kind in one namespace, or in all: what an answer may depend on."""
    Place = tuple[str, str]
    """Namespace and name."""

_WORKLOADS = "(workloads)"
_KINDS = "(kinds)"


class CannotBeRead(Exception):
    """A rule asked for a kind that the cluster does not let us read: its answer is not known."""

    def __init__(self, kind_id: str) -> None:
        """Keep the kind."""
        super().__init__(f"the cluster does not let tidewaiter read {kind_id}")
        self.kind_id = kind_id


class LiveInventory(Inventory):
    """An inventory that follows a cluster.

    `complete` says whether everything has been read at least once, so that absence means something; a kind in
    `unreadable` is one that was not, and to ask for it raises CannotBeRead.
    """

    __slots__ = (
        "_frames",
        "_kinds",
        "_review",
        "_versions",
        "_workloads",
        "count",
        "unreadable",
    )

    def __init__(self, resources: Iterable[Resource] = (), *, complete: bool = False) -> None:
        """Start with the given objects."""
        self.complete = complete
        self.unreadable: set[str] = set()
        self.count = 0
        self._kinds: dict[str, _Kind] = {}
        self._workloads: dict[str, _Pods] = {}
        self._versions: dict[Part, int] = {}
        self._answers: dict[tuple[object, ...], Any] = {}
        self._frames: list[set[Part]] = []
        self._review: _Review | None = None
        for resource in resources:
            self.put(resource)

    # What changes it

    def put(self, resource: Resource) -> None:
        """Take in an object, in place of the one of its kind, namespace and name."""
        kind = self._kinds.get(resource.kind_id)
        if kind is None:
            kind = self._kinds[resource.kind_id] = _Kind()
        place = namespace_of(resource), resource.name
        old = kind.get(place)
        if old is not None and old.object == resource.object:
            return
        self._set(kind, resource.kind_id, place, old, resource)

    def remove(self, kind_id: str, namespace: str | None, name: str) -> None:
        """Forget an object; one that is not there is none."""
        kind = self._kinds.get(kind_id)
        place = namespace or DEFAULT_NAMESPACE, name
        old = kind.get(place) if kind is not None else None
        if kind is not None and old is not None:
            self._set(kind, kind_id, place, old, None)

    def replace(self, kind_id: str, resources: Iterable[Resource]) -> None:
        """Make the given objects all there are of a kind."""
        kept = set()
        for resource in resources:
            kept.add((namespace_of(resource), resource.name))
            self.put(resource)
        kind = self._kinds.get(kind_id)
        for namespace, name in (
            [place for place in kind.places() if place not in kept] if kind else ()
        ):
            self.remove(kind_id, namespace, name)

    def counts(self) -> dict[str, int]:
        """Return the number of objects by kind id."""
        return {kind_id: kind.count for kind_id, kind in self._kinds.items() if kind.count}

    # The object under review

    def lay_over(
        self, kind_id: str, namespace: str | None, name: str, new: Resource | None
    ) -> None:
        """Answer as if `new` were there in place of what has that identity, None as if it were deleted."""
        place = namespace or DEFAULT_NAMESPACE, name
        kind = self._kinds.get(kind_id)
        old = kind.get(place) if kind is not None else None
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
        return kind.get(place) if kind is not None else None

    def of_kind(self, kind_id: str, namespace: str | None = None) -> Sequence[Resource]:
        """See `Inventory.of_kind`."""
        self._ask(kind_id, namespace)
        kind = self._kinds.get(kind_id)
        found = kind.all(namespace) if kind is not None else []
        if self._review is not None and self._review.kind_id == kind_id:
            return self._review.over(found, namespace)
        return found

    def lookup(
        self, kind_id: str, namespace: str | None, keys_of: Keys, key: object
    ) -> Sequence[Resource]:
        """See `Inventory.lookup`."""
        self._ask(kind_id, namespace)
        kind = self._kinds.get(kind_id)
        found = kind.lookup(namespace, keys_of, key) if kind is not None else []
        review = self._review
        if review is not None and review.kind_id == kind_id:
            return review.over(found, namespace, lambda new: key in keys_of(new))
        return found

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
                    self._answers[key] = answer, {part: self._version(part) for part in parts}
        if self._frames:
            self._frames[-1].update(parts)
        result: Answer = answer
        return result

    def kinds(self) -> Sequence[str]:
        """See `Inventory.kinds`."""
        self._note(_KINDS, None)
        found = [kind_id for kind_id, kind in self._kinds.items() if kind.count]
        new = self._review.new if self._review is not None else None
        return [*found, new.kind_id] if new is not None and new.kind_id not in found else found

    def kinds_in(self, namespace: str) -> Sequence[str]:
        """See `Inventory.kinds_in`."""
        self._note(_KINDS, namespace)
        found = [kind_id for kind_id, kind in self._kinds.items() if namespace in kind.by_namespace]
        new = self._review.new if self._review is not None else None
        if new is not None and namespace_of(new) == namespace and new.kind_id not in found:
            found.append(new.kind_id)
        return found

    def workloads(self, namespace: str) -> Sequence[Workload]:
        """See `Inventory.workloads`."""
        self._note(_WORKLOADS, namespace)
        pods = self._workloads.get(namespace)
        found = list(pods.workloads.values()) if pods is not None else []
        return self._review.over_workloads(found, namespace) if self._review is not None else found

    def workloads_matching(self, namespace: str, selector: Selector) -> Sequence[Workload]:
        """See `Inventory.workloads_matching`."""
        self._note(_WORKLOADS, namespace)
        pods = self._workloads.get(namespace)
        found = pods.matching(selector) if pods is not None else []
        return (
            self._review.over_workloads(found, namespace, selector)
            if self._review is not None
            else found
        )

    def selecting(self, kind_id: str, workload: Workload) -> Sequence[Resource]:
        """See `Inventory.selecting`."""
        namespace = namespace_of(workload.resource)
        self._ask(kind_id, namespace)
        kind = self._kinds.get(kind_id)
        found = kind.selecting(namespace, workload.pod_labels) if kind is not None else []
        review = self._review
        if review is not None and review.kind_id == kind_id:
            return review.over(found, namespace, lambda new: _selects(new, workload))
        return found

    # Private

    def _set(
        self, kind: _Kind, kind_id: str, place: Place, old: Resource | None, new: Resource | None
    ) -> None:
        namespace = place[0]
        kind.set(place, old, new)
        self._bump(kind_id, namespace)
        if (old is not None and old.workload is not None) or (
            new is not None and new.workload is not None
        ):
            pods = self._workloads.setdefault(namespace, _Pods())
            pods.set((kind_id, place[1]), new.workload if new is not None else None)
            if not pods.workloads:
                del self._workloads[namespace]
            self._bump(_WORKLOADS, namespace)
        if old is None or new is None:
            self.count += 1 if old is None else -1
            self._bump(_KINDS, namespace)

    def _bump(self, kind_id: str, namespace: str) -> None:
        for part in ((kind_id, namespace), (kind_id, None)):
            if part in self._versions:  # an answer depends on it
                self._versions[part] += 1

    def _version(self, part: Part) -> int:
        return self._versions.setdefault(part, 0)

    def _ask(self, kind_id: str, namespace: str | None) -> None:
        if kind_id in self.unreadable:
            raise CannotBeRead(kind_id)
        if self._frames:
            self._frames[-1].add((kind_id, namespace))

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

    def _computed(
        self, function: Callable[..., Answer], arguments: tuple[str, ...]
    ) -> tuple[Answer, set[Part]]:
        parts: set[Part] = set()
        self._frames.append(parts)
        try:
            return function(self, *arguments), parts
        finally:
            self._frames.pop()


class _Review:
    """The object under review: what it takes the place of, and the answers that hold with it only."""

    __slots__ = ("answers", "kind_id", "new", "old", "parts", "place")

    def __init__(
        self,
        kind_id: str,
        place: Place,
        old: Resource | None,
        new: Resource | None,
    ) -> None:
        self.kind_id = kind_id
        self.place = place
        self.old = old
        self.new = new
        self.answers: dict[tuple[object, ...], tuple[Any, Iterable[Part]]] = {}
        self.parts: frozenset[Part] = self._parts() if not self._is_unchanged() else frozenset()

    def _is_unchanged(self) -> bool:
        return self.old is not None and self.new is not None and self.old.object == self.new.object

    def _parts(self) -> frozenset[Part]:
        namespace = self.place[0]
        parts: list[Part] = [(self.kind_id, namespace), (self.kind_id, None)]
        if self.old is None or self.new is None:
            parts += [(_KINDS, namespace), (_KINDS, None)]
        if any(each is not None and each.workload is not None for each in (self.old, self.new)):
            parts.append((_WORKLOADS, namespace))
        return frozenset(parts)

    def touches(self, parts: Iterable[Part]) -> bool:
        return not self.parts.isdisjoint(parts)

    def is_about(self, kind_id: str, place: Place) -> bool:
        return kind_id == self.kind_id and place == self.place

    def over(
        self,
        found: Sequence[Resource],
        namespace: str | None,
        is_meant: Callable[[Resource], bool] | None = None,
    ) -> Sequence[Resource]:
        """Return objects of the kind under review with that object in its place."""
        if namespace is not None and namespace != self.place[0]:
            return found
        if self.old is not None:
            found = [each for each in found if each is not self.old]
        if self.new is not None and (is_meant is None or is_meant(self.new)):
            found = [*found, self.new]
        return found

    def over_workloads(
        self, found: Sequence[Workload], namespace: str, selector: Selector | None = None
    ) -> Sequence[Workload]:
        if namespace != self.place[0]:
            return found
        if self.old is not None and self.old.workload is not None:
            found = [each for each in found if each.resource is not self.old]
        workload = self.new.workload if self.new is not None else None
        if workload is not None and (selector is None or selector.matches(workload.pod_labels)):
            found = [*found, workload]
        return found


class _Kind:
    """The objects of one kind and their indexes, each made when first asked for and then kept."""

    __slots__ = ("_lookups", "_selectors", "by_namespace", "count")

    def __init__(self) -> None:
        self.count = 0
        self.by_namespace: dict[str, dict[str, Resource]] = {}
        self._lookups: dict[Keys, dict[tuple[str | None, object], dict[Place, Resource]]] = {}
        self._selectors: dict[str, dict[str, tuple[Selector, Resource]]] | None = None

    def get(self, place: Place) -> Resource | None:
        named = self.by_namespace.get(place[0])
        return named.get(place[1]) if named is not None else None

    def places(self) -> Iterator[Place]:
        for namespace, named in self.by_namespace.items():
            for name in named:
                yield namespace, name

    def all(self, namespace: str | None) -> list[Resource]:
        if namespace is not None:
            return list(self.by_namespace.get(namespace, {}).values())
        return [each for named in self.by_namespace.values() for each in named.values()]

    def lookup(self, namespace: str | None, keys_of: Keys, key: object) -> list[Resource]:
        index = self._lookups.get(keys_of)
        if index is None:
            index = self._lookups[keys_of] = {}
            for resource in self.all(None):
                _enter(index, keys_of, resource)
        return list(index.get((namespace, key), {}).values())

    def selecting(self, namespace: str, labels: dict[str, object]) -> list[Resource]:
        if self._selectors is None:
            self._selectors = {}
            for resource in self.all(None):
                self._enter_selector(resource)
        return [
            resource
            for selector, resource in self._selectors.get(namespace, {}).values()
            if selector.matches(labels)
        ]

    def set(self, place: Place, old: Resource | None, new: Resource | None) -> None:
        namespace, name = place
        if old is not None:
            for keys_of, index in self._lookups.items():
                _leave(index, keys_of, old)
            if self._selectors is not None:
                self._selectors.get(namespace, {}).pop(name, None)
        if new is None:
            named = self.by_namespace[namespace]
            del named[name]
            if not named:
                del self.by_namespace[namespace]
        else:
            self.by_namespace.setdefault(namespace, {})[name] = new
            for keys_of, index in self._lookups.items():
                _enter(index, keys_of, new)
            if self._selectors is not None:
                self._enter_selector(new)
        self.count += (new is not None) - (old is not None)

    def _enter_selector(self, resource: Resource) -> None:
        selector = pod_selector(resource)
        if selector is not None and self._selectors is not None:
            named = self._selectors.setdefault(namespace_of(resource), {})
            named[resource.name] = selector, resource


class _Pods:
    """The workloads of one namespace by the label pairs of their pods."""

    __slots__ = ("_by_pair", "workloads")

    def __init__(self) -> None:
        self.workloads: dict[Place, Workload] = {}
        """By kind id and name."""
        self._by_pair: dict[tuple[str, str], dict[Place, Workload]] = {}

    def set(self, key: Place, new: Workload | None) -> None:
        old = self.workloads.pop(key, None)
        for pair in _label_pairs(old):
            rest = self._by_pair[pair]
            del rest[key]
            if not rest:
                del self._by_pair[pair]
        if new is not None:
            self.workloads[key] = new
            for pair in _label_pairs(new):
                self._by_pair.setdefault(pair, {})[key] = new

    def matching(self, selector: Selector) -> list[Workload]:
        candidates = self.workloads
        for pair in selector.equalities:
            found = self._by_pair.get(pair)
            if found is None:
                return []
            if len(found) < len(candidates):
                candidates = found
        return [each for each in candidates.values() if selector.matches(each.pod_labels)]


def _label_pairs(workload: Workload | None) -> list[tuple[str, str]]:
    if workload is None:
        return []
    return [(key, value) for key, value in workload.pod_labels.items() if isinstance(value, str)]


def _selects(resource: Resource, workload: Workload) -> bool:
    selector = pod_selector(resource)
    return selector is not None and selector.matches(workload.pod_labels)


def _enter(
    index: dict[tuple[str | None, object], dict[Place, Resource]], keys_of: Keys, resource: Resource
) -> None:
    place = namespace_of(resource), resource.name
    for key in keys_of(resource):
        index.setdefault((place[0], key), {})[place] = resource
        index.setdefault((None, key), {})[place] = resource


def _leave(
    index: dict[tuple[str | None, object], dict[Place, Resource]], keys_of: Keys, resource: Resource
) -> None:
    place = namespace_of(resource), resource.name
    for key in keys_of(resource):
        for entry in ((place[0], key), (None, key)):
            found = index.get(entry)
            if found is not None:
                found.pop(place, None)
                if not found:
                    del index[entry]
