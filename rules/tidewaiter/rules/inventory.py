"""The other objects: what a cross-resource rule may ask.

`complete` says whether absence means something. A run over a folder or several files, a live cluster
and a snapshot are sets: what they lack is missing. A single file is not: a rule that finds nothing
there answers `unknown`. What an inventory does hold is a fact in either case.

Everything is indexed by namespace and by label, so that a question costs the number of its answers.
An object without a namespace is looked for, and found, in `default`, as kubectl would put it there.
"""

from __future__ import annotations

import marshal

from tidewaiter.rules.manifest.fields import mapping
from tidewaiter.rules.manifest.selector import (
    InvalidSelector,
    Selector,
    parse_map_selector,
    parse_selector,
)
from tidewaiter.rules.manifest.workload import POD_SPECS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.manifest.workload import Workload

    Answer = TypeVar("Answer")
    _Lookup = dict[tuple[str | None, object], list[Resource]]

DEFAULT_NAMESPACE = "default"


class CannotBeRead(Exception):
    """A rule asked for a kind that is not known: whatever it would say of it, its answer is `unknown`.

    `reason` is a clause that says why.
    """

    def __init__(self, kind_id: str, reason: str) -> None:
        """Keep the kind and the reason."""
        super().__init__(f"{kind_id} objects are not known: {reason}")
        self.kind_id = kind_id
        self.reason = reason


def namespace_of(resource: Resource) -> str:
    """Return the namespace that an object is looked for in."""
    return resource.namespace or DEFAULT_NAMESPACE


class Inventory:
    """An indexed set of objects, never written to after it is made.

    `complete` is described above. Lists come back in the order of the objects given. To ask for a kind in
    `unreadable`, which says why it is not known, raises CannotBeRead.
    """

    __slots__ = (
        "_answers",
        "_by_kind",
        "_by_name",
        "_lookups",
        "_pods",
        "_selecting",
        "_unreadable",
        "complete",
    )

    def __init__(
        self,
        resources: Iterable[Resource],
        *,
        complete: bool,
        unreadable: Mapping[str, str] | None = None,
    ) -> None:
        """Index the resources by identity and kind; the label indexes are made when first asked."""
        self.complete = complete
        self._unreadable = dict(unreadable or {})
        self._by_kind: dict[str, dict[str, list[Resource]]] = {}
        self._by_name: dict[tuple[str, str, str], Resource] = {}
        self._pods: dict[str, _PodIndex] | None = None
        self._selecting: dict[tuple[str, str], _SelectorIndex] = {}
        self._answers: dict[tuple[object, ...], Any] = {}
        self._lookups: dict[tuple[str, Callable[[Resource], tuple[object, ...]]], _Lookup] = {}
        for resource in resources:
            namespace = namespace_of(resource)
            by_namespace = self._by_kind.setdefault(resource.kind_id, {})
            by_namespace.setdefault(namespace, []).append(resource)
            self._by_name.setdefault((resource.kind_id, namespace, resource.name), resource)

    def get(self, kind_id: str, namespace: str | None, name: str) -> Resource | None:
        """Return the object of that kind and name (cluster-scoped kinds: namespace None)."""
        self._check(kind_id)
        return self._by_name.get((kind_id, namespace or DEFAULT_NAMESPACE, name))

    def find(self, kind_id: str, name: str) -> Resource | None:
        """Return a cluster-scoped object by name, whatever namespace its manifest may state."""
        found = self.lookup(kind_id, None, _names, name)
        return found[0] if found else None

    def of_kind(self, kind_id: str, namespace: str | None = None) -> Sequence[Resource]:
        """Return the objects of a kind, in one namespace or, without one, in all."""
        self._check(kind_id)
        by_namespace = self._by_kind.get(kind_id, {})
        if namespace is not None:
            return by_namespace.get(namespace, ())
        return [resource for found in by_namespace.values() for resource in found]

    def lookup(
        self,
        kind_id: str,
        namespace: str | None,
        keys_of: Callable[[Resource], tuple[object, ...]],
        key: object,
    ) -> Sequence[Resource]:
        """Return the objects of a kind that have `key` among their `keys_of`, in one namespace or all.

        The kind is indexed once for each function, so pass a function that lasts, not a new closure.
        """
        self._check(kind_id)
        index = self._lookups.get((kind_id, keys_of))
        if index is None:
            index = self._lookups[kind_id, keys_of] = {}
            for resource in self.of_kind(kind_id):
                for found in keys_of(resource):
                    index.setdefault((namespace_of(resource), found), []).append(resource)
                    index.setdefault((None, found), []).append(resource)
        return index.get((namespace, key), ())

    def once(self, function: Callable[..., Answer], *arguments: str) -> Answer:
        """Return `function(inventory, *arguments)`, computed once for each function and arguments.

        For what many objects ask alike, such as whether a namespace is isolated. The function must be
        one that lasts, and depend on nothing else.
        """
        key = (function, *arguments)
        if key not in self._answers:
            self._answers[key] = function(self, *arguments)
        answer: Answer = self._answers[key]
        return answer

    def everything(self) -> Iterator[Resource]:
        """Yield every object that is known, also of kinds that are not known whole."""
        for by_namespace in self._by_kind.values():
            for resources in by_namespace.values():
                yield from resources

    def kinds(self) -> Sequence[str]:
        """Return the id of every kind there is an object of."""
        return tuple(self._by_kind)

    def kinds_in(self, namespace: str) -> Sequence[str]:
        """Return the id of every kind with an object in a namespace, or of which that is not known."""
        found = [kind for kind, by_namespace in self._by_kind.items() if namespace in by_namespace]
        return [*found, *(kind for kind in self._unreadable if kind not in found)]

    def workloads(self, namespace: str) -> Sequence[Workload]:
        """Return the workloads of a namespace."""
        self._check_workloads()
        index = self._pod_indexes().get(namespace)
        return index.workloads if index else ()

    def workloads_matching(self, namespace: str, selector: Selector) -> Sequence[Workload]:
        """Return the workloads of a namespace whose pods a selector matches."""
        self._check_workloads()
        index = self._pod_indexes().get(namespace)
        return index.matching(selector) if index else ()

    def selecting(self, kind_id: str, workload: Workload) -> Sequence[Resource]:
        """Return the objects of a kind in the workload's namespace that select its pods.

        Kinds: Service, PodDisruptionBudget.policy, NetworkPolicy.networking.k8s.io. Objects whose
        selector is no selector select nothing here.
        """
        self._check(kind_id)
        namespace = namespace_of(workload.resource)
        index = self._selecting.get((kind_id, namespace))
        if index is None:
            index = _SelectorIndex(self.of_kind(kind_id, namespace), pod_selector)
            self._selecting[kind_id, namespace] = index
        return index.selecting(workload.pod_labels)

    def _check(self, kind_id: str) -> None:
        if kind_id in self._unreadable:
            raise CannotBeRead(kind_id, self._unreadable[kind_id])

    def _check_workloads(self) -> None:
        for kind_id in self._unreadable:
            if kind_id in POD_SPECS:
                raise CannotBeRead(kind_id, self._unreadable[kind_id])

    def _pod_indexes(self) -> dict[str, _PodIndex]:
        if self._pods is None:
            self._pods = {}
            for by_namespace in self._by_kind.values():
                for namespace, resources in by_namespace.items():
                    for resource in _distinct(resources):
                        if resource.workload is not None:
                            index = self._pods.get(namespace)
                            if index is None:
                                index = self._pods[namespace] = _PodIndex()
                            index.add(resource.workload)
        return self._pods


