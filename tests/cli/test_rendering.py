"""`tidewaiter lint` renders what a folder holds, each chart and kustomization once, and points into the sources."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.rules.rendering.charts import small
from tests.rules.rendering.test_kustomization import BASE, DEPLOYMENT, OVERLAY, PATCH
from tidewaiter.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    - name: web
      image: {{ .Values.image }}
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def base_and_overlay(folder: Path) -> None:
    for name in ("base", "prod"):
        (folder / name).mkdir()
    write(folder / "base", **{"kustomization.yaml": BASE, "deployment.yaml": DEPLOYMENT})
    write(folder / "prod", **{"kustomization.yaml": OVERLAY, "patch.yaml": PATCH})


def lint(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    code = main(["lint", "--format", "json", "--only", "no-latest-tag", *words])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def places(report: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["location"]["file"], each["location"]["line"]) for each in report["findings"]]


def test_a_finding_points_to_the_template_and_to_the_value(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, TEMPLATE, "# the image\nimage: nginx:latest\n")
    code, report, _ = lint(capsys)
    assert code == 1
    assert places(report) == [("small/templates/all.yaml", 8)]
    assert report["findings"][0]["valueFrom"] == {"file": "small/values.yaml", "line": 2}
    assert report["errors"] == []


def test_the_text_report_names_the_values_file(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, TEMPLATE, "image: nginx:latest\n")
    main(["lint", "--only", "no-latest-tag"])
    assert "value from small/values.yaml:1" in capsys.readouterr().out


def test_values_and_settings_of_the_command_line_count(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, TEMPLATE, "image: nginx:latest\n")
    (inside / "mine.txt").write_text("image: nginx:1.2\n")
    assert lint(capsys, "--values", "mine.txt")[0] == 0
    assert lint(capsys, "--set", "image=nginx:1.2")[0] == 0


def test_a_chart_that_cannot_be_rendered_is_an_error_and_the_rest_is_checked(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, '{{ fail "no" }}\n')
    (inside / "pod.yaml").write_text(TEMPLATE.replace("{{ .Values.image }}", "nginx:latest"))
    code, report, error = lint(capsys)
    assert code == 2
    assert places(report) == [("pod.yaml", 8)]
    assert report["errors"][0]["file"] == "small/templates/all.yaml"
    assert "Traceback" not in error


def test_scenarios_share_their_findings(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chart = small(inside, TEMPLATE, "image: nginx:latest\n")
    (chart / "ci").mkdir()
    write(chart / "ci", **{"a-values.yaml": "a: 1\n", "b-values.yaml": "image: nginx:1.2\n"})
    assert places(lint(capsys)[1]) == [("small/templates/all.yaml", 8)]


def test_an_overlay_is_built_and_its_parts_are_not_linted_by_themselves(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base_and_overlay(inside)
    code, report, _ = lint(capsys)
    assert code == 1
    # The overlay sets the tag of nginx, and nobody that of the logger.
    assert places(report) == [("base/deployment.yaml", 13)]
    assert report["findings"][0]["resource"]["namespace"] == "prod"


COMMENTED = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
        # tidewaiter: ignore[no-latest-tag] the container
        - name: whole
          image: nginx:latest
        - name: line
          image: nginx:latest  # tidewaiter: ignore[no-latest-tag] the line
        - name: patched
          image: nginx:1  # tidewaiter: ignore[no-latest-tag] not what the patch says
        - name: by-patch
          image: nginx:1
        - name: open
          image: nginx:latest
"""
COMMENTED_PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - name: whole
          image: httpd:latest
        - name: patched
          image: httpd:latest
        - name: by-patch
          image: httpd:latest  # tidewaiter: ignore[no-latest-tag] the patch
