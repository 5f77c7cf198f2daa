"""Helm charts, rendered by Helm's own engine in a process of its own, with the place of every line.

A chart is rendered once for each scenario: for each `ci/*-values.yaml`, as chart-testing does, or else with its
defaults; or once with the values that the user names.
https://helm.sh/docs/topics/charts/  https://github.com/helm/chart-testing
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile

from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.sources import CHART_FILE
from tidewaiter.rules.record import record
from tidewaiter.rules.rendering.bounded import run_bounded
from tidewaiter.rules.rendering.chart_copy import ChartSources
from tidewaiter.rules.rendering.marks import lines_of, unmarked
from tidewaiter.rules.rendering.rendered import Place, RenderedFile, Rendering
from tidewaiter.rules.rendering.values_origin import ValuesFile, origin_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from tidewaiter.rules.rendering.marks import Line

_PLACE_IN_ERROR = re.compile(r"[\w.-]+/((?:charts/[\w.-]+/)*templates/[^:\s)]+):(\d+)(?::(\d+))?")
_WANTS_VALUES = re.compile(
    r"nil pointer|is required|required value|execution error|schema|wrong type for value|"
    r"don't meet the specifications"
)
_HINT = "; give it values by --values FILE, or put a ci/NAME-values.yaml into the chart"


@record
class ChartOptions:
    """How charts are rendered: values files and settings as of `helm template`, and for which Kubernetes version.

    `inline` are further values, each with the file and line that they stand in; they are laid over those of the files.
    """

    values: tuple[str, ...] = ()
    inline: tuple[tuple[str, int, str], ...] = ()
    settings: tuple[str, ...] = ()
    kubernetes_version: str = ""
    namespace: str = "default"
    release: str = ""
    title: str = ""


def engine_missing() -> str:
    """Say why charts cannot be rendered here; empty where they can."""
    from importlib.util import find_spec

    if find_spec("helm_python") is None:
        return "Helm's engine is not installed: pip install 'tidewaiter[helm]'"
    return ""


def render_chart(root: str, options: ChartOptions) -> list[Rendering]:
    """Render the chart in a folder, one rendering a scenario. What goes wrong is in their errors."""
    try:
        sources = ChartSources(root)
        description = _description(sources)
        if description.get("type") == "library":
            return []
        _add_local_dependencies(sources, description)
        scenarios = list(_scenarios(sources, options))
    except InputError as error:
        if not error.file:
            error.file = os.path.join(root, CHART_FILE)
        return [Rendering(f"chart {root}", root, (), (error,))]
    with tempfile.TemporaryDirectory(prefix="tidewaiter-chart-") as temporary:
        folders = []
        for name, marks, definitions in (
            ("plain", False, False),
            ("marked", True, True),
            ("templates-marked", True, False),
        ):
            folder = os.path.join(temporary, name)
            sources.write(folder, marks=marks, definitions=definitions)
            folders.append(folder)
        return [
            _scenario(sources, str(description.get("name", "")), title, values, folders, options)
            for title, values in scenarios
        ]


def _description(sources: ChartSources) -> dict[str, Any]:
    from tidewaiter.rules.loading.documents import load_documents

    place = os.path.join(sources.root, CHART_FILE)
    loaded = load_documents(sources.files.get(CHART_FILE, b""), place)
    for error in loaded.errors:
        raise error
    value = loaded.documents[0].value if loaded.documents else None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise InputError("this is no description of a chart: it has no name", file=place)
    return value


def _add_local_dependencies(sources: ChartSources, description: Mapping[str, Any]) -> None:
    """Put charts of the same repository that this one depends on where Helm looks for them.

    Raises InputError for a dependency that is neither there nor in the chart.
    """
    dependencies = description.get("dependencies")
    present = {path.split("/")[1] for path in sources.files if path.startswith("charts/")}
    for each in dependencies if isinstance(dependencies, list) else ():
        if not isinstance(each, dict):
            continue
        name, repository = str(each.get("name")), str(each.get("repository") or "")
        if any(there == name or there.startswith(f"{name}-") for there in present):
            continue
        folder = os.path.normpath(os.path.join(sources.root, repository.removeprefix("file://")))
        is_local = repository.startswith("file://") or not repository
        if (
            is_local
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


def _scenario(
    sources: ChartSources,
    name: str,
    title: str,
    values: Sequence[ValuesFile],
    folders: Sequence[str],
    options: ChartOptions,
) -> Rendering:
    shown = f"chart {sources.root}{f' with {title}' if title else ''}"
    errors = list(sources.errors)
    request = {
        "folders": list(folders),
        "release": _release(options.release or name),
        "namespace": options.namespace,
        "kubeVersion": f"v{options.kubernetes_version.removeprefix('v')}",
        "apiVersions": [],
        # Helm reads the chart's own values itself.
        "values": [each.text for each in values if each.file != sources.places.get("values.yaml")],
        "settings": list(options.settings),
    }
    try:
        answer = _ask(request)
    except InputError as error:
        error.file = os.path.join(sources.root, CHART_FILE)
        return Rendering(shown, sources.root, (), (*errors, error))
    if "error" in answer:
        return Rendering(shown, sources.root, (), (*errors, _error(answer["error"], sources)))
    plain, marked, partly = answer["texts"]
    files = []
    for path, text in plain.items():
        inner = path.partition("/")[2]
        if not text.strip() or inner.endswith("/NOTES.txt"):
            continue
        clean, lines = unmarked(marked.get(path, ""))
        if clean != text:
            clean, lines = unmarked(partly.get(path, ""))
        origins = lines_of(text, clean, lines)
        text, origins = _in_namespace(text, origins, options.namespace)
        where = sources.places.get(inner, os.path.join(sources.root, inner))
        place_of = _places(sources, text, origins, where, values, _subchart(inner))
        files.append(RenderedFile(where, text.encode(), place_of))
    for path, text in answer["crds"]:
        inner = path.partition("/")[2]
        where = sources.places.get(inner, os.path.join(sources.root, inner))
        files.append(RenderedFile(where, text.encode(), _as_it_stands(where)))
    return Rendering(shown, sources.root, tuple(files), tuple(errors))


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
    from tidewaiter.rules.manifest.api_resource import CLUSTER_SCOPED
    from tidewaiter.rules.manifest.resource import Resource

    loaded = load_documents("\n".join(document).encode(), "").documents
    value = loaded[0].value if len(loaded) == 1 else None
    if not isinstance(value, dict):
        return -1
    resource = Resource(value)
    is_without = resource.kind_id in CLUSTER_SCOPED or resource.kind.startswith("Cluster")
    if resource.namespace or is_without or not resource.name:
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


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    """Have a process of its own render. Raises InputError where that ends without an answer."""
    worker = [sys.executable, "-I", "-m", "tidewaiter.rules.rendering.helm_worker"]
    output = run_bounded(worker, json.dumps(request).encode(), "rendering the chart")
    answer: dict[str, Any] = json.loads(output)
    return answer


def _error(message: str, sources: ChartSources) -> InputError:
    """Put an error of Helm at the line of the template that it speaks of."""
    found = _PLACE_IN_ERROR.search(message)
    text = " ".join(message.split())
    if _WANTS_VALUES.search(text):
        text += _HINT
    text = f"the chart cannot be rendered: {text}"
    if found is None or found[1] not in sources.places:
        return InputError(text, file=os.path.join(sources.root, CHART_FILE))
    column = int(found[3]) + 1 if found[3] else None
    return InputError(text, file=sources.places[found[1]], line=int(found[2]), column=column)


def _places(
    sources: ChartSources,
    text: str,
    origins: Sequence[Line | None],
    where: str,
    values: Sequence[ValuesFile],
    subchart: tuple[str, ...],
) -> Callable[[int, str, str], Place]:
    """Return the function that turns a line of a rendered template into its place; see `RenderedFile`."""
    templates = sources.templates
    rendered = text.split("\n")

    def place_of(line: int, pointer: str, key: str) -> Place:
        origin = origins[line - 1] if 0 < line <= len(origins) else None
        if origin is None:
            return Place(where, 1)
        path = templates[origin.file]
        template = sources.files[path].decode("utf-8", "replace")
        source = template.split("\n")[origin.line - 1]
        column, end = _columns(source, key, rendered[line - 1])
        related = origin_in(template, origin.line, pointer, values, subchart)
        return Place(sources.places[path], origin.line, column, origin.line, end, related)

    return place_of


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
