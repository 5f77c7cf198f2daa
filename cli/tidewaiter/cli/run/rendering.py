"""Charts and kustomizations of a run: rendered, judged as the sets that they are, and findings put into the sources."""

from __future__ import annotations

from tidewaiter.cli.result import LintError, lint_error
from tidewaiter.cli.run.parallel import run_parts
from tidewaiter.cli.run.part import Part
from tidewaiter.rules.errors import InputError
from tidewaiter.rules.finding import EXEMPTED
from tidewaiter.rules.loading.documents import load_documents
from tidewaiter.rules.loading.positions import Locator
from tidewaiter.rules.loading.resources import read_resources
from tidewaiter.rules.loading.sources import STDIN, SourceFile, read_file
from tidewaiter.rules.policy.compiled import LATEST_VERSION
from tidewaiter.rules.record import record, replace
from tidewaiter.rules.rendering.chart import ChartOptions
from tidewaiter.rules.rendering.plan import Done, make_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidewaiter.cli.result import LintFinding
    from tidewaiter.cli.run.checklist import ChecklistJob
    from tidewaiter.cli.run.known import Known
    from tidewaiter.cli.run.lint import Job
    from tidewaiter.cli.run.parallel import FindOut
    from tidewaiter.cli.run.part import PartAnswer, PlainResource
    from tidewaiter.rules.loading.sources import Found
    from tidewaiter.rules.manifest.resource import Resource
    from tidewaiter.rules.policy.compiled import Policy
    from tidewaiter.rules.rendering.plan import Plan
    from tidewaiter.rules.rendering.rendered import RenderedFile, Rendering, SourceIgnore

    JudgeFiles = Callable[[list[PlainResource], list[PlainResource] | None], list[PartAnswer]]

_GITOPS = (b"argoproj.io/", b"toolkit.fluxcd.io/")
_TAKES_VALUES = (b"valuesFrom", b"substituteFrom")


@record
class Rendered:
    """What was rendered, and the files that are linted by themselves beside it."""

    renderings: tuple[Rendering, ...]
    files: tuple[SourceFile, ...]

    @property
    def errors(self) -> list[LintError]:
        """What could not be rendered."""
        return [lint_error(error) for each in self.renderings for error in each.errors]


def render(job: Job | ChecklistJob, found: Found) -> Rendered:
    """Render the charts and kustomizations among what was found."""
    version = job.plain_policy.get("kubernetesVersion") or ".".join(map(str, LATEST_VERSION))
    options = ChartOptions(
        values=job.values,
        settings=job.settings,
        kubernetes_version=f"{version}.0" if version.count(".") == 1 else version,
        namespace=job.namespace or "default",
    )
    paths = [file.path for file in found.files]
    stated = list(_gitops_objects(found.files))
    made = _Made()

    def plan_for(objects: list[Resource]) -> Plan:
        return make_plan(found.charts, found.kustomizations, objects, options, made.line_of)

    plan, done = plan_for(stated), Done({})
    renderings = plan.render(done)
    for _ in range(_DEEPEST):
        # Applications may be made by a chart or kustomization, and then say what is applied with what.
        objects = made.of(renderings)
        if not objects:
            break
        covered = plan.covered(paths, renderings)
        plan = plan_for([*(each for each in stated if each.file not in covered), *objects])
        before, renderings = renderings, plan.render(done)
        if before == renderings:
            break
    covered = plan.covered(paths, renderings)
    files = tuple(file for file in found.files if file.explicit or file.path not in covered)
    return Rendered(renderings, files)


_DEEPEST = 3
"""How deep applications make applications that are followed."""