"""


def test_comments_in_the_sources_of_a_kustomization_count(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("base", "prod"):
        (inside / folder).mkdir()
    write(inside / "base", **{"kustomization.yaml": BASE, "deployment.yaml": COMMENTED})
    overlay = "resources: [../base]\npatches: [{path: patch.yaml}]\n"
    write(inside / "prod", **{"kustomization.yaml": overlay, "patch.yaml": COMMENTED_PATCH})
    code, report, _ = lint(capsys, "--show", "exempted")
    assert code == 1
    found = {
        each["container"]: (each["location"]["file"], (each["exemption"] or {}).get("reason"))
        for each in report["findings"]
    }
    assert found == {
        "whole": ("prod/patch.yaml", "the container"),
        "line": ("base/deployment.yaml", "the line"),
        "patched": ("prod/patch.yaml", None),
        "by-patch": ("prod/patch.yaml", "the patch"),
        "open": ("base/deployment.yaml", None),
    }


def test_a_comment_above_a_resource_counts_in_every_overlay_and_is_never_called_unused(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("base", "prod", "test"):
        (inside / folder).mkdir()
    comment = "# tidewaiter: ignore[no-latest-tag] all of it\n"
    write(inside / "base", **{"kustomization.yaml": BASE, "deployment.yaml": comment + DEPLOYMENT})
    for folder, tag in (("prod", "1.2.3"), ("test", "latest")):
        images = f"images: [{{name: nginx, newTag: {tag}}}]\n"
        write(inside / folder, **{"kustomization.yaml": f"resources: [../base]\n{images}"})
    code, report, _ = lint(capsys, "--only", "no-dangling-exemption")
    assert (code, report["findings"]) == (0, [])
    assert report["summary"]["exempted"] > 0


SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""
WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: nginx:1.2, ports: [{containerPort: 80}]}]
"""
OTHER_WORKLOAD = WORKLOAD.replace("app: web", "app: other")


