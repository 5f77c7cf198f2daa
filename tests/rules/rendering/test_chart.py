"""Charts are rendered as Helm does, and every field is found in the template and the values that made it."""

from __future__ import annotations

import os
from pathlib import Path

import helm_python
import pytest
import yaml

from tests.rules.rendering.charts import small, starter
from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.engines import PackagedEngine
from tidewaiter.rules.rendering.rendered import Place, Rendering

OPTIONS = ChartOptions(kubernetes_version="1.34.0")
ENGINE = PackagedEngine()


def only(renderings: list[Rendering]) -> Rendering:
    (found,) = renderings
    return found


def place(rendering: Rendering, file: str, row: str, pointer: str) -> Place:
    """Return the place of a field that stands on a row of a rendered file."""
    (found,) = [each for each in rendering.files if each.file.endswith(file)]
    rows = found.data.decode().split("\n")
    line = next(number for number, text in enumerate(rows, 1) if row in text)
    return found.place_of(line, pointer, pointer.rpartition("/")[2])


def test_what_is_rendered_is_what_helm_renders(tmp_path: Path) -> None:
    chart = starter(tmp_path)
    with helm_python.Chart.load(str(chart)) as loaded:
        expected = {
            path.partition("/")[2]: text
            for path, text in loaded.render(name="shop").items()
            if text.strip() and not path.endswith("NOTES.txt")
        }
    rendering = only(render_chart(str(chart), OPTIONS, ENGINE))
    assert rendering.errors == ()
    assert {
        os.path.relpath(each.file, chart): each.data.decode() for each in rendering.files
    } == expected


def test_a_field_stands_at_its_template_and_at_the_value_that_it_has(tmp_path: Path) -> None:
    chart = starter(tmp_path)
    values = (chart / "values.yaml").read_text().split("\n")
    rendering = only(render_chart(str(chart), OPTIONS, ENGINE))
    found = place(
        rendering,
        "deployment.yaml",
        "imagePullPolicy",
        "/spec/template/spec/containers/0/imagePullPolicy",
    )
    template = (chart / "templates" / "deployment.yaml").read_text().split("\n")
    assert "imagePullPolicy: {{" in template[found.line - 1]
    assert template[found.line - 1][found.column - 1 :].startswith("{{ .Values.image.pullPolicy")
    assert found.related is not None
    assert found.related[0] == str(chart / "values.yaml")
    assert "pullPolicy" in values[found.related[1] - 1]


def test_a_field_inside_a_printed_value_stands_at_its_own_line_of_the_values(
    tmp_path: Path,
) -> None:
    chart = starter(tmp_path)
    values = (chart / "values.yaml").read_text().split("\n")
    rendering = only(render_chart(str(chart), OPTIONS, ENGINE))
    pointer = "/spec/template/spec/containers/0/livenessProbe/httpGet/path"
    found = place(rendering, "deployment.yaml", "path: /", pointer)
    assert found.related is not None
    assert values[found.related[1] - 1].strip() == "path: /"


def test_a_value_of_an_entry_that_is_gone_through_stands_at_that_entry(tmp_path: Path) -> None:
    chart = small(
        tmp_path,
        "{{- range .Values.pods }}\n- image: {{ .image }}\n{{- end }}\n"
        "{{- range $name, $each := .Values.jobs }}\n- job: {{ $each.image | quote }}\n{{- end }}\n",
        "pods:\n  - {name: a, image: 'nginx:1'}\n  - {name: b, image: 'nginx:11'}\n"
        "jobs:\n  x:\n    image: busybox\n  y:\n    image: redis\n",
    )
    rendering = only(render_chart(str(chart), OPTIONS, ENGINE))
    for row, template, values in (
        ("- image: nginx:1", 2, 2),
        ("- image: nginx:11", 2, 3),
        ('- job: "redis"', 5, 8),
    ):
        (found,) = rendering.files
        line = found.data.decode().split("\n").index(row) + 1
        at = found.place_of(line, "/0/image", "image")
        assert at.line == template
        assert at.related == (str(chart / "values.yaml"), values)


def test_each_scenario_of_ci_is_rendered_and_the_defaults_then_are_not(tmp_path: Path) -> None:
    chart = starter(tmp_path)
    (chart / "ci").mkdir()
    (chart / "ci" / "big-values.yaml").write_text("replicaCount: 7\n")
    (chart / "ci" / "small-values.yaml").write_text("replicaCount: 2\n")
    (chart / "ci" / "other.yaml").write_text("replicaCount: 9\n")
    renderings = render_chart(str(chart), OPTIONS, ENGINE)
    assert [each.title.rpartition(" ")[2] for each in renderings] == [
        "ci/big-values.yaml",
        "ci/small-values.yaml",
    ]
    found = place(renderings[0], "deployment.yaml", "replicas: 7", "/spec/replicas")
    assert found.related == (str(chart / "ci" / "big-values.yaml"), 1)


def test_values_and_settings_are_laid_over_each_other_as_by_helm(tmp_path: Path) -> None:
    chart = small(
        tmp_path,
        "a: {{ .Values.a }}\nb: {{ .Values.b.c }}\nk: {{ .Values.k }}\n",
        "a: 1\nb: {c: 1}\nk: 1\n",
    )
    more = tmp_path / "more.yaml"
    more.write_text("b: {c: 2}\nk: 2\n")
    options = ChartOptions(values=(str(more),), settings=("k=3",), kubernetes_version="1.34.0")
    rendering = only(render_chart(str(chart), options, ENGINE))
    assert yaml.safe_load(rendering.files[0].data) == {"a": 1, "b": 2, "k": 3}


