"""What the objects of Argo CD and Flux have applied from the same repository: with which values, into which namespace.

https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/
https://fluxcd.io/flux/components/helm/helmreleases/  https://fluxcd.io/flux/components/kustomize/kustomizations/
"""

from __future__ import annotations

import json
import os
import re
import subprocess

from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.rules.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource

    LineOf = Callable[[Resource, str], int]


@record
class Followed:
    """A folder that an object has applied. `values` are paths of files, `inline` values with the line they stand at.

    `around` are fields of a kustomization laid around the folder's. `title` names the object.
    """

    title: str
    folder: str
    namespace: str
    release: str = ""
    values: tuple[str, ...] = ()
    inline: tuple[tuple[str, int, str], ...] = ()
    settings: tuple[str, ...] = ()
    around: dict[str, Any] | None = None


class Repository:
    """The repository that a folder lies in: its root, and the URLs that others know it by."""

    def __init__(self, folder: str) -> None:
        """Look for it from a folder upward; without git the folder itself is the root."""
        self.root = os.path.realpath(folder)
        here = self.root
        while True:
            if os.path.exists(os.path.join(here, ".git")):
                self.root = here
                break
            above = os.path.dirname(here)
            if above == here:
                break
            here = above
        self.urls = frozenset(map(normal_url, _remotes(self.root)))

    def is_meant_by(self, url: str) -> bool:
        """Tell whether a URL is one of this repository's."""
        return normal_url(url) in self.urls

    def inside(self, path: str) -> str:
        """Return a folder or file of the repository as a path from here; empty where it is none."""
        real = os.path.realpath(os.path.join(self.root, path.lstrip("/")))
        if real != self.root and not real.startswith(self.root.rstrip("/") + os.sep):
            return ""
        if not os.path.exists(real):
            return ""
        relative = os.path.relpath(real)
        return real if relative.startswith("..") else relative


def normal_url(url: str) -> str:
    """Return what is the same in all forms of a repository's URL: `host/path` without user, scheme and `.git`."""
    found = re.fullmatch(
        r"(?:[a-z+]+://)?(?:[^@/]+@)?([^:/]+)(?::\d+(?=/))?[:/]+(.+?)(?:\.git)?/*", url
    )
    return f"{found[1]}/{found[2]}".lower() if found else url


def followed(
    resources: Iterable[Resource], repository: Repository, line_of: LineOf
) -> Iterator[Followed]:
    """Yield what the given objects have applied from the repository; `line_of` tells the line of a field."""
    every = list(resources)
    sources = {
        (each.namespace, each.name): text(each.spec.get("url"))
        for each in every
        if each.kind_id == "GitRepository.source.toolkit.fluxcd.io"
    }
    for each in every:
        if each.kind_id == "Application.argoproj.io":
            yield from _of_application(each, each.spec, "/spec", repository, line_of)
        elif each.kind_id == "HelmRelease.helm.toolkit.fluxcd.io":
            yield from _of_helm_release(each, sources, repository, line_of)
        elif each.kind_id == "Kustomization.kustomize.toolkit.fluxcd.io":
            yield from _of_flux_kustomization(each, sources, repository)


def _of_application(
    resource: Resource, spec: dict[str, Any], pointer: str, repository: Repository, line_of: LineOf
) -> Iterator[Followed]:
    sources = [(mapping(spec.get("source")), f"{pointer}/source")]
    several = sequence(spec.get("sources"))
    if several:
        sources = [(mapping(each), f"{pointer}/sources/{i}") for i, each in enumerate(several)]
    namespace = text(dig(spec, "destination", "namespace")) or "default"
    for source, place in sources:
        path = text(source.get("path"))
        if not path or not repository.is_meant_by(text(source.get("repoURL"))):
            continue
        folder = repository.inside(path)
        if not folder:
            continue
        helm, kustomize = mapping(source.get("helm")), mapping(source.get("kustomize"))
        yield Followed(
            title=f"Application {resource.name}",
            folder=folder,
            namespace=namespace,
            release=text(helm.get("releaseName")) or resource.name,
            values=tuple(_value_files(helm, path, repository)),
            inline=tuple(_inline(resource, helm, f"{place}/helm", line_of)),
            settings=tuple(
                f"{parameter.get('name')}={_escaped(text(parameter.get('value')))}"
                for parameter in map(mapping, sequence(helm.get("parameters")))
            ),
            around={
                "namespace": namespace,
                **{
                    key: kustomize[key]
                    for key in ("namePrefix", "nameSuffix", "commonLabels", "patches", "components")
                    if key in kustomize
                },
            },
        )


