"""Without the packaged engine the user's `helm` renders: the same texts, the same places, the same findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.binaries import GoIsMissing, helm_program
from tests.rules.rendering.charts import small, starter
from tidewaiter.cli.main import main
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.engines import HelmProgram, PackagedEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidewaiter.rules.rendering.engines import Engine
    from tidewaiter.rules.rendering.rendered import Rendering

OPTIONS = ChartOptions(kubernetes_version="1.34.0", namespace="shop", release="web")
DEPLOY = Path(__file__).parents[2] / "deploy" / "chart"


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of a real helm; the first run builds it, which takes a minute."""
    try:
        return str(helm_program())
    except GoIsMissing as missing:
        pytest.skip(str(missing))


def family(folder: Path) -> Path:
    """A chart with subcharts: one under two names, one packed, one with definitions alone, one that is disabled."""
    chart = small(
        folder,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: whole}\ndata:\n"
        '  api: {{ .Capabilities.APIVersions.Has "policy/v1" | quote }}\n'
        '  secret: {{ (lookup "v1" "Secret" "" "x") | toJson | quote }}\n'
        '  file: {{ .Files.Get "conf/a.txt" | quote }}\n'
        "  copied: |\n    ---\n    # Source: other/templates/all.yaml\n    a: 1\n"
        '  {{- tpl .Values.more . | nindent 2 }}\n{{ include "small.note" . }}\n',
        "first: {who: us}\nsecond: {enabled: false}\noff: {enabled: false}\nmore: 'set: {{ .Release.Name }}'\n",
    )
    (chart / "conf").mkdir()
    (chart / "conf" / "a.txt").write_text("from a file")
    (chart / "templates" / "_note.tpl").write_text(
        '{{- define "small.note" }}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: note}\n{{- end }}\n'
    )
    (chart / "templates" / "NOTES.txt").write_text("thanks for {{ .Release.Name }}\n")
    (chart / "templates" / "hook.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n"
    )
    with (chart / "Chart.yaml").open("a") as file:
        file.write(
            "dependencies:\n"
            "  - {name: inner, version: 1.0.0, alias: first}\n"
            "  - {name: inner, version: 1.0.0, alias: second, condition: second.enabled}\n"
            "  - {name: packed, version: 1.0.0}\n"
            "  - {name: definitions, version: 1.0.0}\n"
            "  - {name: idle, version: 1.0.0, condition: idle.enabled}\n"
        )
    for name in ("inner", "packed", "definitions", "idle"):
        inner = small(
            chart / "charts",
            f'kind: ConfigMap\napiVersion: v1\nmetadata: {{name: "{name}-{{{{ .Values.who }}}}"}}\n',
            "who: nobody\n",
            name=name,
        )
        (inner / "crds").mkdir()
        (inner / "crds" / "x.yaml").write_text(
            f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\n"
        )
    (chart / "charts" / "definitions" / "templates" / "all.yaml").unlink()
    packed = chart / "charts" / "packed"
    with tarfile.open(chart / "charts" / "packed-1.0.0.tgz", "w:gz") as package:
        package.add(packed, "packed")
    subprocess.run(["rm", "-r", str(packed)], check=True)
    return chart


def of_the_starter(folder: Path) -> Path:
    chart = starter(folder)
    (chart / "ci").mkdir()
    (chart / "ci" / "all-values.yaml").write_text(
        "ingress: {enabled: true}\nautoscaling: {enabled: true}\nreplicaCount: 3\n"
    )
    return chart


CHARTS: dict[str, Callable[[Path], Path]] = {
    "a family": family,
    "the starter": of_the_starter,
    "our own": lambda _: DEPLOY,
    "no YAML": lambda folder: small(folder, "kind: Pod\n  bad: [\n"),
    "a failure": lambda folder: small(folder, 'a: 1\nb: {{ required "name it" .Values.b }}\n'),
    "a mode": lambda folder: small(
        folder,
        '{{ define "m" -}}\na\n{{- end }}{{ if ne (include "m" .) "a" }}{{ fail "no" }}{{ end }}a: 1\nb: 2\n',
    ),
    "a schema": lambda folder: with_schema(small(folder, "a: 1\n", "b: text\n")),
    "another Kubernetes": lambda folder: for_version(small(folder, "a: 1\n"), "<1.30-0"),
    "this Kubernetes": lambda folder: for_version(small(folder, "a: 1\n"), ">=1.30-0"),
}


def with_schema(chart: Path) -> Path:
    schema = {"properties": {"b": {"type": "integer"}}}
    (chart / "values.schema.json").write_text(json.dumps(schema))
    return chart


def for_version(chart: Path, versions: str) -> Path:
    with (chart / "Chart.yaml").open("a") as file:
        file.write(f"kubeVersion: '{versions}'\n")
    return chart


def shown(renderings: list[Rendering]) -> list[object]:
    """Everything that a user sees of renderings; white space at a text's end is nothing."""
    rows: list[object] = []
    for each in renderings:
        rows += [(error.file, error.line, error.column, error.message) for error in each.errors]
        for file in sorted(each.files, key=lambda one: one.file):
            lines = file.data.decode().rstrip().split("\n")
            rows += [
                (file.file, line, file.place_of(number, "", ""))
                for number, line in enumerate(lines, 1)
            ]
    return rows


@pytest.mark.parametrize("name", CHARTS)
def test_both_engines_give_the_same(name: str, tmp_path: Path, helm: str) -> None:
    chart = str(CHARTS[name](tmp_path))
    by_package, by_program = (
        shown(render_chart(chart, OPTIONS, engine))
        for engine in (PackagedEngine(), HelmProgram(helm))
    )
    assert by_package
    assert by_program == by_package


@pytest.mark.parametrize("engine", ["package", "program"])
def test_the_objects_are_those_of_helm_template(engine: str, tmp_path: Path, helm: str) -> None:
    chart = family(tmp_path)
    used: Engine = PackagedEngine() if engine == "package" else HelmProgram(helm)
    (rendering,) = render_chart(str(chart), OPTIONS, used)
    done = subprocess.run(
        [helm, "template", "web", str(chart), "--include-crds", "--kube-version", "1.34.0"],
        capture_output=True,
        check=True,
    )
    expected = [each for each in yaml.safe_load_all(done.stdout) if each]
    found = [
        document.value
        for file in rendering.files
        for document in load_documents(file.data, file.file).documents
        if isinstance(document.value, dict)
    ]
    for each in found:
        each["metadata"].pop("namespace", None)  # ours says where helm puts it
    assert sorted(map(written, found)) == sorted(map(written, expected))


def written(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def test_lint_finds_the_same_by_either(
    tmp_path: Path, helm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of_the_starter(tmp_path)
    monkeypatch.chdir(tmp_path)
    main(["lint", "--format", "json"])
    by_package = json.loads(capsys.readouterr().out)
    monkeypatch.setitem(sys.modules, "helm_python", None)
    monkeypatch.setenv("PATH", os.path.dirname(helm))
    main(["lint", "--format", "json"])
    by_program = json.loads(capsys.readouterr().out)
    assert by_package["findings"]
    assert by_program == by_package
