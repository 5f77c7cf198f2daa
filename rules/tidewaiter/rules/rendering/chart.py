"""Helm charts, rendered by Helm's own engine, with the place of every line.

A chart is rendered once for each scenario: for each `ci/*-values.yaml`, as chart-testing does, or else with its
defaults; or once with the values that the user names.
https://helm.sh/docs/topics/charts/  https://github.com/helm/chart-testing
"""

from __future__ import annotations

import json
import os
import re
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.sources import CHART_FILE
from tidewaiter.rules.manifest.fields import mapping, sequence
from tidewaiter.rules.manifest.fields import text as text_of
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.chart_copy import ChartSources
from tidewaiter.rules.rendering.engines import MISSING, PROBE, ChartError, Request
from tidewaiter.rules.rendering.marks import lines_of, unmarked
from tidewaiter.rules.rendering.rendered import Place, RenderedFile, Rendering, lacks_namespace
from tidewaiter.rules.rendering.values_origin import ValuesFile, origin_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.rendering.engines import Engine, Texts
    from tidewaiter.rules.rendering.marks import Line

_PLACE_IN_ERROR = re.compile(r"[\w.-]+/((?:charts/[\w.-]+/)*templates/[^:\s)]+):(\d+)(?::(\d+))?")
_WANTS_VALUES = re.compile(
    r"nil pointer|is required|required value|execution error|schema|wrong type for value|"
    r"don't meet the specifications"
)
_REQUIREMENTS = "requirements.yaml"
_HINT = "; give it values by --values FILE, or put a ci/NAME-values.yaml into the chart"


@record
class ChartOptions:
    """How charts are rendered: values files and settings as of `helm template`, and for which Kubernetes version.

    `inline` are further values, each with the file and line that they stand in; they are laid over those of the files.
    With `errors` there is nothing to render.
    """

    values: tuple[str, ...] = ()
    inline: tuple[tuple[str, int, str], ...] = ()
    settings: tuple[str, ...] = ()
    kubernetes_version: str = ""
    namespace: str = "default"
    release: str = ""
    title: str = ""
    errors: tuple[InputError, ...] = ()


def render_chart(root: str, options: ChartOptions, engine: Engine | None) -> list[Rendering]:
    """Render the chart in a folder, one rendering a scenario. What goes wrong is in their errors.

    Without an engine that is an error too; a library chart needs none.
    """
    try:
        sources = ChartSources(root)
        description = _description(sources)
        if description.get("type") == "library":
            return []
        if options.errors:
            return [Rendering(f"chart {root}", root, (), options.errors)]
        if engine is None:
            return [_failed(root, InputError(MISSING))]
        _add_local_dependencies(sources, description)
        scenarios = list(_scenarios(sources, options))
    except InputError as error:
        return [_failed(root, error)]
    chart = _Chart(sources, description, options)
    with tempfile.TemporaryDirectory(prefix="tidewaiter-chart-") as temporary:
        folders = []
        for name, marks, definitions in (
            ("plain", False, False),
            ("marked", True, True),
            ("templates-marked", True, False),
        ):
            folder = os.path.join(temporary, name)
            sources.write(folder, chart.probes, marks=marks, definitions=definitions)
            folders.append(folder)
        return [chart.scenario(title, values, folders, engine) for title, values in scenarios]


def _failed(root: str, error: InputError) -> Rendering:
    if not error.file:
        error.file = os.path.join(root, CHART_FILE)
    return Rendering(f"chart {root}", root, (), (error,))


def _description(sources: ChartSources) -> dict[str, Any]:
    from tidewaiter.rules.loading.documents import load_documents

    place = os.path.join(sources.root, CHART_FILE)
    loaded = load_documents(sources.files.get(CHART_FILE, b""), place)
    for error in loaded.errors:
        raise error
    value = loaded.documents[0].value if loaded.documents else None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise InputError("this is no description of a chart: it has no name", file=place)
    if value.get("apiVersion") not in {"v1", "v2"}:
        raise InputError("the chart has no apiVersion that Helm takes: v2, or v1", file=place)
    if not value.get("version"):
        raise InputError("the chart has no version, which Helm demands", file=place)
    return value


