"""Charts and kustomizations of a run: rendered, judged as the sets that they are, and findings put into the sources."""

from __future__ import annotations

from tidewaiter.cli.result import lint_error
from tidewaiter.cli.run.parallel import run_parts
from tidewaiter.cli.run.part import Part
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import STDIN, SourceFile, read_file
from tidewaiter.rules.policy.compiled import LATEST_VERSION
from tidewaiter.rules.record import record, replace
from tidewaiter.rules.rendering.chart import ChartOptions
from tidewaiter.rules.rendering.plan import make_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidewaiter.cli.result import LintError, LintFinding
    from tidewaiter.cli.run.known import Known
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.cli.run.parallel import FindOut
    from tidewaiter.cli.run.part import PartAnswer, PlainResource
    from tidewaiter.rules.loading.sources import Found
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.rendering.rendered import Rendering, SourceIgnore

_GITOPS = (b"argoproj.io/", b"toolkit.fluxcd.io/")


@record
class Rendered:
    """What was rendered, and the files that are linted by themselves beside it."""

    renderings: tuple[Rendering, ...]
    files: tuple[SourceFile, ...]

    @property
    def errors(self) -> list[LintError]:
        """What could not be rendered."""
        return [lint_error(error) for each in self.renderings for error in each.errors]


def render(job: Job, found: Found) -> Rendered:
    """Render the charts and kustomizations among what was found."""
    version = job.plain_policy.get("kubernetesVersion") or ".".join(map(str, LATEST_VERSION))
    options = ChartOptions(
        values=job.values,
        settings=job.settings,
        kubernetes_version=f"{version}.0" if version.count(".") == 1 else version,
        namespace=job.namespace or "default",
    )
    plan = make_plan(
        found.charts, found.kustomizations, _gitops_objects(found.files), options, _line_of
    )
    files = tuple(file for file in found.files if file.explicit or not plan.covers(file.path))
    return Rendered(tuple(plan.render()), files)


def judge_renderings(
    job: Job,
    policy: Policy,
    rendered: Rendered,
    known: Known,
    find_out: FindOut | None,
    *,
    complete: bool,
) -> list[PartAnswer]:
    """Judge each rendering with the plain manifests of the run and its inventory beside it."""
    if not rendered.renderings:
        return []
    beside = [*_plain_rows(rendered.files, policy), *known.rows]
    answers = []
    for rendering in rendered.renderings:
        contents = {file.file: file.data for file in rendering.files}
        share = [
            (len(beside) + place, SourceFile(name, explicit=False))
            for place, name in enumerate(contents)
        ]
        part = Part(
            policy,
            job.today,
            contents,
            extents=job.extents,
            unreadable=known.unreadable,
            ignores_of=_ignores_of(rendering),
        )
        (answer,) = run_parts(
            lambda part=part: part,  # type: ignore[misc]
            [share],
            beside,
            complete=complete and not rendering.errors,
            progress=None,
            find_out=find_out,
        )
        answers.append(_placed(answer, rendering, job))
    return answers


def _ignores_of(rendering: Rendering) -> Callable[[str, int], tuple[SourceIgnore, ...]]:
    files = {file.file: file for file in rendering.files}

    def ignores_of(file: str, document: int) -> tuple[SourceIgnore, ...]:
        found = files[file].ignores_of
        return found(document) if found is not None else ()

    return ignores_of


def _gitops_objects(files: Sequence[SourceFile]) -> Iterator[Resource]:
    for file in files:
        try:
            data = b"" if file.path == STDIN else read_file(file.path)
        except InputError:
            continue  # the run itself reports it
        if any(sign in data for sign in _GITOPS):
            yield from read_resources(data, file.path).resources


def _line_of(resource: Resource, pointer: str) -> int:
    try:
        locator = Locator(read_file(resource.file))
        return locator.document(resource.document).at(resource.prefix + pointer).line
    except (InputError, IndexError):
        return 1


def _plain_rows(files: Sequence[SourceFile], policy: Policy) -> list[PlainResource]:
    rows: list[PlainResource] = []
    for place, file in enumerate(files):
        try:
            data = b"" if file.path == STDIN else read_file(file.path)
        except InputError:
            continue  # the run itself reports it
        rows += [
            (place, each.object, each.file, each.document, each.prefix)
            for each in read_resources(data, file.path, pod_specs=policy.pod_specs).resources
        ]
    return rows


def _placed(answer: PartAnswer, rendering: Rendering, job: Job) -> PartAnswer:
    """Put the findings where the sources have what they speak of."""
    files = {file.file: file for file in rendering.files}
    findings: list[LintFinding] = []
    lines: dict[tuple[str, int], str] = {}
    texts: dict[str, list[str]] = {}
    for finding in answer.findings:
        key = finding.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        place = files[finding.file].place_of(finding.line, finding.pointer, key)
        findings.append(
            replace(
                finding,
                file=place.file,
                line=place.line,
                column=place.column,
                end_line=place.end_line or place.line,
                end_column=place.end_column or place.column + 1,
                fix=None,
                value_from=place.related,
                extent=(1, _WHOLE) if job.extents else (0, 0),
            )
        )
        text = texts.get(place.file)
        if text is None:
            text = texts[place.file] = _source_lines(place.file)
        for line in range(max(place.line - job.around, 1), place.line + job.around + 1):
            if line <= len(text):
                lines[place.file, line] = text[line - 1]
    errors = [replace(each, line=None, column=None) for each in answer.errors]
    return replace(answer, findings=tuple(findings), lines=lines, errors=tuple(errors))


_WHOLE = 10**9
"""A change anywhere in a template may change each of its objects."""


def _source_lines(file: str) -> list[str]:
    try:
        return read_file(file).decode("utf-8", "replace").splitlines()
    except InputError:
        return []
