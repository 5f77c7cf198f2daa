"""What Argo CD and Flux apply from the same repository is followed, with their values and namespaces."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tidewaiter.rules.manifest.resource import Resource
from tidewaiter.rules.rendering.gitops import Followed, Repository, followed, normal_url

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://git.example.com/org/repo"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(
        ["git", "remote", "add", "origin", "git@git.example.com:org/repo.git"],
        cwd=tmp_path,
        check=True,
    )
    for name in (
        "chart/Chart.yaml",
        "chart/prod.yaml",
        "values/shared.yaml",
        "apps/kustomization.yaml",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return Repository(".")


def found(repository: Repository, *texts: str) -> list[Followed]:
    resources = [
        Resource(each, file="app.yaml") for text in texts for each in yaml.safe_load_all(text)
    ]
    return list(followed(resources, repository, lambda resource, pointer: 7))


def application(**source: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "shop"},
            "spec": {
                "source": {"repoURL": URL, "path": "chart", **source},
                "destination": {"namespace": "prod"},
            },
        }
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/org/repo",
        "https://git.example.com/org/repo.git",
        "git@git.example.com:org/repo.git",
        "ssh://git@git.example.com/org/repo",
        "https://user:token@git.example.com/Org/Repo/",
        "ssh://git@git.example.com:22/org/repo.git",
    ],
)
def test_a_repository_is_known_by_each_form_of_its_url(url: str) -> None:
    assert normal_url(url) == "git.example.com/org/repo"


def test_an_application_gives_its_chart_values_and_a_namespace(repository: Repository) -> None:
    helm = {
        "releaseName": "web",
        "valueFiles": ["prod.yaml", "missing.yaml"],
        "valuesObject": {"a": 1},
        "parameters": [{"name": "b.c", "value": "x,y"}],
    }
    (each,) = found(repository, application(helm=helm))
    assert (each.folder, each.namespace, each.release) == ("chart", "prod", "web")
    assert each.values == ("chart/prod.yaml",)
    assert each.inline == (("app.yaml", 7, '{"a": 1}'),)
    assert each.settings == ("b.c=x\\,y",)


def test_values_of_another_source_of_the_same_repository_are_found(repository: Repository) -> None:
    (each,) = found(repository, application(helm={"valueFiles": ["$values/values/shared.yaml"]}))
    assert each.values == ("values/shared.yaml",)


@pytest.mark.parametrize(
    "source",
    [
        {"repoURL": "https://git.example.com/other/repo"},
        {"path": "nowhere"},
        {"path": "../../etc"},
        {"path": ""},
    ],
)
def test_what_lies_elsewhere_is_not_followed(
    repository: Repository, source: dict[str, str]
) -> None:
    assert found(repository, application(**source)) == []


FLUX = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {url: "ssh://git@git.example.com/org/repo"}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: shop, namespace: shop}
spec:
  targetNamespace: prod
  chart:
    spec:
      chart: ./chart
      sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}
      valuesFiles: [./chart/prod.yaml]
  values: {a: 1}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  path: ./apps
  targetNamespace: prod
  sourceRef: {kind: GitRepository, name: flux-system}
"""


def test_flux_releases_and_kustomizations_are_followed(repository: Repository) -> None:
    release, kustomization = found(repository, FLUX)
    assert (release.folder, release.namespace, release.values) == (
        "chart",
        "prod",
        ("chart/prod.yaml",),
    )
    assert release.inline == (("app.yaml", 7, '{"a": 1}'),)
    assert (kustomization.folder, kustomization.around) == ("apps", {"namespace": "prod"})


def test_a_source_that_nobody_defines_is_not_ours(repository: Repository) -> None:
    assert (
        found(
            repository,
            FLUX.replace("name: flux-system, namespace: flux-system}\nspec", "name: x}\nspec"),
        )
        == []
    )