class _Made:
    """The objects of Argo CD and Flux that are rendered, and where they stand."""

    def __init__(self) -> None:
        self._files: dict[int, RenderedFile] = {}
        self._kept: dict[int, list[Resource]] = {}

    def of(self, renderings: Sequence[Rendering]) -> list[Resource]:
        """Return those of some renderings, each with the ConfigMaps and Secrets that are rendered with it."""
        found: list[Resource] = []
        for rendering in renderings:
            key = id(rendering)
            if key not in self._kept:
                self._kept[key] = self._read(rendering)
            found += self._kept[key]
        return found

    def line_of(self, resource: Resource, pointer: str) -> int:
        """Return the line of a field in its source."""
        file = self._files.get(id(resource))
        if file is None:
            return _line_of(resource, pointer)
        locator = Locator(file.data).document(resource.document)
        line = locator.at(resource.prefix + pointer).line
        return file.place_of(line, pointer, pointer.rpartition("/")[2]).line

    def _read(self, rendering: Rendering) -> list[Resource]:
        if not any(sign in file.data for file in rendering.files for sign in _GITOPS):
            return []
        objects = [
            (file, each)
            for file in rendering.files
            for each in read_resources(file.data, file.file).resources
            if each.kind_id in _FOLLOWED
        ]
        self._files |= {id(each): file for file, each in objects}
        return [each for _, each in objects]


_FOLLOWED = frozenset(
    {
        *("Application.argoproj.io", "ApplicationSet.argoproj.io", "ConfigMap", "Secret"),
        *("HelmRelease.helm.toolkit.fluxcd.io", "GitRepository.source.toolkit.fluxcd.io"),
        "Kustomization.kustomize.toolkit.fluxcd.io",
    }
)


def judge_with_renderings(
    judge_files: JudgeFiles,
    job: Job,
    policy: Policy,
    rendered: Rendered,
    known: Known,
    find_out: FindOut | None,
    *,
    complete: bool,
) -> list[PartAnswer]:
    """Judge the plain manifests of a run, and each rendering as the set that it is with these beside it.

    What is missing there may be in another rendering: then nothing is missing.
    """
    plain: list[PlainResource] = []
    rows = [_rows(each, policy) for each in rendered.renderings]
    is_first = True

    def judge_plain(others: list[PlainResource]) -> list[PartAnswer]:
        nonlocal is_first
        answers = judge_files(others, plain if is_first else None)
        is_first = False
        return answers

    answers = _judged(judge_plain, [row for each in rows for row in each], policy)
    for number, rendering in enumerate(rendered.renderings):
        others = [
            row
            for other, its in zip(rendered.renderings, rows, strict=True)
            if not _is_alternative(rendering, other)
            for row in its
        ]

        def judge(others: list[PlainResource], number: int = number) -> list[PartAnswer]:
            beside = [*plain, *known.rows, *others]
            one = rendered.renderings[number]
            is_whole = complete and not one.errors
            return _judge_rendering(job, policy, one, known, beside, find_out, is_whole)

        for answer in _judged(judge, others, policy):
            answers.append(_placed(answer, rendering, job))
    return answers


def _judged(
    judge: Callable[[list[PlainResource]], list[PartAnswer]],
    others: list[PlainResource],
    policy: Policy,
) -> list[PartAnswer]:
    """Judge, and again with other objects beside if something is missing; they can add no finding."""
    answers = judge([])
    asking = {name for name, entry in policy.entries.items() if entry.needs_inventory}
    missing = any(each.rule in asking for answer in answers for each in answer.findings)
    if not others or not missing:
        return answers
    again = {_identity(each) for answer in judge(others) for each in answer.findings}
    return [
        replace(
            answer,
            findings=tuple(
                each
                for each in answer.findings
                if each.rule not in asking or each.status == EXEMPTED or _identity(each) in again
            ),
        )
        for answer in answers
    ]


def _identity(finding: LintFinding) -> tuple[object, ...]:
    return (
        finding.file,
        finding.line,
        finding.rule,
        finding.kind,
        finding.namespace,
        finding.name,
        finding.pointer,
    )


def _is_alternative(rendering: Rendering, other: Rendering) -> bool:
    """Tell whether two renderings are of the same sources, so that only one of them is applied where the other may be."""
    own = {file.file for file in rendering.files}
    return rendering.root == other.root or any(file.file in own for file in other.files)


def _rows(rendering: Rendering, policy: Policy) -> list[PlainResource]:
    """Return the objects of a rendering as others know of them: without a file, so that they give way to their own."""
    objects, _ = objects_of(rendering, policy.pod_specs)
    return [(_BEHIND, each.object, "", 0, "") for _, each in objects]


_BEHIND = 10**9
"""The place in the run of what is rendered elsewhere."""