def without_a_workload(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The files whose Services select nothing."""
    main(["lint", "--format", "json", "--only", "service-selector"])
    report = json.loads(capsys.readouterr().out)
    assert report["errors"] == []
    return [file for file, _ in places(report)]


def test_a_plain_manifest_finds_what_it_needs_in_a_rendering(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inside / "app").mkdir()
    write(inside / "app", **{"kustomization.yaml": "resources: [w.yaml]\n", "w.yaml": WORKLOAD})
    write(inside, **{"service.yaml": SERVICE})
    assert without_a_workload(capsys) == []
    write(inside / "app", **{"w.yaml": OTHER_WORKLOAD})
    assert without_a_workload(capsys) == ["service.yaml"]


def test_a_rendering_finds_what_it_needs_in_another(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, SERVICE, name="edge")
    small(inside, WORKLOAD, name="app")
    assert without_a_workload(capsys) == []


def test_overlays_of_one_base_are_alternatives_and_answer_nothing_for_each_other(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("base", "prod", "test"):
        (inside / folder).mkdir()
    write(inside / "base", **{"kustomization.yaml": "resources: [s.yaml]\n", "s.yaml": SERVICE})
    for folder, text in (("prod", OTHER_WORKLOAD), ("test", WORKLOAD)):
        overlay = "resources: [../base, w.yaml]\n"
        write(inside / folder, **{"kustomization.yaml": overlay, "w.yaml": text})
    assert without_a_workload(capsys) == ["base/s.yaml"]


def test_what_is_rendered_to_no_yaml_is_an_error_at_the_line_of_the_template(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, "{{- if true }}\napiVersion: v1\nkind: Pod\nmetadata: {name: a\n{{- end }}\n")
    code, report, _ = lint(capsys)
    assert code == 2
    (error,) = report["errors"]
    assert (error["file"], error["line"]) == ("small/templates/all.yaml", 4)


def test_what_is_rendered_to_no_object_is_an_error_and_comments_are_none(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = small(inside, "# nothing\n---\n{{- if false }}\na: 1\n{{- end }}\n")
    assert lint(capsys)[0] == 0
    (chart / "templates" / "text.yaml").write_text("Hello {{ .Release.Name }}\n")
    code, report, _ = lint(capsys)
    assert code == 2
    (error,) = report["errors"]
    assert error["file"] == "small/templates/text.yaml"


def test_resources_of_what_cannot_be_built_or_nobody_builds_are_checked_as_they_stand(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("remote", "component", "deep"):
        (inside / folder).mkdir()
    remote = "https://example.com/org/repo//deploy?ref=v1"
    write(
        inside / "remote",
        **{"kustomization.yaml": f"resources: ['{remote}', ../deep]\n", "d.yaml": DEPLOYMENT},
    )
    write(inside / "deep", **{"kustomization.yaml": BASE, "deployment.yaml": DEPLOYMENT})
    component = "kind: Component\nresources: [d.yaml]\npatches: [{path: patch.yaml}]\n"
    write(
        inside / "component",
        **{"kustomization.yaml": component, "d.yaml": DEPLOYMENT, "patch.yaml": DEPLOYMENT},
    )
    code, report, _ = lint(capsys)
    assert code == 2
    (error,) = report["errors"]
    assert f"{remote} is remote, and nothing is downloaded" in error["message"]
    files = {file for file, _ in places(report)}
    assert files == {"component/d.yaml", "deep/deployment.yaml", "remote/d.yaml"}


def test_who_applies_a_kustomization_lays_its_own_around_it(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://git.example.com/o/r"], check=True)
    for folder in ("app", "extra"):
        (inside / folder).mkdir()
    own = DEPLOYMENT.replace("name: web", "name: web\n  namespace: own", 1)
    write(inside / "app", **{"kustomization.yaml": "resources: [d.yaml, o.yaml]\n"})
    write(inside / "app", **{"d.yaml": DEPLOYMENT, "o.yaml": own})
    component = "kind: Component\nnameSuffix: -x\n"
    write(inside / "extra", **{"kustomization.yaml": component})
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop"},
        "spec": {
            "source": {
                "repoURL": "https://git.example.com/o/r",
                "path": "app",
                "kustomize": {"components": ["../extra"]},
            },
            "destination": {"namespace": "prod"},
        },
    }
    write(inside, **{"app.json": json.dumps(application)})
    _, report, _ = lint(capsys)
    assert report["errors"] == []
    found = {
        (each["resource"]["namespace"], each["resource"]["name"]) for each in report["findings"]
    }
    assert found == {("prod", "web-x"), ("own", "web-x")}


def test_applications_that_a_chart_makes_are_followed(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://git.example.com/o/r"], check=True)
    application = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        "  destination: {namespace: prod}\n  source:\n    repoURL: {{ .Values.repo }}\n    path: shop\n"
        "    helm:\n      valuesObject: {image: nginx}\n"
    )
    small(inside, application, "repo: https://git.example.com/o/r\n", name="apps")
    small(inside, TEMPLATE, "image: nginx:1.2\n", name="shop")
    _, report, _ = lint(capsys)
    assert report["errors"] == []
    (finding,) = report["findings"]
    assert finding["location"]["file"] == "shop/templates/all.yaml"
    assert finding["resource"]["namespace"] == "prod"
    assert finding["valueFrom"] == {"file": "apps/templates/all.yaml", "line": 10}


def test_a_changed_value_or_patch_changes_what_is_made_of_it(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = small(inside, TEMPLATE, "image: nginx:latest\n")
    base_and_overlay(inside)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        subprocess.run([*git, *words], check=True)
    since = ("--changed-since", "HEAD")
    assert places(lint(capsys, *since)[1]) == []
    (chart / "values.yaml").write_text("image: httpd:latest\n")
    assert places(lint(capsys, *since)[1]) == [("small/templates/all.yaml", 8)]
    subprocess.run([*git, "checkout", "-q", "."], check=True)
    (inside / "prod" / "patch.yaml").write_text(PATCH + "# changed\n")
    assert places(lint(capsys, *since)[1]) == [("base/deployment.yaml", 13)]


@pytest.mark.parametrize("name", ["small/Chart.yaml", "prod/kustomization.yaml"])
def test_the_file_of_a_chart_or_kustomization_stands_for_its_folder(
    inside: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    small(inside, TEMPLATE, "image: nginx:latest\n")
    (inside / "prod").mkdir()
    pod = TEMPLATE.replace("{{ .Values.image }}", "nginx:latest")
    write(inside / "prod", **{"kustomization.yaml": "resources: [pod.yaml]\n", "pod.yaml": pod})
    code, report, _ = lint(capsys, name)
    assert (code, report["errors"]) == (1, [])
    (place,) = places(report)
    assert place[0].startswith(name.partition("/")[0])


def test_without_rendering_files_are_checked_as_they_stand(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, TEMPLATE, "image: nginx:latest\n")
    code, report, _ = lint(capsys, "--no-render")
    assert (code, report["findings"]) == (0, [])


def test_an_application_renders_its_chart_with_its_values(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://git.example.com/o/r"], check=True)
    small(inside, TEMPLATE, "image: nginx:latest\n")
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "shop"},
        "spec": {
            "source": {
                "repoURL": "git@git.example.com:o/r.git",
                "path": "small",
                "helm": {"valuesObject": {"image": "nginx"}},
            },
            "destination": {"namespace": "prod"},
        },
    }
    (inside / "app.json").write_text(json.dumps(application, indent=1))
    code, report, _ = lint(capsys)
    assert code == 1
    (finding,) = report["findings"]
    assert finding["message"].startswith("the image nginx of container web has no tag")
    assert finding["resource"]["namespace"] == "prod"
    assert finding["valueFrom"]["file"] == "app.json"


@pytest.fixture
def nothing_renders(monkeypatch: pytest.MonkeyPatch, inside: Path) -> None:
    """Neither packages nor programs that render."""
    monkeypatch.setitem(sys.modules, "helm_python", None)
    monkeypatch.setattr(sys, "executable", str(inside / "bin" / "python"))
    monkeypatch.setenv("PATH", str(inside / "bin"))


@pytest.mark.usefixtures("nothing_renders")
def test_a_chart_that_nothing_can_render_is_an_error_with_its_remedy(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, TEMPLATE, "image: nginx:latest\n")
    (inside / "pod.yaml").write_text(TEMPLATE.replace("{{ .Values.image }}", "nginx:latest"))
    code, report, _ = lint(capsys)
    assert code == 2
    assert places(report) == [("pod.yaml", 8)]
    (error,) = report["errors"]
    assert error["file"] == "small/Chart.yaml"
    assert "pip install 'tidewaiter[helm]'" in error["message"]
    assert lint(capsys, "--no-render")[0] == 1
    assert lint(capsys, "--exclude", "small")[1]["errors"] == []


@pytest.mark.usefixtures("nothing_renders")
def test_a_kustomization_that_nothing_can_build_is_an_error_and_its_resources_are_checked(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base_and_overlay(inside)
    code, report, _ = lint(capsys)
    assert code == 2
    assert {file for file, _ in places(report)} == {"base/deployment.yaml"}
    (error,) = report["errors"]
    assert error["file"] == "prod/kustomization.yaml"
    assert "pip install 'tidewaiter[kustomize]'" in error["message"]


@pytest.mark.usefixtures("nothing_renders")
def test_a_library_chart_needs_nothing_that_renders(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = small(inside, "")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("type: library\n")
    assert lint(capsys)[0] == 0


def test_an_exemption_by_file_speaks_of_the_template(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(inside, TEMPLATE, "image: nginx:latest\n")
    (inside / "tidewaiter.yaml").write_text(
        "apiVersion: tidewaiter.dev/v1\nkind: Policy\nmetadata: {name: x}\nspec:\n  exemptions:\n"
        "    - match: {files: ['small/**']}\n      rules: [no-latest-tag]\n      reason: for a test\n"
    )
    code, report, _ = lint(capsys)
    assert (code, report["summary"]["exempted"]) == (0, 1)
