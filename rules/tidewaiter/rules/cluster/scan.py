"""Judging what is in a cluster, once.

Every kind is read page by page. An object is judged by the rules that need only itself while its page is there.
It is then put by, packed, for the rules that ask about others, and of it what those may ask goes into an inventory;
they run once everything has been read. So a scan holds an inventory, a page, and the packed objects.

What a controller made is judged with its controller: a pod is reported for what its controller's template does
not have (a sidecar that a webhook put in, a debugging container), and once for all pods of that controller.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import compress, decompress

import orjson

from tidewaiter.rules import engine
from tidewaiter.rules.cluster.client import METADATA_ONLY, PAGE_COST, PAGE_LIMIT, Refused
from tidewaiter.rules.cluster.discovery import discover
from tidewaiter.rules.cluster.made_images import MadeImages
from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.exemptions import annotation_exemptions
from tidewaiter.rules.filled_in import stored
from tidewaiter.rules.finding import UNKNOWN
from tidewaiter.rules.image_answers import images_of
from tidewaiter.rules.inventory import CannotBeRead, namespace_of
from tidewaiter.rules.kept_fields import is_followed, kept, kinds_read_whole
from tidewaiter.rules.live_inventory import LiveInventory
from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.manifest.workload import POD_SPECS
from tidewaiter.rules.policy.compiled import LATEST_VERSION, Policy, parse_version
from tidewaiter.rules.record import replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from tidewaiter.rules.cluster.client import Client, Page
    from tidewaiter.rules.cluster.discovery import ApiResource, Discovery
    from tidewaiter.rules.cluster.shard import Shard
    from tidewaiter.rules.finding import Finding, RuleCrash
    from tidewaiter.rules.image_answers import ImageAnswer
    from tidewaiter.rules.manifest.puller import Puller
    from tidewaiter.rules.manifest.selector import Selector
    from tidewaiter.rules.manifest.workload import Workload
    from tidewaiter.rules.policy.compiled import PlainPolicy

    Pulled = Mapping[Puller | None, Iterable[str]]
    """Images by who pulls them, None where the policy does not let that count."""
    FindOut = Callable[[Pulled], Awaitable[Mapping[Puller | None, Mapping[str, ImageAnswer]]]]
    Identity = tuple[str, str, str]
    """Kind id, namespace and name."""

MANIFEST_RULES = frozenset({"no-secret-manifest", "no-duplicate-keys", "no-duplicate-objects"})
"""Rules about manifests: a cluster is where a Secret belongs, and no object is there twice."""

SELDOM = (100_000, 20, 100)
"""For `gc.set_threshold`: a scan leaves few cycles, those of requests, among many objects that stay."""
_LATE = {"Job.batch": 2, "ReplicaSet.apps": 2, "ReplicationController": 2, "Pod": 3}
_DEFAULT_ROLES = frozenset({"admin", "cluster-admin", "edit", "view"})
_GONE = frozenset({404, 405, 406})
_PODS_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Subject:
    """An object that was judged, with the findings on it; `rules` is the number of rules that ran."""

    resource: Resource
    rules: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """The answers on a cluster.

    `subjects` are the objects with findings, by kind, namespace and name. `findings` are those on the policy
    itself, of which nothing is said unless the scan `is_whole`: everything could be read. `resources` counts the
    objects that were judged. `errors` say what could not be read.
    """

    resources: int
    subjects: tuple[Subject, ...]
    findings: tuple[Finding, ...]
    crashes: tuple[RuleCrash, ...]
    errors: tuple[ClusterError, ...]
    inventory: ClusterInventory
    discovery: Discovery
    is_whole: bool

    def not_known(self) -> dict[str, str]:
        """Return the kinds of which the inventory has not all objects, with the reason."""
        partly = "only those of some namespaces may be read"
        return {**dict.fromkeys(self.inventory.partly_read, partly), **self.inventory.unreadable}

    def all_findings(self) -> list[Finding]:
        """Return every finding, those on the policy last."""
        return [*(each for subject in self.subjects for each in subject.findings), *self.findings]


async def scan(
    client: Client,
    policy: Policy,
    *,
    today: str,
    namespaces: Sequence[str] = (),
    shard: Shard | None = None,
    limit: int = PAGE_LIMIT,
    progress: Callable[[int], None] | None = None,
    find_out: FindOut | None = None,
    is_allowed: Callable[[ApiResource], bool] | None = None,
) -> Scan:
    """Judge a cluster by a policy, or the objects of some namespaces, or of a shard, only.

    Ignore annotations count where the policy says so for admission. `progress` is called with the number of objects
    read so far; `find_out` answers for the images that the policy speaks of. Raises ClusterError where the cluster
    cannot be reached; what it does not let us read is in the result's errors, and rules that would have to know it
    answer `unknown`. Kinds that are not `is_allowed` are left out without an error, and unknown likewise.
    """
    discovery = await discover(client)
    own = await _namespaces_of(client, shard) if shard is not None else ()
    judging = _Judging(policy, today, namespaces, shard, own)
    for group in discovery.failed:
        msg = f"the API group {group or 'core'} cannot be asked: its server does not answer"
        judging.errors.append(ClusterError(msg))
    kinds = [each for each in discovery.preferred() if _is_scanned(each, policy)]
    kinds.sort(key=lambda each: (_rank(each, policy), each.kind_id))
    if is_allowed is not None:
        judging.leave_out(each for each in kinds if not is_allowed(each))
        kinds = [each for each in kinds if is_allowed(each)]
    async for step in _ahead(_reading(client, kinds, judging, limit)):
        # Judged beside the event loop, which meanwhile reads the next page.
        await asyncio.to_thread(step)
        if progress is not None:
            progress(judging.read)
    if find_out is not None and policy.images is not None:
        policy.images.answers_by = await find_out(judging.images)
    while beyond := await asyncio.to_thread(judging.relate):
        asked = [each for each in kinds if each.kind_id in beyond]
        async for step in _ahead(_reading_beyond(client, asked, judging, limit)):
            await asyncio.to_thread(step)
    return await asyncio.to_thread(judging.conclude, discovery)


async def policy_for(client: Client, plain: PlainPolicy) -> Policy:
    """Compile a policy; where it names no Kubernetes version, that of the cluster holds, or the newest known."""
    if not plain.get("kubernetesVersion"):
        told = mapping(await client.request("GET", "/version"))
        # Some clouds put a sign behind the minor version: "34+".
        stated = parse_version(f"{told.get('major')}.{text(told.get('minor')).rstrip('+')}")
        major, minor = min(stated or LATEST_VERSION, LATEST_VERSION)
        plain = {**plain, "kubernetesVersion": f"{major}.{minor}"}
    return Policy(plain)


async def _namespaces_of(client: Client, shard: Shard) -> list[str]:
    found = []
    async for page in client.pages("/api/v1/namespaces", accept=METADATA_ONLY):
        found += [name for each in page.items if shard.has(name := each["metadata"]["name"])]
    return list(dict.fromkeys(found))


async def _reading(
    client: Client, kinds: Iterable[ApiResource], judging: _Judging, limit: int
) -> AsyncIterator[Callable[[], None]]:
    """Read all kinds, and yield what is to be done with each page, or where a kind cannot be read."""
    for kind in kinds:
        try:
            async for page in client.pages(kind.path(), limit):
                if judging.is_cheaper_apart(kind, page, limit):
                    yield partial(judging.know, kind, page)
                    break
                yield partial(judging.take, kind, page)
            else:
                continue
        except Refused as refused:
            if refused.status in _GONE:
                continue
            if refused.status != 403 or not kind.namespaced or not judging.namespaces:
                yield partial(judging.cannot_read, kind, refused)
                continue
        yield partial(judging.read_partly, kind)
        for namespace in judging.own:
            try:
                async for page in client.pages(kind.path(namespace), limit):
                    yield partial(judging.take, kind, page)
            except Refused as refused:
                yield partial(judging.cannot_read, kind, refused)
                break


async def _reading_beyond(
    client: Client, kinds: Iterable[ApiResource], judging: _Judging, limit: int
) -> AsyncIterator[Callable[[], None]]:
    """Read kinds of other shards' namespaces too, which rules have asked for."""
    for kind in kinds:
        try:
            async for page in client.pages(kind.path(), limit):
                yield partial(judging.know, kind, page)
        except Refused as refused:
            yield partial(judging.cannot_read, kind, refused)
        yield partial(judging.read_whole, kind)


