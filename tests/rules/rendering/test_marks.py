"""Marks come through Helm's engine without changing what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import helm_python
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rules.rendering.charts import small, starter
from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.chart_copy import ChartSources
from tidewaiter.rules.rendering.engines import PackagedEngine
from tidewaiter.rules.rendering.marks import marked, pieces, unmarked

if TYPE_CHECKING:
    from pathlib import Path

PARTS = [
    "a: b",
    "  - x",
    "\n",
    "\n\n",
    "   ",
    "{{ .Values.a }}",
    "{{- .Values.a }}",
    "{{ .Values.a -}}",
    "{{- .Values.a -}}",
    '{{ "}}" }}',
    "{{`{{ raw }}`}}",
    "{{/* a comment\n}} of two lines */}}",
    "{{- /* trimmed */ -}}",
    "{{ if .Values.a }}yes{{ else }}no{{ end }}",
    "{{- range .Values.list }}\n- {{ . }}\n{{- end }}",
    '{{ define "x" }}\n inside\n{{ end }}',
    "{{- toYaml .Values | nindent 4 }}",
    "# {{ .Release.Name }}",
    "ü",
]


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_the_pieces_of_a_template_are_the_whole_of_it(parts: list[str]) -> None:
    text = "".join(parts)
    found = list(pieces(text))
    assert "".join(text[each.start : each.end] for each in found) == text


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=10))
def test_a_marked_template_renders_to_the_same_text(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    text = "".join(part for i, part in enumerate(parts) if "define" not in part or i == 0)
    folder = tmp_path_factory.mktemp("chart")
    rendered = []
    for name, template in (("plain", text), ("marked", marked(text, 0, definitions=True))):
        chart = small(folder / name, template, "a: 1\nlist: [x, y]\n")
        with helm_python.Chart.load(str(chart)) as loaded:
            rendered.append(loaded.render()["small/templates/all.yaml"])
    assert unmarked(rendered[1])[0] == rendered[0]


def test_a_template_that_looks_into_a_marked_text_is_rendered_nevertheless(tmp_path: Path) -> None:
    chart = small(
        tmp_path,
        '{{- if ne (include "mode" .) "a" }}{{ fail "no mode" }}{{ end }}\n'
        '{{- if not (kindIs "float64" (include "ports" . | fromYaml).web) }}{{ fail "no port" }}{{ end }}\n'
        "kind: Pod\nname: {{ .Release.Name }}\n",
    )
    (chart / "templates" / "_all.tpl").write_text(
        '{{- define "mode" -}}\na\n{{- end -}}\n{{- define "ports" }}\nweb: 80\n{{- end }}\n'
    )
    options = ChartOptions(kubernetes_version="1.34.0")
    (rendering,) = render_chart(str(chart), options, PackagedEngine())
    assert rendering.errors == ()
    (file,) = rendering.files
    line = file.data.decode().split("\n").index("name: small") + 1
    assert file.place_of(line, "/name", "name").line == 4


def test_every_line_of_a_starter_chart_comes_from_the_line_that_made_it(tmp_path: Path) -> None:
    chart = starter(tmp_path)
    sources = ChartSources(str(chart))
    for name, marks in (("plain", False), ("marked", True)):
        sources.write(str(tmp_path / name), {}, marks=marks, definitions=True)
    with helm_python.Chart.load(str(tmp_path / "plain")) as loaded:
        plain = loaded.render()
    with helm_python.Chart.load(str(tmp_path / "marked")) as loaded:
        twin = loaded.render()
    templates = sources.templates
    for path, text in plain.items():
        clean, lines = unmarked(twin[path])
        assert clean == text
        for row, origin in zip(text.split("\n"), lines, strict=True):
            if not row.strip():
                continue
            assert origin is not None
            source = sources.files[templates[origin.file]].decode().split("\n")[origin.line - 1]
            key = row.strip().removeprefix("- ").partition(":")[0]
            assert key in source or "{{" in source