def _value_files(helm: dict[str, Any], path: str, repository: Repository) -> Iterator[str]:
    for file in sequence(helm.get("valueFiles")):
        stated = text(file)
        if stated.startswith("$"):  # $ref/path: from the root of a source, which is this repository
            found = repository.inside(stated.partition("/")[2])
        else:
            found = repository.inside(os.path.join(path, stated))
        if found:
            yield found


def _inline(
    resource: Resource, helm: dict[str, Any], pointer: str, line_of: LineOf
) -> Iterator[tuple[str, int, str]]:
    if text(helm.get("values")):
        yield resource.file, line_of(resource, f"{pointer}/values"), text(helm.get("values"))
    if mapping(helm.get("valuesObject")):
        written = json.dumps(helm["valuesObject"])
        yield resource.file, line_of(resource, f"{pointer}/valuesObject"), written


def _of_helm_release(
    resource: Resource,
    sources: dict[tuple[str | None, str], str],
    repository: Repository,
    line_of: LineOf,
) -> Iterator[Followed]:
    chart = mapping(dig(resource.spec, "chart", "spec"))
    if not _is_ours(resource, mapping(chart.get("sourceRef")), sources, repository):
        return
    folder = repository.inside(text(chart.get("chart")))
    if not folder or not os.path.isdir(folder):
        return
    namespace = text(resource.spec.get("targetNamespace")) or resource.namespace or "default"
    values = mapping(resource.spec.get("values"))
    inline = (
        ((resource.file, line_of(resource, "/spec/values"), json.dumps(values)),) if values else ()
    )
    yield Followed(
        title=f"HelmRelease {resource.name}",
        folder=folder,
        namespace=namespace,
        release=text(resource.spec.get("releaseName")) or resource.name,
        values=tuple(
            filter(
                None, (repository.inside(text(file)) for file in sequence(chart.get("valuesFiles")))
            )
        ),
        inline=inline,
    )


def _of_flux_kustomization(
    resource: Resource, sources: dict[tuple[str | None, str], str], repository: Repository
) -> Iterator[Followed]:
    spec = resource.spec
    if not _is_ours(resource, mapping(spec.get("sourceRef")), sources, repository):
        return
    folder = repository.inside(text(spec.get("path")) or ".")
    if not folder or not os.path.isdir(folder):
        return
    around = {
        key: spec[key] for key in ("patches", "images", "components") if sequence(spec.get(key))
    }
    namespace = text(spec.get("targetNamespace"))
    if namespace:
        around["namespace"] = namespace
    yield Followed(f"Kustomization {resource.name}", folder, namespace, around=around)


def _is_ours(
    resource: Resource,
    reference: dict[str, Any],
    sources: dict[tuple[str | None, str], str],
    repository: Repository,
) -> bool:
    if text(reference.get("kind")) != "GitRepository":
        return False
    namespace = text(reference.get("namespace")) or resource.namespace
    url = sources.get((namespace, text(reference.get("name"))))
    return url is not None and repository.is_meant_by(url)


def _escaped(value: str) -> str:
    """Write a value so that `--set` takes it as it is."""
    return re.sub(r"([\\,])", r"\\\1", value)


def _remotes(root: str) -> list[str]:
    """Return the URLs of the remotes of a git repository; none where git or they are absent."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", root, "config", "--get-regexp", r"^remote\..*\.url$"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.split(" ", 1)[1] for line in done.stdout.splitlines() if " " in line]
