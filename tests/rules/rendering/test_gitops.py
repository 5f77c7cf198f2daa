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


def test_a_values_file_that_is_not_there_is_an_error_unless_it_may_be_absent(
    repository: Repository,
) -> None:
    helm = {"valueFiles": ["prod.yaml", "absent.yaml"]}
    (each,) = found(repository, application(helm=helm))
    (error,) = each.errors
    assert (error.file, error.line) == ("app.yaml", 7)
    assert "absent.yaml" in error.message
    (each,) = found(repository, application(helm={**helm, "ignoreMissingValueFiles": True}))
    assert (each.values, each.errors) == (("chart/prod.yaml",), ())


def test_an_application_gives_its_namespace_only_to_objects_without_one(
    repository: Repository,
) -> None:
    images = ["nginx=mirror.example.com:5000/nginx:1.2", "redis:7@sha256:abc", "busybox"]
    kustomize = {"images": images, "nameSuffix": "-x"}
    (each,) = found(repository, application(path="apps", kustomize=kustomize))
    assert each.namespace == "prod"
    assert each.around == {
        "nameSuffix": "-x",
        "images": [
            {"name": "nginx", "newName": "mirror.example.com:5000/nginx", "newTag": "1.2"},
            {"name": "redis", "newName": "redis", "digest": "sha256:abc"},
            {"name": "busybox", "newName": "busybox"},
        ],
    }


def application_set(generator: Any, **template: Any) -> str:
    source = {"repoURL": URL, "path": "chart", **template}
    return yaml.safe_dump(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "all"},
            "spec": {
                "generators": [generator],
                "template": {
                    "metadata": {"name": "shop-{{.env}}"},
                    "spec": {"source": source, "destination": {"namespace": "{{ .env }}"}},
                },
            },
        }
    )


def test_the_applications_of_a_set_are_followed(repository: Repository) -> None:
    elements = {"list": {"elements": [{"env": "prod", "tag": "1"}, {"env": "test", "tag": "2"}]}}
    helm = {"parameters": [{"name": "tag", "value": "{{.tag}}"}]}
    assert [
        (each.title, each.namespace, each.settings)
        for each in found(repository, application_set(elements, helm=helm))
    ] == [
        ("Application shop-prod", "prod", ("tag=1",)),
        ("Application shop-test", "test", ("tag=2",)),
    ]
    # What is not known here is not guessed.
    assert found(repository, application_set({"clusters": {}})) == []
    assert found(repository, application_set({"list": {"elements": [{"tag": "1"}]}})) == []


def test_the_folders_of_a_set_are_followed(repository: Repository) -> None:
    directories = {
        "repoURL": URL,
        "directories": [{"path": "*"}, {"path": "chart", "exclude": True}],
    }
    both = {
        "matrix": {"generators": [{"git": directories}, {"list": {"elements": [{"env": "a"}]}}]}
    }
    followed_ones = found(repository, application_set(both, path="{{path}}"))
    assert [each.folder for each in followed_ones] == ["apps", "values"]


FLUX_SOURCE = f"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: us, namespace: flux-system}}
spec: {{url: '{URL}'}}
"""
VALUES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: flux-system}
data: {values.yaml: 'image: nginx', cluster: east}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: flux-system}
data: {token: YWJj}
"""


def test_values_of_a_config_map_in_the_repository_count(repository: Repository) -> None:
    release = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: shop, namespace: flux-system}
spec:
  chart: {spec: {chart: ./chart, sourceRef: {kind: GitRepository, name: us}}}
  valuesFrom: [{kind: ConfigMap, name: settings}, {kind: Secret, name: elsewhere}]
  values: {replicas: 2}
"""
    (each,) = found(repository, FLUX_SOURCE, VALUES, release)
    assert [text for _, _, text in each.inline] == ["image: nginx", '{"replicas": 2}']


def flux(substitute_from: list[dict[str, str]]) -> str:
    spec = {
        "path": "./apps",
        "sourceRef": {"kind": "GitRepository", "name": "us"},
        "postBuild": {"substitute": {"n": 3, "on": True}, "substituteFrom": substitute_from},
    }
    metadata = {"name": "apps", "namespace": "flux-system"}
    api = "kustomize.toolkit.fluxcd.io/v1"
    return yaml.safe_dump(
        {"apiVersion": api, "kind": "Kustomization", "metadata": metadata, "spec": spec}
    )


@pytest.mark.parametrize(
    ("written", "put"),
    [
        ("replicas: ${n}", "replicas: 3"),
        ("${on} ${cluster} ${token}", "true east abc"),
        ("${other:=1} ${other:-2} ${other}", "1 2 "),
        ("$${n} $n ${n:0:1}", "${n} $n ${n:0:1}"),
    ],
)
def test_flux_puts_variables_in(repository: Repository, written: str, put: str) -> None:
    known = [{"kind": "ConfigMap", "name": "settings"}, {"kind": "Secret", "name": "hidden"}]
    (each,) = found(repository, FLUX_SOURCE, VALUES, flux(known))
    assert each.variables is not None
    assert each.variables.put_into(written) == put


def test_a_variable_that_may_be_elsewhere_stays_as_it_is(repository: Repository) -> None:
    (each,) = found(repository, FLUX_SOURCE, flux([{"kind": "Secret", "name": "elsewhere"}]))
    assert each.variables is not None
    assert each.variables.put_into("${n} ${other}") == "3 ${other}"
