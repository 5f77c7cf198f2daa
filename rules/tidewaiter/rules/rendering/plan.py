"""What of a run is to be rendered, and which of its files are then no manifests by themselves."""

from __future__ import annotations

import os

from tidewaiter.rules.loading.sources import CHART_FILE, KUSTOMIZATION_FILES
from tidewaiter.rules.record import record, replace
from tidewaiter.rules.rendering.chart import ChartOptions, render_chart
from tidewaiter.rules.rendering.engines import find_engine
from tidewaiter.rules.rendering.gitops import Repository, followed
from tidewaiter.rules.rendering.kustomization import (
    build,
    find_program,
    reached,
    read_kustomization,
    roots,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.rendering.engines import Engine
    from tidewaiter.rules.rendering.gitops import Followed, LineOf
    from tidewaiter.rules.rendering.kustomization import Kustomization
    from tidewaiter.rules.rendering.rendered import Rendering


@record
class Done:
    """What was rendered already, by what it was rendered of and with."""

    renderings: dict[str, list[Rendering]]


@record
class Plan:
    """What to render, and by what: without an engine or a program, what would be rendered is an error.

    What is below one of the folders `inside` is not linted by itself. `known` are all kustomizations.
    """

    charts: tuple[tuple[str, tuple[ChartOptions, ...]], ...]
    kustomizations: tuple[tuple[Kustomization, tuple[Followed, ...]], ...]
    engine: Engine | None
    program: tuple[str, ...]
    inside: tuple[str, ...]
    known: tuple[Kustomization, ...]

    def covered(self, paths: Iterable[str], renderings: Iterable[Rendering]) -> set[str]:
        """Return the files that are not linted by themselves, for they are parts of something rendered.

        The resources of what could not be built, or is built upon by nothing, stand for themselves.
        """
        failed = {each.root for each in renderings if each.errors}
        built = [each for each, _ in self.kustomizations if each.folder not in failed]
        reach = reached(self.known, built)
        parts: set[str] = set()
        patches: set[str] = set()
        loose: set[str] = set()
        for each in self.known:
            if os.path.normpath(each.folder or ".") in reach:
                parts.update(each.files)
            else:
                patches.update({*each.files} - {*each.resources})
                loose.update(each.resources)
        parts |= patches - loose
        return {
            path
            for path in paths
            if path in parts or any(_is_below(path, folder) for folder in self.inside)
        }

    def render(self, done: Done) -> tuple[Rendering, ...]:
        """Render, one chart or kustomization after the other, but for what is done."""
        found: list[Rendering] = []
        for root, scenarios in self.charts:
            for options in scenarios:
                key = repr(("chart", root, options))
                if key not in done.renderings:
                    sources = f"{root}/", *options.values, *(each[0] for each in options.inline)
                    done.renderings[key] = [
                        replace(each, sources=sources)
                        for each in render_chart(root, options, self.engine)
                    ]
                found += done.renderings[key]
        for kustomization, appliers in self.kustomizations:
            for each in appliers or (None,):
                key = repr(("kustomization", kustomization.file, each))
                if key not in done.renderings:
                    built = build(kustomization, self.program, each)
                    sources = self._sources(kustomization)
                    done.renderings[key] = [replace(built, sources=sources)]
                found += done.renderings[key]
        return tuple(found)

    def _sources(self, kustomization: Kustomization) -> tuple[str, ...]:
        """Return what changes objects of a kustomization: all that it is built of, but for resources."""
        reach = reached(self.known, [kustomization])
        files = {
            file
            for each in self.known
            if os.path.normpath(each.folder or ".") in reach
            for file in (each.file, *each.files)
            if file not in each.resources
        }
        return tuple(sorted(files))


def make_plan(
    charts: Sequence[str],
    kustomizations: Sequence[tuple[str, str]],
    resources: Iterable[Resource],
    options: ChartOptions,
    line_of: LineOf,
) -> Plan:
    """Plan what to render of the charts and kustomizations found, and of what `resources` of Argo CD and Flux name."""
    outer = [each for each in charts if not any(_is_inside(each, other) for other in charts)]
    read = [
        read_kustomization("" if folder == "." else folder, file) for folder, file in kustomizations
    ]
    read = [each for each in read if not any(_is_below(each.file, chart) for chart in outer)]
    chosen: dict[str, list[ChartOptions]] = {each: [] for each in outer}
    applied: dict[str, list[Followed]] = {}
    known = {os.path.normpath(each.folder or "."): each for each in read}
    for each in followed(resources, Repository("."), line_of):
        folder = os.path.normpath(each.folder)
        if os.path.isfile(os.path.join(folder, CHART_FILE)):
            scenarios = chosen.setdefault(folder, [])
            scenario = _chart_options(each, options)
            if scenario not in scenarios:
                scenarios.append(scenario)
        elif (file := _kustomization_in(folder)) is not None:
            known.setdefault(folder, read_kustomization("" if folder == "." else folder, file))
            appliers = applied.setdefault(folder, [])
            if each not in appliers:
                appliers.append(each)
    program = find_program() if known else ()
    built = roots(known.values())
    return Plan(
        tuple((root, tuple(found) or (options,)) for root, found in chosen.items()),
        tuple(
            (each, tuple(applied.get(folder, ())))
            for folder, each in known.items()
            if folder in applied or each in built
        ),
        find_engine() if chosen else None,
        program,
        tuple(outer),
        tuple(known.values()),
    )


def _chart_options(each: Followed, options: ChartOptions) -> ChartOptions:
    return replace(
        options,
        values=(*each.values, *options.values),
        inline=each.inline,
        settings=(*each.settings, *options.settings),
        namespace=each.namespace,
        release=each.release,
        title=each.title,
        errors=each.errors,
    )


def _kustomization_in(folder: str) -> str | None:
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    return next((name for name in sorted(names) if name in KUSTOMIZATION_FILES), None)


def _is_inside(chart: str, other: str) -> bool:
    """Tell whether a chart is a subchart of another one."""
    return chart != other and _is_below(chart, os.path.join(other, "charts"))


def _is_below(path: str, folder: str) -> bool:
    if folder in {".", ""}:
        return not os.path.isabs(path) and not path.startswith("..")
    return path.startswith(folder.rstrip("/") + "/")
