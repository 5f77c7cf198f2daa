"""What the objects of Argo CD and Flux have applied from the same repository: with which values, into which namespace.

https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/
https://fluxcd.io/flux/components/helm/helmreleases/  https://fluxcd.io/flux/components/kustomize/kustomizations/
"""

from __future__ import annotations

import json
import os
import re
import subprocess

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.manifest.fields import dig, mapping, sequence, text
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.application_set import applications
from tidewaiter.rules.rendering.flux_variables import content_of, variables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rendering.flux_variables import Variables

    LineOf = Callable[[Resource, str], int]
    Inline = tuple[str, int, str]
    Configuration = Mapping[tuple[str, str, str], Resource]


@record
class Followed:
    """A folder that an object has applied. `values` are paths of files, `inline` values with the line they stand at.

    `around` are fields of a kustomization laid around the folder's, `variables` what is put into what it builds; its
    objects that name no namespace get `namespace`. `title` names the object. `errors` are what it refers to in vain.
    """

    title: str
    folder: str
    namespace: str
    release: str = ""
    values: tuple[str, ...] = ()
    inline: tuple[tuple[str, int, str], ...] = ()
    settings: tuple[str, ...] = ()
    around: dict[str, Any] | None = None
    variables: Variables | None = None
    errors: tuple[InputError, ...] = ()


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
    configuration = {
        (each.kind, each.namespace or "", each.name): each
        for each in every
        if each.kind_id in {"ConfigMap", "Secret"}
    }
    for each in every:
        if each.kind_id == "Application.argoproj.io":
            yield from _of_application(each, each.name, each.spec, "/spec", repository, line_of)
        elif each.kind_id == "ApplicationSet.argoproj.io":
            for made in applications(each.spec, repository):
                name = text(dig(made, "metadata", "name"))
                spec, place = mapping(made.get("spec")), "/spec/template/spec"
                yield from _of_application(each, name, spec, place, repository, line_of)
        elif each.kind_id == "HelmRelease.helm.toolkit.fluxcd.io":
            yield from _of_helm_release(each, sources, configuration, repository, line_of)
        elif each.kind_id == "Kustomization.kustomize.toolkit.fluxcd.io":
            yield from _of_flux_kustomization(each, sources, configuration, repository)


def _of_application(
    resource: Resource,
    name: str,
    spec: dict[str, Any],
    pointer: str,
    repository: Repository,
    line_of: LineOf,
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
        values, absent = _value_files(helm, path, repository)
        line = line_of(resource, f"{place}/helm/valueFiles") if absent else 0
        yield Followed(
            title=f"Application {name}",
            folder=folder,
            namespace=namespace,
            release=text(helm.get("releaseName")) or name,
            values=tuple(values),
            errors=tuple(_absent(f"Application {name}", each, resource, line) for each in absent),
            inline=tuple(_inline(resource, helm, f"{place}/helm", line_of)),
            settings=tuple(
                f"{parameter.get('name')}={_escaped(text(parameter.get('value')))}"
                for parameter in map(mapping, sequence(helm.get("parameters")))
            ),
            around=_around(kustomize),
        )


_LAID_AROUND = (
    *("namespace", "namePrefix", "nameSuffix", "commonLabels", "commonAnnotations"),
    *("patches", "components", "replicas"),
)


def _around(kustomize: dict[str, Any]) -> dict[str, Any]:
    """Return what Argo CD lays around a kustomization, in the form of one."""
    around = {key: kustomize[key] for key in _LAID_AROUND if key in kustomize}
    images = [_image(text(each)) for each in sequence(kustomize.get("images"))]
    return {**around, "images": images} if images else around


def _image(stated: str) -> dict[str, str]:
    """Read `[NAME=]IMAGE[:TAG][@DIGEST]` as `kustomize edit set image` does."""
    name, equals, image = stated.partition("=")
    image = image if equals else name
    image, _, digest = image.partition("@")
    slash = image.rfind("/")
    colon = image.find(":", slash + 1)
    tag = image[colon + 1 :] if colon > 0 else ""
    image = image[:colon] if colon > 0 else image
    result = {"name": name if equals else image, "newName": image}
    if digest:
        result["digest"] = digest
    elif tag:
        result["newTag"] = tag
    return result


def _absent(title: str, file: str, resource: Resource, line: int) -> InputError:
    message = f"{title} names the values file {file}, which is not there"
    return InputError(message, file=resource.file, line=line)


def _value_files(
    helm: dict[str, Any], path: str, repository: Repository
) -> tuple[list[str], list[str]]:
    """Return the values files of a chart, and those that are not there though they have to be."""
    values: list[str] = []
    absent: list[str] = []
    for file in sequence(helm.get("valueFiles")):
        stated = text(file)
        if stated.startswith("$"):  # $ref/path: from the root of a source, which is this repository
            found = repository.inside(stated.partition("/")[2])
        else:
            found = repository.inside(os.path.join(path, stated))
        if found:
            values.append(found)
        elif "://" not in stated and not helm.get("ignoreMissingValueFiles"):
            absent.append(stated)
    return values, absent


def _inline(
    resource: Resource, helm: dict[str, Any], pointer: str, line_of: LineOf
) -> Iterator[Inline]:
    if text(helm.get("values")):
        yield resource.file, line_of(resource, f"{pointer}/values"), text(helm.get("values"))
    if mapping(helm.get("valuesObject")):
        written = json.dumps(helm["valuesObject"])
        yield resource.file, line_of(resource, f"{pointer}/valuesObject"), written


def _of_helm_release(
    resource: Resource,
    sources: dict[tuple[str | None, str], str],
    configuration: Configuration,
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
    inline = list(_values_from(resource, configuration, line_of))
    if values:
        inline.append((resource.file, line_of(resource, "/spec/values"), json.dumps(values)))
    files = [text(file) for file in sequence(chart.get("valuesFiles"))]
    absent = [] if chart.get("ignoreMissingValuesFiles") else files
    line = line_of(resource, "/spec/chart/spec/valuesFiles") if files else 0
    yield Followed(
        title=f"HelmRelease {resource.name}",
        folder=folder,
        namespace=namespace,
        release=text(resource.spec.get("releaseName")) or resource.name,
        values=tuple(filter(None, map(repository.inside, files))),
        inline=tuple(inline),
        errors=tuple(
            _absent(f"HelmRelease {resource.name}", each, resource, line)
            for each in absent
            if not repository.inside(each)
        ),
    )


def _values_from(
    release: Resource, configuration: Configuration, line_of: LineOf
) -> Iterator[Inline]:
    """Yield the values of ConfigMaps and Secrets that stand in the repository as a whole; single ones are not followed."""
    for each in map(mapping, sequence(release.spec.get("valuesFrom"))):
        name = text(each.get("kind")), release.namespace or "", text(each.get("name"))
        source, key = configuration.get(name), text(each.get("valuesKey")) or "values.yaml"
        if source is not None and not each.get("targetPath"):
            stated = content_of(source).get(key)
            if stated:
                yield source.file, line_of(source, f"/data/{key}"), stated


def _of_flux_kustomization(
    resource: Resource,
    sources: dict[tuple[str | None, str], str],
    configuration: Configuration,
    repository: Repository,
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
    yield Followed(
        f"Kustomization {resource.name}",
        folder,
        namespace,
        around=around,
        variables=variables_of(resource, configuration),
    )


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