def test_the_kubernetes_version_is_the_one_that_is_linted_for(tmp_path: Path) -> None:
    chart = small(tmp_path, "v: {{ .Capabilities.KubeVersion.Minor }}\n")
    rendering = only(render_chart(str(chart), ChartOptions(kubernetes_version="1.29.0"), ENGINE))
    assert yaml.safe_load(rendering.files[0].data) == {"v": 29}


def test_a_namespace_is_written_into_objects_that_name_none(tmp_path: Path) -> None:
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  namespace: own\n---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: c\nrules: []\n"
    )
    chart = small(tmp_path, template)
    options = ChartOptions(kubernetes_version="1.34.0", namespace="shop")
    rendering = only(render_chart(str(chart), options, ENGINE))
    documents = list(yaml.safe_load_all(rendering.files[0].data))
    assert [each["metadata"].get("namespace") for each in documents] == ["shop", "own", None]
    found = place(rendering, "all.yaml", "name: b", "/metadata/name")
    assert found.line == 9


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        ('a: 1\nb: {{ required "name it" .Values.b }}\n', 2, "name it"),
        ("a: {{ .Values.b.c.d }}\n", 1, "nil pointer"),
        ("a: 1\nb: {{ if }}\n", 2, "missing value for if"),
        ("{{ unknownFunction }}\n", 1, "not defined"),
    ],
)
def test_what_cannot_be_rendered_is_an_error_at_its_line(
    tmp_path: Path, template: str, line: int, message: str
) -> None:
    chart = small(tmp_path, template)
    (error,) = only(render_chart(str(chart), OPTIONS, ENGINE)).errors
    assert message in error.message
    assert (error.file, error.line) == (str(chart / "templates" / "all.yaml"), line)


def test_a_chart_that_needs_values_says_how_to_give_them(tmp_path: Path) -> None:
    chart = small(tmp_path, 'a: {{ required "name it" .Values.b }}\n')
    (error,) = only(render_chart(str(chart), OPTIONS, ENGINE)).errors
    assert "--values FILE" in error.message


def test_nothing_outside_of_the_chart_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hunter2")
    chart = small(
        tmp_path,
        'a: {{ .Files.Get "stolen.txt" | quote }}\nb: {{ .Files.Get "../secret.txt" | quote }}\n',
    )
    (chart / "stolen.txt").symlink_to(tmp_path / "secret.txt")
    rendering = only(render_chart(str(chart), OPTIONS, ENGINE))
    assert "leads out of the chart" in rendering.errors[0].message
    assert b"hunter2" not in rendering.files[0].data


def test_a_chart_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewaiter.rules.rendering.bounded.TIMEOUT", 2.0)
    chart = small(
        tmp_path, "{{ range until 100000000 }}{{ range until 100000000 }}{{ end }}{{ end }}\n"
    )
    (error,) = only(render_chart(str(chart), OPTIONS, ENGINE)).errors
    assert "took more" in error.message
    assert error.file == str(chart / "Chart.yaml")


def test_a_dependency_that_lies_beside_the_chart_is_taken_from_there(tmp_path: Path) -> None:
    small(tmp_path, "from: {{ .Values.who }}\n", "who: library\n", name="inner")
    chart = small(tmp_path, "a: 1\n", "inner: {who: us}\n", name="outer")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("dependencies: [{name: inner, version: 1.0.0, repository: 'file://../inner'}]\n")
    rendering = only(render_chart(str(chart), OPTIONS, ENGINE))
    assert rendering.errors == ()
    assert sorted(each.data.decode() for each in rendering.files) == ["a: 1\n", "from: us\n"]


def test_a_dependency_that_would_be_downloaded_is_an_error(tmp_path: Path) -> None:
    chart = small(tmp_path, "a: 1\n")
    with (chart / "Chart.yaml").open("a") as file:
        file.write(
            "dependencies: [{name: x, version: 1.0.0, repository: 'https://charts.example.com'}]\n"
        )
    (error,) = only(render_chart(str(chart), OPTIONS, ENGINE)).errors
    assert "helm dependency build" in error.message


def test_a_dependency_without_a_repository_has_to_be_in_the_chart(tmp_path: Path) -> None:
    chart = small(tmp_path, "a: 1\n")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("dependencies: [{name: x, version: 1.0.0}]\n")
    (error,) = only(render_chart(str(chart), OPTIONS, ENGINE)).errors
    assert "its dependency x is not in charts/" in error.message


def test_a_library_chart_is_not_rendered(tmp_path: Path) -> None:
    chart = small(tmp_path, "a: 1\n")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("type: library\n")
    assert render_chart(str(chart), OPTIONS, ENGINE) == []


@pytest.mark.parametrize(
    "content",
    ["", "a: [", "- x", "version: 1.0.0", "name: a\nversion: 1.0.0", "apiVersion: v2\nname: a"],
)
def test_a_broken_description_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "Chart.yaml").write_text(content)
    (error,) = only(render_chart(str(tmp_path), OPTIONS, ENGINE)).errors
    assert error.file == str(tmp_path / "Chart.yaml")