def _add_local_dependencies(sources: ChartSources, description: Mapping[str, Any]) -> None:
    """Put charts of the same repository that this one depends on where Helm looks for them.

    Raises InputError for a dependency that is neither there nor in the chart.
    """
    present = {_name_of(sources, chart) for chart in sources.charts}
    for each in _dependencies(sources, description):
        name, repository = str(each.get("name")), str(each.get("repository") or "")
        if name in present:
            continue
        folder = os.path.normpath(os.path.join(sources.root, repository.removeprefix("file://")))
        if (
            repository.startswith("file://")
            and os.path.isfile(os.path.join(folder, CHART_FILE))
            and _is_in_repository(folder, sources.root)
        ):
            sources.add(folder, f"charts/{name}/")
            continue
        message = (
            f"the chart cannot be rendered: its dependency {name} is not in charts/; run "
            "`helm dependency build` first, as nothing is downloaded here"
        )
        raise InputError(message, file=os.path.join(sources.root, CHART_FILE))


def _name_of(sources: ChartSources, chart: str) -> str:
    """Return the name of a direct subchart by its folder, else nothing."""
    if chart.count("/") != 2:
        return ""
    from tidewaiter.rules.loading.documents import load_documents

    documents = load_documents(sources.files[chart + CHART_FILE], "").documents
    return text_of(mapping(documents[0].value if documents else None).get("name"))