def pod_selector(resource: Resource) -> Selector | None:
    """Return the selector by which an object picks pods, or None where it picks none.

    Service: an empty or missing selector picks none. NetworkPolicy: an empty one picks all pods.
    PodDisruptionBudget: an empty one picks all in policy/v1 and none in policy/v1beta1, a missing
    one none. https://kubernetes.io/docs/reference/kubernetes-api/
    """
    spec = resource.spec
    try:
        if resource.kind_id in {"Service", "ReplicationController"}:
            return parse_map_selector(spec["selector"]) if spec.get("selector") else None
        if resource.kind_id == "NetworkPolicy.networking.k8s.io":
            return parse_selector(mapping(spec.get("podSelector")))
        if resource.kind_id == "PodDisruptionBudget.policy":
            selector = spec.get("selector")
            if selector is None or (not selector and resource.api_version == "policy/v1beta1"):
                return None
            return parse_selector(selector)
        return parse_selector(spec["selector"]) if spec.get("selector") else None
    except InvalidSelector:
        return None


def _names(resource: Resource) -> tuple[str, ...]:
    return (resource.name,)


def _distinct(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Yield objects of one kind and namespace without exact copies, as folders of variants hold them.

    Copies answer every question alike, and a hundred that select each other would ask 10,000.
    """
    first: dict[str, Resource] = {}
    contents: dict[str, set[bytes]] = {}
    for resource in resources:
        known = first.setdefault(resource.name, resource)
        if known is not resource:
            seen = contents.setdefault(resource.name, {marshal.dumps(known.object)})
            content = marshal.dumps(resource.object)
            if content in seen:
                continue
            seen.add(content)
        yield resource


class _PodIndex:
    """The workloads of one namespace by the label pairs of their pods."""

    __slots__ = ("_by_pair", "workloads")

    def __init__(self) -> None:
        self.workloads: list[Workload] = []
        self._by_pair: dict[tuple[str, str], list[Workload]] = {}

    def add(self, workload: Workload) -> None:
        self.workloads.append(workload)
        for key, value in workload.pod_labels.items():
            if isinstance(value, str):
                self._by_pair.setdefault((key, value), []).append(workload)

    def matching(self, selector: Selector) -> Sequence[Workload]:
        candidates = self.workloads
        for pair in selector.equalities:
            found = self._by_pair.get(pair)
            if found is None:
                return ()
            if len(found) < len(candidates):
                candidates = found
        return [workload for workload in candidates if selector.matches(workload.pod_labels)]


class _SelectorIndex:
    """The selecting objects of one namespace, each under the rarest label pair that it demands."""

    __slots__ = ("_by_pair", "_others")

    def __init__(
        self, resources: Sequence[Resource], selector_of: Callable[[Resource], Selector | None]
    ) -> None:
        parsed = [
            (place, selector, resource)
            for place, resource in enumerate(_distinct(resources))
            if (selector := selector_of(resource)) is not None
        ]
        count: dict[tuple[str, str], int] = {}
        for _, selector, _ in parsed:
            for pair in selector.equalities:
                count[pair] = count.get(pair, 0) + 1
        self._by_pair: dict[tuple[str, str], list[tuple[int, Selector, Resource]]] = {}
        self._others: list[tuple[int, Selector, Resource]] = []
        for row in parsed:
            pairs = row[1].equalities
            if pairs:
                rarest = min(pairs, key=count.__getitem__)
                self._by_pair.setdefault(rarest, []).append(row)
            else:
                self._others.append(row)

    def selecting(self, labels: dict[str, object]) -> Sequence[Resource]:
        rows = list(self._others)
        for key, value in labels.items():
            if isinstance(value, str):
                rows += self._by_pair.get((key, value), ())
        found = [row for row in rows if row[1].matches(labels)]
        found.sort(key=lambda row: row[0])
        return [row[2] for row in found]
