"""What a repository holds that a first policy should fit: manifests, charts, kustomizations, clusters, versions."""

from __future__ import annotations

import os
import re

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import discover, read_file
from tidewaiter.rules.manifest.fields import dig, mapping, text
from tidewaiter.rules.policy.compiled import LATEST_VERSION, parse_version
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

GITOPS_GROUPS = ("argoproj.io", "toolkit.fluxcd.io")

_NODE_IMAGE = re.compile(r"(?:kindest/node|k3s):v(1\.\d{1,2})\.")
"""Nodes of kind (https://kind.sigs.k8s.io/) and of k3s, in cluster files and pipelines."""
_TERRAFORM = re.compile(
    r'^\s*(?:kubernetes_version|cluster_version|min_master_version)\s*=\s*"v?(1\.\d{1,2})(?:[.-][^"]*)?"',
    re.MULTILINE,
)
"""Arguments of the resources and modules for AKS, EKS and GKE."""
_CLUSTER_FIELDS = {
    "ClusterConfig.eksctl.io": ("metadata", "version"),
    "Cluster.cluster.x-k8s.io": ("spec", "topology", "version"),
    "KubeadmControlPlane.controlplane.cluster.x-k8s.io": ("spec", "version"),
    "ClusterConfiguration.kubeadm.k8s.io": ("kubernetesVersion",),
    "Cluster.kops.k8s.io": ("spec", "kubernetesVersion"),
}
"""Kinds that make a cluster, and the field with its version."""
_MOST_TERRAFORM_FILES = 2000


@record
class Survey:
    """What was found. Paths are as seen from the working directory.

    `versions` pairs each Kubernetes version with the file that names it; `clusters` are what Argo CD and Flux
    deliver to, as they name it.
    """

    manifests: int
    objects: int
    workloads: int
    charts: tuple[str, ...]
    kustomizations: tuple[str, ...]
    deliveries: tuple[tuple[str, int], ...]
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]

    @property
    def version(self) -> str:
        """The oldest version named, which every cluster must agree with; empty where none is."""
        known = [each for each, _ in self.versions]
        return min(known, key=lambda each: parse_version(each) or LATEST_VERSION, default="")


def survey(path: str) -> Survey:
    """Look at a folder. What cannot be read is passed over here: the lint run reports it."""
    found = discover([path])
    manifests = 0
    objects = workloads = 0
    namespaces: set[str] = set()
    clusters: set[str] = set()
    deliveries: dict[str, int] = {}
    versions: list[tuple[str, str]] = []
    for file in found.files:
        try:
            data = read_file(file.path)
        except InputError:
            continue
        versions += [(version, file.path) for version in _versions_in(data, file.path)]
        resources = read_resources(data, file.path).resources
        manifests += bool(resources)
        for resource in resources:
            objects += 1
            workloads += resource.workload is not None
            namespaces.update(_namespaces_of(resource))
            if resource.api_version.partition("/")[0].endswith(GITOPS_GROUPS):
                where = list(_destinations(resource))
                clusters.update(where)
                if where:
                    deliveries[resource.kind_id] = deliveries.get(resource.kind_id, 0) + 1
            elif resource.labels.get("argocd.argoproj.io/secret-type") == "cluster":
                clusters.add(_named_cluster(resource))
    versions += _terraform_versions(path)
    return Survey(
        manifests,
        objects,
        workloads,
        found.charts,
        tuple(folder for folder, _ in found.kustomizations),
        tuple(sorted(deliveries.items())),
        tuple(sorted(clusters)),
        tuple(sorted(namespaces - {""})),
        tuple(dict.fromkeys((each, file) for each, file in versions if _is_known(each))),
    )


def _is_known(version: str) -> bool:
    parsed = parse_version(version)
    return parsed is not None and (1, 0) <= parsed <= LATEST_VERSION


def _namespaces_of(resource: Resource) -> Iterator[str]:
    yield resource.namespace or ""
    if resource.kind_id == "Namespace":
        yield resource.name
    yield text(dig(resource.spec, "destination", "namespace"))
    yield text(resource.spec.get("targetNamespace"))


def _destinations(resource: Resource) -> Iterator[str]:
    """Yield the clusters that an Application, ApplicationSet, Kustomization or HelmRelease delivers to."""
    kind = resource.kind
    if kind in {"Application", "ApplicationSet"}:
        spec = resource.spec if kind == "Application" else mapping(_template(resource).get("spec"))
        where = mapping(spec.get("destination"))
        name = text(where.get("name")) or text(where.get("server"))
        yield (
            "each cluster of the ApplicationSet's generators"
            if "{{" in name
            else name or "in-cluster"
        )
    elif kind in {"Kustomization", "HelmRelease"}:
        secret = text(dig(resource.spec, "kubeConfig", "secretRef", "name"))
        yield f"the one of Secret {secret}" if secret else "the one that Flux runs in"


def _template(resource: Resource) -> dict[str, Any]:
    return mapping(resource.spec.get("template"))


def _named_cluster(resource: Resource) -> str:
    stated = mapping(resource.object.get("stringData"))
    return text(stated.get("name")) or text(stated.get("server")) or resource.name


def _versions_in(data: bytes, file: str) -> Iterator[str]:
    """Yield the versions that a YAML file names a cluster's."""
    shown = data.decode("utf-8", "replace")
    for match in _NODE_IMAGE.finditer(shown):
        yield match[1]
    if not any(kind.partition(".")[0] in shown for kind in _CLUSTER_FIELDS):
        return
    for document in load_documents(data, file).documents:
        value = mapping(document.value)
        group = text(value.get("apiVersion")).rpartition("/")[0]
        fields = _CLUSTER_FIELDS.get(f"{text(value.get('kind'))}.{group}")
        parsed = parse_version(text(dig(value, *fields))) if fields else None
        if parsed:
            yield "{}.{}".format(*parsed)


def _terraform_versions(path: str) -> Iterator[tuple[str, str]]:
    seen = 0
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(each for each in files if each.endswith((".tf", ".tfvars"))):
            seen += 1
            if seen > _MOST_TERRAFORM_FILES:
                return
            file = os.path.normpath(os.path.join(folder, name))
            try:
                content = read_file(file).decode("utf-8", "replace")
            except InputError:
                continue
            for match in _TERRAFORM.finditer(content):
                yield match[1], file


def pipelines(root: str) -> tuple[str, ...]:
    """Return which of "github" and "gitlab" run a repository's pipelines, by files or else by its remote."""
    found = []
    if os.path.isdir(os.path.join(root, ".github")):
        found.append("github")
    if os.path.exists(os.path.join(root, ".gitlab-ci.yml")):
        found.append("gitlab")
    return tuple(found) or _by_remote(root)


def _by_remote(root: str) -> tuple[str, ...]:
    try:
        settings = read_file(os.path.join(root, ".git", "config")).decode("utf-8", "replace")
    except InputError:
        return ()
    urls = [
        line.partition("=")[2] for line in settings.splitlines() if line.strip().startswith("url")
    ]
    hosts = " ".join(urls)
    return tuple(name for name in ("github", "gitlab") if name in hosts)[:1]


def repository_root(path: str) -> str:
    """Return the folder with `.git` at or above a folder, or the folder itself."""
    here = os.path.abspath(path)
    while not os.path.exists(os.path.join(here, ".git")):
        above = os.path.dirname(here)
        if above == here:
            return os.path.abspath(path)
        here = above
    return here