async def _ahead(
    steps: AsyncIterator[Callable[[], None]],
) -> AsyncIterator[Callable[[], None]]:
    """Yield the steps, each while the next is under way."""
    following = asyncio.ensure_future(anext(steps, None))
    try:
        while (step := await following) is not None:
            following = asyncio.ensure_future(anext(steps, None))
            yield step
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _is_scanned(kind: ApiResource, policy: Policy) -> bool:
    """Say whether a kind is read: those that nobody applies and no rule names (Events, Leases) are not."""
    return kind.is_listable and (
        is_followed(kind.kind_id)
        or any(kind.kind_id in entry.applies_to for entry in policy.entries.values())
    )


def _rank(kind: ApiResource, policy: Policy) -> int:
    """Return when a kind is read: controllers before what they make."""
    if kind.kind_id in policy.pod_specs:
        return 0
    return _LATE.get(kind.kind_id, 1 if kind.kind_id in POD_SPECS else 0)


class _Judging:
    """What has been read and found so far."""

    def __init__(
        self,
        policy: Policy,
        today: str,
        namespaces: Sequence[str],
        shard: Shard | None,
        own: Sequence[str],
    ) -> None:
        self.namespaces = tuple(dict.fromkeys(namespaces))
        self.own = self.namespaces or tuple(own)
        """The namespaces in question: those asked for, or those of the shard."""
        self._shard = shard
        self.errors: list[ClusterError] = []
        self.read = 0
        self.images: dict[Puller | None, dict[str, None]] = {None: {}}
        """Those of all pods, where the policy speaks of images."""
        self._policy = policy
        self._today = today
        self._inline = bool(policy.plain.get("admission", {}).get("annotationExemptions"))
        self._inventory = ClusterInventory(policy.pod_specs, self.own, is_shard=shard is not None)
        self._crashes: list[RuleCrash] = []
        self._found: dict[Identity, list[Finding]] = {}
        self._rules: dict[Identity, int] = {}
        self._stubs: dict[Identity, Resource] = {}
        self._tops: dict[tuple[str | None, str], str] = {}
        """Namespace and uid of what carries a pod spec, to the uid of the first of its line: no owner is elsewhere."""
        self._templates: dict[str, set[tuple[str, ...]]] = {}
        """By the uid of a controller: what was found in its template."""
        self._made: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
        """What was found in pods and not in their template, by controller: one finding a pod."""
        self._made_images = MadeImages(policy) if policy.images is not None else None
        self._begun: set[str] = set()
        self._packed: dict[Identity, bytes] = {}
        self._whole = kinds_read_whole(policy)
        self._left_out = False

    def cannot_read(self, kind: ApiResource, refused: Refused) -> None:
        """Take note that a kind cannot be read."""
        reason = (
            "reading them is forbidden"
            if refused.status == 403
            else "the server refuses to list them"
        )
        self._inventory.cannot_read(kind.kind_id, reason)
        # Whoever asks for a namespace need not be permitted to read beyond it.
        if kind.namespaced or not self.namespaces:
            self.errors.append(ClusterError(f"{kind.kind_id} cannot be read: {refused.message}"))

    def leave_out(self, kinds: Iterable[ApiResource]) -> None:
        """Take note of kinds that are not to be read."""
        for each in kinds:
            self._inventory.cannot_read(each.kind_id, "tidewaiter has no right to read them here")
            self._left_out = True

    def read_partly(self, kind: ApiResource) -> None:
        """Take note that a kind is read in the namespaces in question only."""
        self._inventory.partly_read.add(kind.kind_id)

    def read_whole(self, kind: ApiResource) -> None:
        """Take note that a kind has been read in other namespaces too."""
        self._inventory.partly_read.discard(kind.kind_id)

    def is_cheaper_apart(self, kind: ApiResource, page: Page, limit: int) -> bool:
        """Say, at the first page of a list, whether the shard's namespaces cost less to read one by one."""
        if self._shard is None or not kind.namespaced or page.number or not page.remaining:
            return False
        return len(self.own) <= PAGE_COST * -(-page.remaining // limit)

    def know(self, kind: ApiResource, page: Page) -> None:
        """Keep of the objects of other shards what rules may ask of them."""
        if self._shard is None or not is_followed(kind.kind_id):
            return
        for obj in page.items:
            if not self._is_of_shard(obj):
                self._put(obj)

    def take(self, kind: ApiResource, page: Page) -> None:
        """Judge the objects of a page by the rules that need nothing else, and keep what others ask for."""
        if page.number == 0 and kind.kind_id not in self._inventory.partly_read:
            if kind.kind_id in self._begun:
                self._forget(kind.kind_id)
            self._begun.add(kind.kind_id)
        for obj in page.items:
            self.read += 1
            if self._is_of_shard(obj):
                self._take(stored(obj, self._policy.pod_specs))
            if is_followed(kind.kind_id):
                self._put(obj)

    def relate(self) -> frozenset[str]:
        """Run the rules that ask about other objects; return the kinds of which they ask more than was read.

        The objects in question stay, to be judged when that has been read.
        """
        self._inventory.complete = True
        beyond: set[str] = set()
        left = {}
        for identity, packed in sorted(self._packed.items()):
            self._inventory.asked_beyond.clear()
            written, least = orjson.loads(decompress(packed))
            resource = Resource(written, pod_specs=self._policy.pod_specs)
            if least is not None:
                resource.least = Resource(least, pod_specs=self._policy.pod_specs)
            crashes = len(self._crashes)
            found = self._answers(resource, engine.CROSS)
            if self._inventory.asked_beyond:
                beyond |= self._inventory.asked_beyond
                left[identity] = packed
                del self._crashes[crashes:]
                continue
            self._keep(identity, resource, found)
            if self._inline and annotation_exemptions(resource, self._policy.compatibility):
                self._conclude_annotations(resource)
        self._packed = left
        return frozenset(beyond)

    def conclude(self, discovery: Discovery) -> Scan:
        """Return all answers."""
        for name in self.namespaces:
            if (
                "Namespace" not in self._inventory.unreadable
                and self._inventory.find("Namespace", name) is None
            ):
                self.errors.append(ClusterError(f"the cluster has no namespace {name!r}"))
        is_part = self.namespaces or self._shard is not None or self._left_out
        complete = not self.errors and not is_part
        self._judge_made_images()
        self._report_made()
        used = engine.used_exemptions(each for found in self._found.values() for each in found)
        about_policy: list[Finding] = []
        if complete:
            about_policy = engine.conclude_policy(
                used, self._policy, self._inventory, today=self._today
            )
        subjects = tuple(
            Subject(self._stubs[identity], self._rules[identity], tuple(found))
            for identity, found in sorted(self._found.items())
        )
        return Scan(
            len(self._rules),
            subjects,
            tuple(about_policy),
            tuple(self._crashes),
            tuple(self.errors),
            self._inventory,
            discovery,
            complete,
        )

    def _is_of_shard(self, obj: dict[str, Any]) -> bool:
        if self._shard is None:
            return True
        is_namespace = obj.get("kind") == "Namespace" and obj.get("apiVersion") == "v1"
        return self._shard.has(text(dig(obj, "metadata", "name" if is_namespace else "namespace")))

    def _put(self, obj: dict[str, Any]) -> None:
        pod_specs = self._policy.pod_specs
        content = kept(obj, pod_specs, self._whole)
        if content is not None:
            self._inventory.put(Resource(content, pod_specs=pod_specs))

    def _take(self, resource: Resource) -> None:
        uid = _uid(resource)
        owner = self._tops.get(_controller(resource)) if resource.workload is not None else None
        if resource.workload is not None and uid:
            self._tops[resource.namespace, uid] = owner or uid
        if owner is not None:
            if self._is_meant(resource) and not _is_over(resource):
                self._judge_made(resource, owner)
            return
        if self._is_meant(resource):
            self._note_images(resource)
            found = self._judge_alone(resource)
            if resource.workload is not None:
                if self._made_images is not None:
                    self._made_images.know(uid, resource.workload)
                self._templates[uid] = {_trait(each, resource.workload) for each in found}
            if self._asks_about_others(resource):
                least = resource.least.object if resource.least is not None else None
                forms = orjson.dumps([resource.object, least])
                self._packed[_identity(resource)] = compress(forms, 1)

    def _note_images(self, resource: Resource) -> None:
        if self._policy.images is not None and resource.workload is not None:
            puller = self._policy.images.puller(resource.workload)
            self.images.setdefault(puller, {}).update(dict.fromkeys(images_of([resource])))

    def _is_meant(self, resource: Resource) -> bool:
        """Say whether an object is to be judged: all are, or those of some namespaces and these themselves."""
        if _is_bootstrapped(resource):
            return False
        if not self.namespaces:
            return True
        if resource.namespace is None:
            return resource.kind_id == "Namespace" and resource.name in self.namespaces
        return resource.namespace in self.namespaces

    def _asks_about_others(self, resource: Resource) -> bool:
        if self._inline and annotation_exemptions(resource, self._policy.compatibility):
            return True
        steps = self._policy.steps(
            self._policy.settings(resource), resource, self._inventory, self._today, engine.CROSS
        )
        return any(step.name not in MANIFEST_RULES for step in steps)

    def _judge_alone(self, resource: Resource) -> list[Finding]:
        identity = _identity(resource)
        settings = self._policy.settings(resource)
        self._rules[identity] = sum(
            name not in MANIFEST_RULES for name in settings.rules_for(resource)
        )
        found = self._answers(resource, engine.LOCAL)
        self._keep(identity, resource, found)
        return found

    def _answers(self, resource: Resource, rules: str) -> list[Finding]:
        report = engine.judge(
            [resource],
            self._policy,
            self._inventory,
            today=self._today,
            inline=self._inline,
            rules=rules,
        )
        self._crashes += [replace(each, resource=_stub(resource)) for each in report.crashes]
        return [
            _without_values(each, resource)
            for each in report.findings
            if each.rule not in MANIFEST_RULES
        ]

    def _keep(self, identity: Identity, resource: Resource, found: Iterable[Finding]) -> None:
        for finding in found:
            stub = self._stubs.get(identity)
            if stub is None:
                stub = self._stubs[identity] = _stub(resource)
            self._found.setdefault(identity, []).append(replace(finding, resource=stub))

    def _judge_made(self, resource: Resource, owner: str) -> None:
        """Judge what a controller made for what its template does not have."""
        workload = resource.workload
        if workload is None:
            return
        self._rules[_identity(resource)] = 0
        stub = _stub(resource)
        self._note_made_images(workload, stub, owner)
        known = self._templates.get(owner, set())
        for finding in self._answers(resource, engine.LOCAL):
            trait = _trait(finding, workload)
            if trait not in known and finding.status != UNKNOWN:
                alike = self._made.setdefault((owner, trait), [])
                alike.append(replace(finding, resource=stub))

    def _note_made_images(self, workload: Workload, stub: Resource, owner: str) -> None:
        if self._policy.images is not None and self._made_images is not None:
            puller = self._policy.images.puller(workload)
            asked = self._made_images.add(workload, stub, owner, puller)
            self.images.setdefault(puller, {}).update(dict.fromkeys(asked))

    def _judge_made_images(self) -> None:
        """Judge the images that templates do not have, also where the answer is unknown."""
        if self._made_images is None:
            return
        for owner, alike, workload, report in self._made_images.judged(
            self._inventory, self._today, inline=self._inline
        ):
            self._crashes += [replace(each, resource=alike[0]) for each in report.crashes]
            for finding in report.findings:
                trait = (*_trait(finding, workload), finding.message)
                found = self._made.setdefault((owner, trait), [])
                found += [replace(finding, resource=each) for each in alike]

    def _report_made(self) -> None:
        """Report what pods have in common once, at the first of them."""
        for alike in self._made.values():
            first, others = alike[0], len({each.resource for each in alike}) - 1
            if first.resource is not None:
                more = f" (and so in {others} more of its controller)" if others else ""
                self._keep(
                    _identity(first.resource),
                    first.resource,
                    [replace(first, message=first.message + more)],
                )

    def _conclude_annotations(self, resource: Resource) -> None:
        identity = _identity(resource)
        mine = [replace(each, resource=resource) for each in self._found.get(identity, ())]
        self._keep(
            identity,
            resource,
            engine.conclude_inline(
                [resource], mine, self._policy, self._inventory, today=self._today
            ),
        )

    def _forget(self, kind_id: str) -> None:
        """Forget a kind, of which the list begins, perhaps again."""
        for identity in [each for each in self._rules if each[0] == kind_id]:
            del self._rules[identity]
            self._found.pop(identity, None)
            self._packed.pop(identity, None)
        self._inventory.replace(kind_id, ())
        if self._made_images is not None:
            self._made_images.forget(kind_id)
        self._made = {
            key: alike
            for key, alike in self._made.items()
            if alike[0].resource is not None and alike[0].resource.kind_id != kind_id
        }


class ClusterInventory(LiveInventory):
    """An inventory in which some kinds are known in some namespaces only.

    In that of a shard these can be read elsewhere too: `asked_beyond` are the kinds for which that is worth its while.
    """

    __slots__ = ("asked_beyond", "is_shard", "namespaces", "partly_read")

    def __init__(
        self, pod_specs: dict[str, str], namespaces: Sequence[str], *, is_shard: bool = False
    ) -> None:
        super().__init__(pod_specs=pod_specs)
        self.namespaces = frozenset(namespaces)
        self.partly_read: set[str] = set()
        self.is_shard = is_shard
        self.asked_beyond: set[str] = set()

    def workloads(self, namespace: str) -> Sequence[Workload]:
        """See `Inventory.workloads`."""
        self._ask_workloads(namespace)
        return super().workloads(namespace)

    def workloads_matching(self, namespace: str, selector: Selector) -> Sequence[Workload]:
        """See `Inventory.workloads_matching`."""
        self._ask_workloads(namespace)
        return super().workloads_matching(namespace, selector)

    def _ask_workloads(self, namespace: str) -> None:
        for kind_id in sorted(self.partly_read):
            if kind_id in POD_SPECS or kind_id in self._pod_specs:
                self._ask(kind_id, namespace)

    def _ask(self, kind_id: str, namespace: str | None) -> None:
        if kind_id in self.partly_read and namespace not in self.namespaces:
            if self.is_shard:
                self.asked_beyond.add(kind_id)
            raise CannotBeRead(kind_id, "reading those of other namespaces is forbidden")
        super()._ask(kind_id, namespace)


def _identity(resource: Resource) -> Identity:
    return resource.kind_id, namespace_of(resource) if resource.namespace else "", resource.name


def _uid(resource: Resource) -> str:
    return text(dig(resource.object, "metadata", "uid"))


def _controller(resource: Resource) -> tuple[str | None, str]:
    """Return the namespace and the uid of the controller that made an object, "" for none."""
    for reference in sequence(dig(resource.object, "metadata", "ownerReferences")):
        if mapping(reference).get("controller") is True:
            return resource.namespace, text(mapping(reference).get("uid"))
    return resource.namespace, ""


def _is_bootstrapped(resource: Resource) -> bool:
    """Say whether an object is one that the API server itself makes, and makes again when it is changed.

    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
    """
    is_labelled = resource.labels.get("kubernetes.io/bootstrapping") == "rbac-defaults"
    return is_labelled and (resource.name in _DEFAULT_ROLES or resource.name.startswith("system:"))


def _is_over(resource: Resource) -> bool:
    """Say whether what a controller made runs no more: an old ReplicaSet, a pod that has ended."""
    if resource.kind_id == "Pod":
        return dig(resource.object, "status", "phase") in _PODS_OVER
    return resource.kind_id == "ReplicaSet.apps" and resource.spec.get("replicas") == 0


def _trait(finding: Finding, workload: Workload) -> tuple[str, ...]:
    """Return what makes a finding in a pod the same as one in its controller's template.

    The place inside the container, or inside the pod: lists may have grown on the way.
    """
    for container in workload.containers:
        if finding.pointer.startswith(f"{container.pointer}/"):
            return finding.rule, container.name, finding.pointer[len(container.pointer) :]
    return (
        finding.rule,
        finding.container or "",
        finding.pointer.removeprefix(workload.template_pointer),
    )


def _stub(resource: Resource) -> Resource:
    """Return as much of an object as names it."""
    metadata = {
        name: value
        for name in ("name", "namespace", "uid")
        if (value := dig(resource.object, "metadata", name)) is not None
    }
    return Resource(
        {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    )


def _without_values(finding: Finding, resource: Resource) -> Finding:
    """Return a finding on a Secret without the Secret's values, which a rule of the policy's own may quote."""
    if resource.kind_id != "Secret":
        return finding
    message = finding.message
    for value in _values(resource.object):
        message = message.replace(value, "[hidden]")
    return replace(finding, message=message) if message != finding.message else finding


def _values(secret: dict[str, Any]) -> list[str]:
    values = set()
    for field in ("data", "stringData"):
        for value in mapping(secret.get(field)).values():
            if isinstance(value, str) and value:
                values.add(value)
                try:
                    values.add(base64.b64decode(value, validate=True).decode())
                except (binascii.Error, ValueError):
                    continue
    return sorted(filter(None, values), key=len, reverse=True)
