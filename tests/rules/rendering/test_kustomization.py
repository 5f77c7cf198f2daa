"""Kustomizations are built as kubectl builds them, and every field is found where a person would change it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tidewaiter.rules.rendering.kustomization import build, find_program, read_kustomization, roots

if TYPE_CHECKING:
    from pathlib import Path

    from tidewaiter.rules.rendering.rendered import Place, Rendering

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: log
          image: logger
        - name: web
          image: nginx
"""
BASE = "resources: [deployment.yaml]\nconfigMapGenerator: [{name: cfg, literals: [a=b]}]\n"
OVERLAY = """\
namespace: prod
namePrefix: p-
resources: [../base]
images:
  - {name: nginx, newTag: "1.2"}
patches:
  - path: patch.yaml
"""
PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: web
          imagePullPolicy: Always
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (
        ("base/kustomization.yaml", BASE),
        ("base/deployment.yaml", DEPLOYMENT),
        ("prod/kustomization.yaml", OVERLAY),
        ("prod/patch.yaml", PATCH),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def built(folder: str = "prod") -> Rendering:
    program = find_program()
    assert program, "the development tools bring a kubectl"
    return build(read_kustomization(folder, "kustomization.yaml"), program)


def objects(rendering: Rendering) -> list[dict[str, object]]:
    return [each for file in rendering.files for each in yaml.safe_load_all(file.data)]


def place(rendering: Rendering, pointer: str, file: str = "base/deployment.yaml") -> Place:
    (found,) = [each for each in rendering.files if each.file == file]
    return found.place_of(1, pointer, pointer.rpartition("/")[2])


def test_what_is_built_is_what_kubectl_builds(tree: Path) -> None:
    done = subprocess.run([*find_program(), "prod"], capture_output=True, check=True, cwd=tree)
    expected = list(yaml.safe_load_all(done.stdout))
    found = objects(built())
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


# The build puts the container that a patch speaks of before the others.
@pytest.mark.parametrize(
    ("pointer", "file", "line"),
    [
        ("/spec/selector", "base/deployment.yaml", 7),
        ("/spec/replicas", "prod/patch.yaml", 5),
        ("/spec/template/spec/containers/0/imagePullPolicy", "prod/patch.yaml", 10),
        ("/spec/template/spec/containers/1/image", "base/deployment.yaml", 13),
        ("/spec/template/spec/containers/0/image", "prod/kustomization.yaml", 4),
        ("/metadata/namespace", "prod/kustomization.yaml", 1),
        ("/metadata/name", "prod/kustomization.yaml", 2),
        ("/spec/template/spec/containers/0", "base/deployment.yaml", 14),
        ("/spec/template/spec/containers/0/securityContext", "base/deployment.yaml", 14),
    ],
)
@pytest.mark.usefixtures("tree")
def test_a_field_stands_where_it_is_said(pointer: str, file: str, line: int) -> None:
    found = place(built(), pointer)
    assert (found.file, found.line) == (file, line)


@pytest.mark.usefixtures("tree")
def test_what_is_generated_stands_at_the_kustomization_that_generates_it() -> None:
    found = place(built(), "/data/a", "base/kustomization.yaml")
    assert found.file == "base/kustomization.yaml"


@pytest.mark.usefixtures("tree")
def test_what_nobody_builds_upon_is_applied() -> None:
    every = [read_kustomization(folder, "kustomization.yaml") for folder in ("base", "prod")]
    assert [each.folder for each in roots(every)] == ["prod"]


def test_a_build_that_fails_is_an_error_at_its_file(tree: Path) -> None:
    (tree / "prod" / "kustomization.yaml").write_text("resources: [nothing.yaml]\n")
    (error,) = built().errors
    assert error.file == "prod/kustomization.yaml"
    assert "nothing.yaml" in error.message


def test_an_error_of_the_build_speaks_of_the_kustomization_alone(tree: Path) -> None:
    (tree / "prod" / "kustomization.yaml").write_text("resources: [../base, absent.yaml]\n")
    (error,) = built().errors
    assert "absent.yaml" in error.message
    assert "must resolve to a file" not in error.message
    assert "recursed" not in error.message
    assert "failed: accumulating resources" in error.message


INLINE = """\
resources: [../base]
patches:
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: web}
      spec:
        template:
          spec:
            hostNetwork: true
  - target: {kind: Deployment}
    patch: |-
      - op: add
        path: /spec/template/spec/hostIPC
        value: true
  - target: {kind: Deployment}
    path: operations.json
"""


@pytest.mark.parametrize(
    ("pointer", "file", "line"),
    [
        ("/spec/template/spec/hostNetwork", "prod/kustomization.yaml", 10),
        ("/spec/template/spec/hostIPC", "prod/kustomization.yaml", 15),
        ("/spec/template/spec/hostPID", "prod/operations.json", 2),
        ("/spec/template/spec/tolerations/0/operator", "prod/operations.json", 3),
    ],
)
def test_a_field_stands_in_a_patch_of_any_form(
    tree: Path, pointer: str, file: str, line: int
) -> None:
    (tree / "prod" / "kustomization.yaml").write_text(INLINE)
    (tree / "prod" / "operations.json").write_text(
        '[\n{"op": "add", "path": "/spec/template/spec/hostPID", "value": true},\n'
        '{"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"operator": "Exists"}]}\n]'
    )
    found = place(built(), pointer)
    assert (found.file, found.line) == (file, line)


def test_a_circle_is_an_error(tree: Path) -> None:
    (tree / "base" / "kustomization.yaml").write_text("resources: [../prod]\n")
    every = [read_kustomization(folder, "kustomization.yaml") for folder in ("base", "prod")]
    (root,) = roots(every)
    (error,) = build(root, find_program()).errors
    assert "cycle" in error.message


def test_charts_within_a_kustomization_are_an_error_that_says_what_to_do(tree: Path) -> None:
    (tree / "prod" / "kustomization.yaml").write_text(
        "helmCharts: [{name: x, repo: 'https://charts.example.com', version: 1.0.0}]\n"
    )
    (error,) = built().errors
    assert "kustomize build --enable-helm" in error.message


def test_nothing_is_downloaded(tree: Path) -> None:
    url = "https://example.com/org/repo//deploy?ref=v1"
    (tree / "prod" / "kustomization.yaml").write_text(f"resources: ['{url}']\n")
    (error,) = built().errors
    assert "nothing is downloaded" in error.message


def test_nothing_outside_of_the_kustomization_is_read(tree: Path) -> None:
    (tree / "secret.yaml").write_text(DEPLOYMENT)
    (tree / "prod" / "kustomization.yaml").write_text("resources: [../secret.yaml]\n")
    (error,) = built().errors
    assert "secret.yaml" in error.message