def _dependencies(
    sources: ChartSources, description: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield what a chart depends on; charts of the first version have it in a file of its own."""
    yield from filter(None, map(mapping, sequence(description.get("dependencies"))))
    if description.get("apiVersion") == "v1" and _REQUIREMENTS in sources.files:
        from tidewaiter.rules.loading.documents import load_documents

        loaded = load_documents(sources.files[_REQUIREMENTS], sources.places[_REQUIREMENTS])
        for error in loaded.errors:
            raise error
        for document in loaded.documents:
            stated = sequence(mapping(document.value).get("dependencies"))
            yield from filter(None, map(mapping, stated))


def _is_in_repository(folder: str, root: str) -> bool:
    """Tell whether a folder lies in the repository of a chart, or beside it where there is none."""
    here = os.path.realpath(root)
    boundary = os.path.dirname(here)
    above = here
    while os.path.dirname(above) != above:
        if os.path.exists(os.path.join(above, ".git")):
            boundary = above
            break
        above = os.path.dirname(above)
    return os.path.realpath(folder).startswith(boundary.rstrip("/") + os.sep)


def _scenarios(
    sources: ChartSources, options: ChartOptions
) -> Iterator[tuple[str, list[ValuesFile]]]:
    """Yield the title and the values of each scenario, the chart's own values first."""
    own = [
        ValuesFile(sources.places[path], sources.files[path])
        for path in ("values.yaml",)
        if path in sources.files
    ]
    if options.values or options.settings or options.inline or options.title:
        from tidewaiter.rules.loading.sources import read_file

        stated = [ValuesFile(path, read_file(path)) for path in options.values]
        stated += [ValuesFile(file, text.encode(), line) for file, line, text in options.inline]
        yield options.title, [*own, *stated]
        return
    scenarios = sorted(
        path for path in sources.files if re.fullmatch(r"ci/[^/]*-values\.ya?ml", path)
    )
    for path in scenarios:
        yield path, [*own, ValuesFile(sources.places[path], sources.files[path])]
    if not scenarios:
        yield "", own


class _Chart:
    """A chart with what it takes to render it."""

    def __init__(
        self, sources: ChartSources, description: Mapping[str, Any], options: ChartOptions
    ) -> None:
        self._sources = sources
        self._name = str(description.get("name", ""))
        self._range = str(description.get("kubeVersion") or "")
        self._options = options
        self._version = f"v{options.kubernetes_version.removeprefix('v')}"
        self.probes = {
            chart: f"# {number}\nkind: [\n" for number, chart in enumerate(sources.charts)
        }
        """What the charts have more, by their folder; see `PROBE`."""
        if self._range:
            # The constraints of Helm's own library, which in-process nobody else asks.
            compares = f"semverCompare {json.dumps(self._range)} .Capabilities.KubeVersion.Version"
            self.probes[""] += f'{{{{ if not ({compares}) }}}}{{{{ fail "{PROBE}" }}}}{{{{ end }}}}'

    def scenario(
        self, title: str, values: Sequence[ValuesFile], folders: Sequence[str], engine: Engine
    ) -> Rendering:
        """Render the chart with some values, from copies: plain, marked, and with marked templates alone."""
        sources = self._sources
        shown = f"chart {sources.root}{f' with {title}' if title else ''}"
        errors = list(sources.errors)
        try:
            plain, marked, partly = engine.render(folders, self._request(values))
        except ChartError as error:
            return Rendering(shown, sources.root, (), (*errors, self._error(error.message)))
        except InputError as error:
            error.file = os.path.join(sources.root, CHART_FILE)
            return Rendering(shown, sources.root, (), (*errors, error))
        files = [
            self._file(
                path.partition("/")[2], text, marked.get(path, ""), partly.get(path, ""), values
            )
            for path, text in sorted(plain.items())
            if text.strip() and not path.endswith(("/NOTES.txt", PROBE))
        ]
        for path in sources.definitions(self._enabled(plain)):
            where = sources.places[path]
            name = os.path.join(sources.root, path)
            files.append(RenderedFile(name, sources.files[path], _as_it_stands(where)))
        return Rendering(shown, sources.root, tuple(files), tuple(errors))

    def _request(self, values: Sequence[ValuesFile]) -> Request:
        own = self._sources.places.get("values.yaml")
        return Request(
            chart=self._name,
            templates=tuple(self._sources.templates),
            release=_release(self._options.release or self._name),
            namespace=self._options.namespace,
            kubernetes_version=self._version,
            # Helm reads the chart's own values itself.
            values=tuple(each.text for each in values if each.file != own),
            settings=self._options.settings,
        )

    def _enabled(self, texts: Texts) -> set[str]:
        """Return the folders of the charts that were rendered."""
        charts = self._sources.charts
        numbers = {
            text.lstrip("# ").partition("\n")[0]
            for path, text in texts.items()
            if path.endswith(PROBE)
        }
        return {charts[int(number)] for number in numbers if number.isdigit()}

    def _file(
        self, inner: str, text: str, marked: str, partly: str, values: Sequence[ValuesFile]
    ) -> RenderedFile:
        clean, lines = unmarked(marked)
        if clean.rstrip() != text.rstrip():
            clean, lines = unmarked(partly)
        if clean.rstrip() == text.rstrip():
            # The last text that a program prints lacks the white space at its end.
            text = clean
        origins = lines_of(text, clean, lines)
        text, origins = _in_namespace(text, origins, self._options.namespace)
        name = os.path.join(self._sources.root, inner)
        place_of = _places(self._sources, text, origins, inner, values, _subchart(inner))
        return RenderedFile(name, text.encode(), place_of)

    def _error(self, message: str) -> InputError:
        """Put an error of Helm at the line of the template that it speaks of."""
        sources = self._sources
        text = " ".join(message.split())
        if PROBE in text or "requires kubeVersion" in text:
            text = (
                f"the chart is for Kubernetes {self._range}, and {self._version} is linted for; "
                "give another one by --kubernetes-version"
            )
            return InputError(text, file=os.path.join(sources.root, CHART_FILE))
        found = _PLACE_IN_ERROR.search(message)
        if _WANTS_VALUES.search(text):
            text += _HINT
        text = f"the chart cannot be rendered: {text}"
        if found is None or found[1] not in sources.places:
            return InputError(text, file=os.path.join(sources.root, CHART_FILE))
        column = int(found[3]) + 1 if found[3] else None
        return InputError(text, file=sources.places[found[1]], line=int(found[2]), column=column)


def _in_namespace(
    text: str, origins: list[Line | None], namespace: str
) -> tuple[str, list[Line | None]]:
    """Write the release's namespace into objects that name none: that is where Helm puts them.

    Objects that stand in no namespace, and those of unusual form, stay as they are.
    """
    if namespace in {"", "default"}:
        return text, origins
    rows = text.split("\n")
    written: list[str] = []
    lines: list[Line | None] = []
    for start, end in _documents(rows):
        document = rows[start:end]
        place = _metadata_line(document)
        for index, row in enumerate(document):
            written.append(row)
            lines.append(origins[start + index])
            if index == place:
                inner = document[index + 1]
                indent = inner[: len(inner) - len(inner.lstrip())]
                written.append(f"{indent}namespace: {namespace}")
                lines.append(origins[start + index])
    return "\n".join(written), lines


def _documents(rows: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield first and last line of each document; a line of dashes belongs to the one that it begins."""
    start = 0
    for index, row in enumerate(rows):
        if index > start and row.startswith("---"):
            yield start, index
            start = index
    yield start, len(rows)


def _metadata_line(document: Sequence[str]) -> int:
    """Return the index of the line `metadata:` of an object that lacks a namespace, -1 for others."""
    from tidewaiter.rules.loading.documents import load_documents

    loaded = load_documents("\n".join(document).encode(), "").documents
    value = loaded[0].value if len(loaded) == 1 else None
    if not isinstance(value, dict):
        return -1
    if not lacks_namespace(value):
        return -1
    for index, row in enumerate(document[:-1]):
        if row.rstrip() == "metadata:" and document[index + 1].startswith(" "):
            return index
    return -1


def _release(name: str) -> str:
    """Return a release name that Helm takes: a DNS label of at most 53 characters."""
    cleaned = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:53].rstrip("-")
    return cleaned or "release"


def _subchart(inner: str) -> tuple[str, ...]:
    """Return the path of a template's values in those of the whole chart."""
    parts = inner.split("/")
    return tuple(parts[index + 1] for index, part in enumerate(parts[:-1]) if part == "charts")


def _places(
    sources: ChartSources,
    text: str,
    origins: Sequence[Line | None],
    inner: str,
    values: Sequence[ValuesFile],
    subchart: tuple[str, ...],
) -> Callable[[int, str, str], Place]:
    """Return the function that turns a line of a rendered template into its place; see `RenderedFile`."""
    templates = sources.templates
    rendered = text.split("\n")
    first = next((templates[each.file] for each in origins if each is not None), "")
    whole = sources.places.get(inner) or sources.places.get(first) or sources.root

    def place_of(line: int, pointer: str, key: str) -> Place:
        origin = origins[line - 1] if 0 < line <= len(origins) else None
        if origin is None:
            return Place(whole, 1)
        path = templates[origin.file]
        if sources.places[path].endswith(".tgz"):
            return _in_package(sources, path, origin.line, pointer, values, subchart)
        template = sources.files[path].decode("utf-8", "replace")
        source = template.split("\n")[origin.line - 1]
        column, end = _columns(source, key, rendered[line - 1])
        related = origin_in(template, origin.line, pointer, values, subchart, rendered[line - 1])
        return Place(sources.places[path], origin.line, column, origin.line, end, related)

    return place_of


def _in_package(
    sources: ChartSources,
    path: str,
    line: int,
    pointer: str,
    values: Sequence[ValuesFile],
    subchart: tuple[str, ...],
) -> Place:
    """Return the place of a field of a packed template: the package has no lines."""
    template = sources.files[path].decode("utf-8", "replace")
    return Place(
        sources.places[path], 1, related=origin_in(template, line, pointer, values, subchart)
    )


def _columns(source: str, key: str, rendered: str) -> tuple[int, int]:
    """Return where a field's value stands on a template's line: behind its key, else the whole text."""
    text = source.rstrip()
    start = len(text) - len(text.lstrip())
    at = text.find(f"{key}:") if key else -1
    if at >= 0 and f"{key}:" in rendered:
        behind = at + len(key) + 1
        value = len(text[behind:]) - len(text[behind:].lstrip())
        start = behind + value if text[behind:].strip() else at
    return start + 1, len(text) + 1


def _as_it_stands(where: str) -> Callable[[int, str, str], Place]:
    """Return places in a file that is not rendered."""

    def place_of(line: int, pointer: str, key: str) -> Place:
        del pointer, key
        return Place(where, line)

    return place_of
