"""`tidewaiter pin` against a real registry that asks for a name and password."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sigstore", reason="needs the extra signatures")

from tests.cli.image_registry import PASSWORD, PROGRAM, USER, Registry, running_registry

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, registry: Registry) -> Path:
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / ".docker").mkdir()
    config = {"auths": {registry.host: {"auth": login}}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(config))
    return tmp_path


def pin(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    home = next(one for one in (folder, folder.parent) if (one / ".docker").exists())
    environment = {**os.environ, "HOME": str(home)}
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "tidewaiter.cli.main", "pin", *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_image_of_every_kind_is_pinned_in_place(folder: Path, registry: Registry) -> None:
    one, many = registry.push("shop/api", "1.4", "a"), registry.push_index("shop/web", "2", "b")
    manifest = f"""\
# the shop
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          initContainers:
            - {{name: init, image: '{registry.host}/shop/api:1.4'}}   # first
          containers:
            - name: main
              image: "{registry.host}/shop/web:2"
          volumes:
            - name: model
              image: {{reference: {registry.host}/shop/web:2}}
"""
    (folder / "job.yaml").write_text(manifest)
    run = pin(folder, ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("3 images: 3 pinned, 0 moved, 0 as pinned before\n")
    expected = manifest.replace("api:1.4", f"api:1.4@{one}").replace("web:2", f"web:2@{many}")
    assert (folder / "job.yaml").read_text() == expected
    again = pin(folder, ".")
    assert again.stdout == "3 images: 0 pinned, 0 moved, 3 as pinned before\n"


def test_a_tag_that_has_moved_fails_the_check_until_it_is_updated(
    folder: Path, registry: Registry
) -> None:
    old = registry.push("shop/moving", "1", "old")
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n    - image: {registry.host}/shop/moving:1@{old}\n"
    (folder / "pod.yaml").write_text(pod)
    assert pin(folder, "--check", ".").returncode == 0
    new = registry.push("shop/moving", "1", "new")
    check = pin(folder, "--check", ".")
    assert check.returncode == 1
    assert f"the tag now leads to {new}" in check.stdout
    assert pin(folder, ".").stdout.endswith("1 as pinned before\n")
    diff = pin(folder, "--update", "--diff", ".")
    assert diff.returncode == 1
    assert f"+    - image: {registry.host}/shop/moving:1@{new}" in diff.stdout
    assert (folder / "pod.yaml").read_text() == pod
    assert pin(folder, "--update", ".").returncode == 0
    assert (folder / "pod.yaml").read_text() == pod.replace(old, new)
    assert pin(folder, "--check", ".").returncode == 0


def test_kustomizations_and_helm_values_get_a_digest_beside_their_tag(
    folder: Path, registry: Registry
) -> None:
    digest = registry.push("shop/k", "1.0", "k")
    (folder / "kustomization.yaml").write_text(
        f"images:\n- name: api\n  newName: {registry.host}/shop/k # ours\n  newTag: '1.0'\nresources: [a.yaml]\n"
    )
    (folder / "chart").mkdir()
    (folder / "chart" / "values.yaml").write_text(
        f"image:\n  registry: {registry.host}\n  repository: shop/k\n  tag: '1.0'\n  digest: ''\n"
        f"sidecar: {registry.host}/shop/k:1.0\n"
    )
    run = pin(
        folder,
        ".",
        "--values-path",
        "chart/values.yaml:/image",
        "--values-path",
        "chart/values.yaml:/sidecar",
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (folder / "kustomization.yaml").read_text() == (
        f"images:\n- name: api\n  newName: {registry.host}/shop/k # ours\n  newTag: '1.0'\n"
        f"  digest: {digest}\nresources: [a.yaml]\n"
    )
    assert (folder / "chart" / "values.yaml").read_text() == (
        f"image:\n  registry: {registry.host}\n  repository: shop/k\n  tag: '1.0'\n"
        f"  digest: '{digest}'\nsidecar: {registry.host}/shop/k:1.0@{digest}\n"
    )
    missing = pin(folder, "--values-path", "chart/values.yaml:/nowhere")
    assert missing.returncode == 2
    assert "has nothing at /nowhere" in missing.stderr


def test_a_kustomization_without_a_suffix_is_one_too(folder: Path, registry: Registry) -> None:
    digest = registry.push("shop/k", "2", "k")
    text = f"images: [{{name: api, newName: {registry.host}/shop/k, newTag: '2'}}]\n"
    (folder / "Kustomization").write_text(text)
    run = pin(folder, ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert (folder / "Kustomization").read_text() == text.replace("}]", f", digest: {digest}}}]")


def test_the_policy_may_say_where_values_hold_images(folder: Path, registry: Registry) -> None:
    digest = registry.push("shop/v", "1", "v")
    (folder / "tidewaiter.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: default}\nspec:\n"
        "  pin:\n    values:\n      - {files: ['charts/*/values.yaml'], paths: [/image, /sidecar]}\n"
    )
    values = folder / "charts" / "shop" / "values.yaml"
    values.parent.mkdir(parents=True)
    values.write_text(f"image: {{repository: {registry.host}/shop/v, tag: '1'}}\nother: x:1\n")
    run = pin(folder / "charts", ".")
    assert (run.returncode, run.stderr) == (0, "")
    assert (
        f"tag: '1', digest: \"{digest}\"" in values.read_text()
        or f"digest: {digest}" in values.read_text()
    )
    assert "other: x:1" in values.read_text()


def test_an_anchor_that_only_images_use_is_pinned_once(folder: Path, registry: Registry) -> None:
    digest = registry.push("shop/anchored", "1", "a")
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
        f"    - image: &image {registry.host}/shop/anchored:1 # both\n    - image: *image\n"
    )
    (folder / "pod.yaml").write_text(text)
    assert pin(folder, ".").returncode == 0
    assert (folder / "pod.yaml").read_text() == text.replace(":1 #", f":1@{digest} #")


def test_what_cannot_be_resolved_is_named_and_the_others_are_pinned(
    folder: Path, registry: Registry
) -> None:
    digest = registry.push("shop/there", "1", "x")
    pods = [f"{registry.host}/shop/there:1", f"{registry.host}/shop/gone:1", "127.0.0.1:1/none:1"]
    entries = "".join(f"    - image: {image}\n" for image in pods)
    (folder / "pod.yaml").write_text(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n{entries}"
    )
    run = pin(folder, ".")
    assert run.returncode == 2
    assert run.stdout.endswith("3 images: 1 pinned, 0 moved, 0 as pinned before, 2 failed\n")
    assert f"pod.yaml:7: error: {registry.host}/shop/gone:1" in run.stderr
    assert "pod.yaml:8: error: 127.0.0.1:1/none:1" in run.stderr
    assert f"there:1@{digest}" in (folder / "pod.yaml").read_text()


def test_without_the_password_nothing_is_pinned(folder: Path, registry: Registry) -> None:
    registry.push("shop/locked", "1", "x")
    (folder / ".docker" / "config.json").unlink()
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{image: '{registry.host}/shop/locked:1'}}]}}\n"
    run = pin(folder, "-", stdin=pod)
    assert run.returncode == 2
    assert run.stdout == pod
    assert "1 failed" in run.stderr


def test_a_chart_is_left_alone_and_that_is_said_until_its_values_are_named(folder: Path) -> None:
    (folder / "chart").mkdir()
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: a\nversion: 1.0.0\n")
    (folder / "chart" / "values.yaml").write_text("image: api:1\n")
    assert "note: chart chart is left alone: --values-path" in pin(folder, "--check", ".").stderr
    named = pin(folder, "--check", "--values-path", "chart/values.yaml:/image", ".")
    assert "left alone" not in named.stderr


def test_excepted_images_and_templates_are_left(folder: Path, registry: Registry) -> None:
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{image: '{registry.host}/own/x:1'}}]}}\n"
    (folder / "pod.yaml").write_text(text)
    (folder / "template.yaml").write_text(text.replace("own/x:1", "{{ .Values.image }}"))
    run = pin(folder, ".", "--except", f"{registry.host}/own/*")
    assert (run.returncode, run.stderr) == (0, "")
    assert (folder / "pod.yaml").read_text() == text
