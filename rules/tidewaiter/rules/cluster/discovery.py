"""What a cluster serves: groups, versions, resources and what may be done with them.

By aggregated discovery, two requests for everything, and by one request a group and version where the server is
too old for it (before 1.26).
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tidewaiter.rules.errors import ClusterError
from tidewaiter.rules.manifest.fields import mapping, sequence, text
from tidewaiter.rules.manifest.resource import kind_id
from tidewaiter.rules.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidewaiter.rules.cluster.client import Client

_AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_ACCEPT = f"{_AGGREGATED},application/json"
_OF_CUSTOM_RESOURCES = frozenset(
    {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
)


@record
class ApiResource:
    """One kind as one version of its group serves it; `name` is the plural in the path."""

    group: str
    version: str
    kind: str
    name: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        """Return group and version as a manifest states them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def kind_id(self) -> str:
        """Return the kind as the engine names it: `Deployment.apps`."""
        return kind_id(self.api_version, self.kind)

    @property
    def is_listable(self) -> bool:
        """Say whether there is a list of the objects; a TokenReview, for one, has none."""
        return "list" in self.verbs

    @property
    def is_watchable(self) -> bool:
        """Say whether the objects can be listed and followed."""
        return self.is_listable and "watch" in self.verbs

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Return the path of the collection, in one namespace or in all, or of one object."""
        root = f"/apis/{self.group}" if self.group else "/api"
        where = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        what = f"/{quote(name, safe='')}" if name else ""
        return f"{root}/{self.version}{where}/{self.name}{what}"


def defined_resource(definition: Mapping[str, Any]) -> ApiResource | None:
    """Return the kind that a CustomResourceDefinition brings, None where it is not served.

    The definition says so before discovery does, which follows it.
    """
    spec = mapping(definition.get("spec"))
    conditions = map(mapping, sequence(mapping(definition.get("status")).get("conditions")))
    if not any(
        each.get("type") == "Established" and each.get("status") == "True" for each in conditions
    ):
        return None
    served = [each for each in map(mapping, sequence(spec.get("versions"))) if each.get("served")]
    if not served:
        return None
    served.sort(key=lambda each: not each.get("storage"))
    names = mapping(spec.get("names"))
    return ApiResource(
        text(spec.get("group")),
        text(served[0].get("name")),
        text(names.get("kind")),
        text(names.get("plural")),
        spec.get("scope") == "Namespaced",
        _OF_CUSTOM_RESOURCES,
    )


class Discovery:
    """What a cluster serves, in the server's order of preference.

    `failed` names the groups with a version that could not be asked, such as those of an aggregated API server
    that is down: what they serve is not known.
    """

    def __init__(self, resources: Iterable[ApiResource], failed: Iterable[str] = ()) -> None:
        """Take the resources of all versions, the preferred version of a group first."""
        self.resources = tuple(resources)
        self.failed = tuple(sorted(failed))
        self._by_kind: dict[str, list[ApiResource]] = {}
        for each in self.resources:
            self._by_kind.setdefault(each.kind_id, []).append(each)

    def preferred(self) -> list[ApiResource]:
        """Return each kind once, in the version that the server prefers of those that have the kind."""
        return [versions[0] for versions in self._by_kind.values()]

    def find(self, kind: str, api_version: str | None = None) -> ApiResource | None:
        """Return a kind by its id, in the stated or the preferred version, None where it is not served."""
        for each in self._by_kind.get(kind, ()):
            if api_version is None or each.api_version == api_version:
                return each
        return None


async def discover(client: Client) -> Discovery:
    """Ask a cluster what it serves. Raises ClusterError."""
    core, others = await asyncio.gather(
        client.request("GET", "/api", accept=_ACCEPT),
        client.request("GET", "/apis", accept=_ACCEPT),
    )
    found: list[ApiResource] = []
    failed: set[str] = set()
    legacy: list[tuple[str, str]] = []
    for root in (mapping(core), mapping(others)):
        kind = root.get("kind")
        if kind == "APIGroupDiscoveryList":
            _read_aggregated(root, found, failed)
        elif kind == "APIVersions":
            legacy += [("", text(version)) for version in sequence(root.get("versions"))]
        elif kind == "APIGroupList":
            legacy += _legacy_versions(root)
        else:
            raise ClusterError(
                f"{client.access.server} is no Kubernetes API: it says not what it serves"
            )
    answers = await asyncio.gather(
        *(_legacy(client, group, version) for group, version in legacy), return_exceptions=True
    )
    for (group, _), answer in zip(legacy, answers, strict=True):
        if isinstance(answer, ClusterError):
            failed.add(group)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found += answer
    if all(each.group for each in found):
        # Without the kinds that every cluster has it is not known what there is, rather than known that there is nothing.
        raise ClusterError(f"{client.access.server} does not say that it serves pods and the like")
    return Discovery(found, failed)


def _read_aggregated(answer: dict[str, Any], found: list[ApiResource], failed: set[str]) -> None:
    for item in map(mapping, sequence(answer.get("items"))):
        group = text(mapping(item.get("metadata")).get("name"))
        for served in map(mapping, sequence(item.get("versions"))):
            version = text(served.get("version"))
            if served.get("freshness", "Current") != "Current":
                failed.add(group)
            for each in map(mapping, sequence(served.get("resources"))):
                # A resource may be answered with a kind of another group, as `scale` is.
                kind = text(mapping(each.get("responseKind")).get("kind"))
                if kind:
                    found.append(
                        ApiResource(
                            group,
                            version,
                            kind,
                            text(each.get("resource")),
                            each.get("scope") == "Namespaced",
                            frozenset(map(text, sequence(each.get("verbs")))),
                        )
                    )


def _legacy_versions(answer: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for group in map(mapping, sequence(answer.get("groups"))):
        preferred = text(mapping(group.get("preferredVersion")).get("version"))
        versions = [text(mapping(each).get("version")) for each in sequence(group.get("versions"))]
        versions.sort(key=lambda version: version != preferred)
        rows += [(text(group.get("name")), version) for version in versions]
    return rows


async def _legacy(client: Client, group: str, version: str) -> list[ApiResource]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    answer = mapping(await client.request("GET", path))
    if answer.get("kind") != "APIResourceList":
        raise ClusterError(f"{path} does not say what it serves")
    return [
        ApiResource(
            group,
            version,
            text(each.get("kind")),
            text(each.get("name")),
            bool(each.get("namespaced")),
            frozenset(map(text, sequence(each.get("verbs")))),
        )
        for each in map(mapping, sequence(answer.get("resources")))
        if "/" not in text(each.get("name"))
    ]