def objects_of(
    rendering: Rendering, pod_specs: dict[str, str]
) -> tuple[list[tuple[RenderedFile, Resource]], list[LintError]]:
    """Return the objects of a rendering, each with the file it is in, and at the sources what could not be read."""
    objects: list[tuple[RenderedFile, Resource]] = []
    errors: list[LintError] = []
    for file in rendering.files:
        content = read_resources(file.data, file.file, pod_specs=pod_specs)
        errors += [_at_source(lint_error(error), file) for error in content.errors]
        if content.skipped:
            errors += _no_objects(file)
        for resource in content.resources:
            if file.ignores_of is not None:
                resource.ignores += file.ignores_of(resource.document)
            objects.append((file, resource))
    return objects, errors


def _no_objects(file: RenderedFile) -> Iterator[LintError]:
    """Yield the documents of a rendered file without an object that are something nevertheless: Helm refuses these."""
    for document in load_documents(file.data, file.file).documents:
        if document.value is not None and not isinstance(document.value, dict):
            at = file.place_of(document.line, "", "")
            yield LintError(at.file, at.line, None, "what is rendered here is no object")


def _at_source(error: LintError, file: RenderedFile) -> LintError:
    at = file.place_of(error.line or 1, "", "")
    return replace(error, file=at.file, line=at.line, column=None)


def _judge_rendering(
    job: Job,
    policy: Policy,
    rendering: Rendering,
    known: Known,
    beside: list[PlainResource],
    find_out: FindOut | None,
    complete: bool,
) -> list[PartAnswer]:
    contents = {file.file: file.data for file in rendering.files}
    share = [
        (len(beside) + place, SourceFile(name, explicit=False))
        for place, name in enumerate(contents)
    ]
    return run_parts(
        lambda: Part(
            policy,
            job.today,
            contents,
            extents=job.extents,
            unreadable=known.unreadable,
            ignores_of=_ignores_of(rendering),
        ),
        [share],
        beside,
        complete=complete,
        progress=None,
        find_out=find_out,
    )


def _ignores_of(rendering: Rendering) -> Callable[[str, int], tuple[SourceIgnore, ...]]:
    files = {file.file: file for file in rendering.files}

    def ignores_of(file: str, document: int) -> tuple[SourceIgnore, ...]:
        found = files[file].ignores_of
        return found(document) if found is not None else ()

    return ignores_of


def _gitops_objects(files: Sequence[SourceFile]) -> Iterator[Resource]:
    """Yield the objects of Argo CD and Flux, and where these take values from ConfigMaps and Secrets all of those."""
    others: list[tuple[bytes, str]] = []
    takes_values = False
    for file in files:
        try:
            data = b"" if file.path == STDIN else read_file(file.path)
        except InputError:
            continue  # the run itself reports it
        if any(sign in data for sign in _GITOPS):
            takes_values = takes_values or any(sign in data for sign in _TAKES_VALUES)
            yield from read_resources(data, file.path).resources
        elif b"ConfigMap" in data or b"Secret" in data:
            others.append((data, file.path))
    for data, path in others if takes_values else ():
        yield from read_resources(data, path).resources


def _line_of(resource: Resource, pointer: str) -> int:
    try:
        locator = Locator(read_file(resource.file))
        return locator.document(resource.document).at(resource.prefix + pointer).line
    except (InputError, IndexError):
        return 1


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
                made_of=(finding.file, *rendering.sources) if job.extents else (),
            )
        )
        text = texts.get(place.file)
        if text is None:
            text = texts[place.file] = _source_lines(place.file)
        for line in range(max(place.line - job.around, 1), place.line + job.around + 1):
            if line <= len(text):
                lines[place.file, line] = text[line - 1]
    errors = []
    for error in answer.errors:
        source = files.get(error.file)
        errors.append(_at_source(error, source) if source is not None else error)
    for name, _ in answer.skipped:
        errors += _no_objects(files[name])
    return replace(answer, findings=tuple(findings), lines=lines, errors=tuple(errors))


_WHOLE = 10**9
"""A change anywhere in a template may change each of its objects."""


def _source_lines(file: str) -> list[str]:
    try:
        return read_file(file).decode("utf-8", "replace").splitlines()
    except InputError:
        return []
